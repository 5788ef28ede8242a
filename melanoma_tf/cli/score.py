"""`score`: predictions against the truth, by the challenges' own definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.evaluation.score_text import class_rows, nested, overall_rows, remarks, shown
from melanoma_tf.evaluation.settings import ClassifierScoreSettings, ScoreSettings

if TYPE_CHECKING:
    from melanoma_tf.evaluation.predictions import Predictions
    from melanoma_tf.evaluation.truth import Truth

FILE = click.Path(path_type=Path)  # whether it is there, the reader says in one line


@click.group()
def score() -> None:
    """Score predictions by the definitions of the ISIC challenges.

    \b
    Example:
      melanoma-tf score classifier predictions.csv --truth ISIC2018_Task3_Test_GroundTruth.csv
    """


@score.command("classifier", cls=GroupedCommand)
@click.argument("predictions", type=FILE)
@options.truth
@json_output("all scores")
@settings_options(ClassifierScoreSettings)
def classifier(
    predictions: Path,
    truth: Path | None,
    save_json: SaveJson,
    settings: ClassifierScoreSettings,
) -> None:
    """Score PREDICTIONS, a CSV with `image_id` and a column of scores per class.

    The scores are used as given. The truth is the file's own `label` column, or --truth. Intervals
    are by patient where a `patient_id` is known.

    \b
    Example:
      melanoma-tf score classifier runs/first/predictions.csv --json scores.json
      melanoma-tf score classifier submission.csv --truth ISIC2018_Task3_Test_GroundTruth.csv
      melanoma-tf score classifier submission.csv --strict \\
          --truth ISIC2018_Task3_Test_GroundTruth.csv
    """
    from melanoma_tf.evaluation.score import align_with_truth, roc_curves, score_predictions

    if settings.strict:
        _check(predictions, truth)
    (read,), known = read_inputs([predictions], truth, settings)
    labelled = align_with_truth(read, known, taxonomy=settings.taxonomy)
    result = score_predictions(
        labelled,
        rounds=settings.rounds,
        seed=settings.seed,
        min_tpr=settings.min_tpr,
        sensitivities=settings.sensitivity,
        official=settings.strict,
        progress=rounds_bar(settings.rounds),
    )
    result["softmax"] = settings.use_softmax
    if settings.roc:
        result["roc"] = roc_curves(labelled)
    save_json(result)
    print_scores(result)


def _check(predictions: Path, truth: Path | None) -> None:
    from melanoma_tf.core.errors import MelanomaError
    from melanoma_tf.evaluation.strict import check_submission

    if truth is None:
        raise MelanomaError("expected --truth with --strict")
    check_submission(predictions, truth)


def read_inputs(
    paths: Sequence[Path], truth: Path | None, settings: ScoreSettings
) -> tuple[list[Predictions], Truth | None]:
    """Read predictions, and the truth where one is given."""
    from melanoma_tf.datasets.lesion import taxonomy_named
    from melanoma_tf.evaluation.predictions import read_predictions
    from melanoma_tf.evaluation.score import with_softmax
    from melanoma_tf.evaluation.truth import read_truth

    names = None if settings.taxonomy is None else taxonomy_named(settings.taxonomy).classes
    predictions = [read_predictions(path, names) for path in paths]
    if settings.use_softmax:
        predictions = [with_softmax(each) for each in predictions]
    return predictions, None if truth is None else read_truth(truth)


def rounds_bar(rounds: int) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """A progress bar over blocks of bootstrap rounds, counted in rounds."""
    from melanoma_tf.cli.console import progress

    def counted(blocks: Iterator[Any]) -> Iterator[Any]:
        counter = progress(range(rounds), label="bootstrap", total=rounds)
        for block in blocks:
            for _ in range(len(block)):
                next(counter, None)
            yield block
        next(counter, None)  # past the end: the bar closes

    return counted


def print_scores(result: dict[str, Any]) -> None:
    """Print the scores as tables, then remarks on them."""
    from melanoma_tf.cli.console import table

    names = result["classes"]
    interval = result.get("interval", {})
    rows: list[tuple[object, ...]] = [("images", *(str(result["n_per_class"][n]) for n in names))]
    for title, (metric, *rest) in class_rows(result):
        cells = []
        for name in names:
            path = (metric, name, *rest)
            cells.append(shown(nested(result, path), nested(interval, path)))
        rows.append((title, *cells))
    table(f"Each class against the rest ({result['n']:,} images)", ("metric", *names), rows)
    overall = [
        (title, shown(result[key], interval.get(key))) for title, key in overall_rows(result)
    ]
    table("Overall", ("metric", "value"), overall)
    if result["confusion_matrix"] is not None:
        confusion = [
            (name, *row, result["undecided"][name])
            for name, row in zip(names, result["confusion_matrix"])
        ]
        table("Decisions (rows: truth)", ("truth", *names, "tie"), confusion)
    for line in remarks(result):
        click.echo(line)


COMMANDS: tuple[click.Command, ...] = (score,)
