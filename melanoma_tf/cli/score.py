"""`score`: predictions against the truth, by the challenges' own definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options

FILE = click.Path(path_type=Path)  # whether it is there, the reader says in one line
PER_CLASS = (
    ("AUC", ("auc",)),
    ("average precision", ("average_precision",)),
    ("AUC above sensitivity 0.8 (ISIC 2018)", ("auc_above_sensitivity_80",)),
    ("partial AUC (ISIC 2024)", ("partial_auc_isic2024",)),
    ("specificity at sensitivity 0.82", ("specificity_at_sensitivity", "0.82")),
    ("specificity at sensitivity 0.89", ("specificity_at_sensitivity", "0.89")),
    ("specificity at sensitivity 0.95", ("specificity_at_sensitivity", "0.95")),
    ("sensitivity at 0.5", ("sensitivity",)),
    ("specificity at 0.5", ("specificity",)),
    ("PPV at 0.5", ("ppv",)),
    ("NPV at 0.5", ("npv",)),
    ("Dice at 0.5", ("dice",)),
)
OVERALL = (
    ("mean AUC", "mean_auc"),
    ("mean AUC of melanoma and seborrheic keratosis (ISIC 2017)", "mean_auc_isic2017"),
    ("balanced accuracy (ISIC 2018)", "balanced_accuracy"),
    ("accuracy", "accuracy"),
    ("expected calibration error", "expected_calibration_error"),
    ("Brier score", "brier_score"),
)


@click.group()
def score() -> None:
    """Score predictions by the definitions of the ISIC challenges.

    \b
    Example:
      melanoma-tf score classifier predictions.csv --truth ISIC2018_Task3_Test_GroundTruth.csv
    """


@score.command("classifier")
@click.argument("predictions", type=FILE)
@options.classifier_predictions
@click.option(
    "--rounds",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Bootstrap rounds for the 95 % intervals; 0 leaves them out.",
)
@options.bootstrap_seed
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every figure there.",
)
@click.option("--overwrite", is_flag=True, help="Replace the JSON file.")  # fmt: skip
def classifier(
    predictions: Path,
    truth: Path | None,
    taxonomy: str | None,
    use_softmax: bool,
    rounds: int,
    seed: int,
    min_tpr: float,
    json_path: Path | None,
    overwrite: bool,
) -> None:
    """Score PREDICTIONS, a CSV with `image_id` and a column of scores per class.

    The scores are used as given. The truth is the file's own `label` column, or --truth. Intervals
    are by patient where a `patient_id` is known.

    \b
    Example:
      melanoma-tf score classifier runs/first/predictions.csv --json scores.json
      melanoma-tf score classifier submission.csv --truth ISIC2018_Task3_Test_GroundTruth.csv
    """
    from melanoma_tf.datasets.lesion import taxonomy_named
    from melanoma_tf.evaluation.predictions import read_predictions
    from melanoma_tf.evaluation.score import judge, score_predictions, with_softmax
    from melanoma_tf.evaluation.truth import read_truth
    from melanoma_tf.files import refuse_existing, write_json

    if json_path is not None:
        refuse_existing(json_path, overwrite)
    names = None if taxonomy is None else taxonomy_named(taxonomy).classes
    read = read_predictions(predictions, names)
    judged = judge(
        with_softmax(read) if use_softmax else read, None if truth is None else read_truth(truth)
    )
    result = score_predictions(
        judged, rounds=rounds, seed=seed, min_tpr=min_tpr, watch=rounds_bar(rounds)
    )
    result["softmax"] = use_softmax
    print_scores(result)
    if json_path is not None:
        write_json(json_path, result)


def rounds_bar(rounds: int) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """A progress bar over blocks of bootstrap rounds, counted in rounds."""
    from melanoma_tf.cli.console import progress

    def watch(blocks: Iterator[Any]) -> Iterator[Any]:
        counter = progress(range(rounds), label="bootstrap", total=rounds)
        for block in blocks:
            for _ in range(len(block)):
                next(counter, None)
            yield block
        next(counter, None)  # past the end: the bar closes

    return watch


def print_scores(result: dict[str, Any]) -> None:
    """Print tables of the figures, then what the reader must know of them."""
    from melanoma_tf.cli.console import table

    names = result["classes"]
    interval = result.get("interval", {})
    rows: list[tuple[object, ...]] = [("images", *(str(result["n_per_class"][n]) for n in names))]
    for title, (figure, *rest) in PER_CLASS:
        cells = []
        for name in names:
            path = (figure, name, *rest)
            cells.append(shown(nested(result, path), nested(interval, path)))
        rows.append((title, *cells))
    table(f"Each class against the rest ({result['n']:,} images)", ("figure", *names), rows)
    overall = [(title, shown(result[key], interval.get(key))) for title, key in OVERALL]
    table("Overall", ("figure", "value"), overall)
    if result["confusion_matrix"] is not None:
        confusion = [
            (name, *row, result["undecided"][name])
            for name, row in zip(names, result["confusion_matrix"])
        ]
        table("Decisions (rows: truth)", ("truth", *names, "tie"), confusion)
    for line in remarks(result):
        click.echo(line)


def remarks(result: dict[str, Any]) -> Iterator[str]:
    """What was scored, and what is missing."""
    kind = "probabilities" if result["are_probabilities"] else "no probabilities"
    how = "after softmax" if result.get("softmax") else "used as given"
    yield f"Scores: {kind}, {how}."
    if "bootstrap" in result:
        drawn = result["bootstrap"]
        yield (
            f"95 % intervals: DeLong for AUC where defined; else {drawn['rounds']:,} bootstrap "
            f"rounds over {drawn['units']:,} {drawn['unit']}s."
        )
    if result["n_class_known"] < result["n"]:
        yield (
            f"The class is known for {result['n_class_known']:,} of {result['n']:,} images; what "
            "the truth does not say of an image is left out of that figure."
        )
    if result["excluded"]:
        yield f"Excluded by the truth: {', '.join(result['excluded'])}."
    if result["unlabelled"]:
        yield f"Left out for want of a label: {result['unlabelled']:,}."
    reasons: dict[str, list[str]] = {}
    for figure, reason in result["undefined"].items():
        reasons.setdefault(reason, []).append(figure)
    for reason, figures in reasons.items():
        more = f" and {len(figures) - 3} more" if len(figures) > 3 else ""
        yield f"Undefined ({reason}): {', '.join(figures[:3])}{more}."


def nested(tree: Any, path: tuple[str, ...]) -> Any:
    """`tree[path[0]][path[1]]...`, None where it ends early."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def shown(value: float | None, interval: dict[str, Any] | None) -> str:
    """`0.880 [0.840, 0.920]`, or `undefined`."""
    if value is None:
        return "undefined"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


COMMANDS: tuple[click.Command, ...] = (score,)
