"""`score`: predictions against the truth, by the challenges' own definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.evaluation.score_text import OVERALL, PER_CLASS, nested, remarks, shown

FILE = click.Path(path_type=Path)  # whether it is there, the reader says in one line


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
    from melanoma_tf.core.files import write_json
    from melanoma_tf.core.outputs import refuse_existing_file
    from melanoma_tf.datasets.lesion import taxonomy_named
    from melanoma_tf.evaluation.predictions import read_predictions
    from melanoma_tf.evaluation.score import align_with_truth, score_predictions, with_softmax
    from melanoma_tf.evaluation.truth import read_truth

    if json_path is not None:
        refuse_existing_file(json_path, overwrite, [predictions, *([truth] if truth else [])])
    names = None if taxonomy is None else taxonomy_named(taxonomy).classes
    read = read_predictions(predictions, names)
    labelled = align_with_truth(
        with_softmax(read) if use_softmax else read, None if truth is None else read_truth(truth)
    )
    result = score_predictions(
        labelled, rounds=rounds, seed=seed, min_tpr=min_tpr, watch=rounds_bar(rounds)
    )
    result["softmax"] = use_softmax
    if json_path is not None:  # first: the reader of a pipe may be gone before the last table
        write_json(json_path, result)
    print_scores(result)


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


COMMANDS: tuple[click.Command, ...] = (score,)
