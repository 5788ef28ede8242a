"""`melanoma-tf export` and `melanoma-tf predict`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, table, warn_of_files
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.serving.settings import PredictionSettings


@click.command(cls=GroupedCommand)
@options.run_dir()
@options.output("Model folder to create, saved_models/NAME.")
@options.overwrite()
def export(run_dir: Path, output: Path, overwrite: bool) -> None:
    """Write a trained network as a SavedModel for TensorFlow Serving.

    \b
    Example:
      melanoma-tf export --run-dir runs/first --output saved_models/first

    The model takes encoded images (JPEG or PNG, any sizes). A classifier returns probabilities and
    classes, a segmenter masks (PNG) and probability maps.
    """
    from melanoma_tf.serving.export import export_run

    export_run(run_dir, output, overwrite=overwrite)
    click.echo(f"wrote {output}")


@click.command(cls=GroupedCommand)
@click.argument("images", nargs=-1, required=True, type=options.ANY_PATH)
@options.exported_model()
@click.option("--output", type=options.FILE, help="Write a CSV file instead of a table.")
@options.overwrite("the CSV file")
@settings_options(PredictionSettings)
def predict(
    images: tuple[Path, ...],
    model: Path,
    output: Path | None,
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Classify images, or folders of images, with an exported model.

    \b
    Example:
      melanoma-tf predict --model saved_models/first photo.jpg folder/ --output predictions.csv

    Research software. Not a medical device.
    """
    from melanoma_tf.core.errors import MelanomaError
    from melanoma_tf.core.outputs import refuse_existing_file
    from melanoma_tf.datasets.image_files import find_images
    from melanoma_tf.serving.classifier_export import DISCLAIMER
    from melanoma_tf.serving.client import write_predictions
    from melanoma_tf.serving.loader import load_classifier

    if output:
        refuse_existing_file(output, overwrite, images)
    found = find_images(images)
    warn_of_files(found.passed_over)
    paths = found.paths
    predictions = load_classifier(model).predict(paths, batch_size=settings.batch_size)
    results = list(progress(predictions, label="predict", total=len(paths)))
    good = [result for result in results if not result.error]
    if output and write_predictions(output, results):
        click.echo(f"wrote {len(good)} row{'s' * (len(good) != 1)} to {output}")
    elif good:
        rows = [(result.path.name, *result.shown(), result.best) for result in good]
        table(f"{len(good)} images", ("image", *good[0].class_names, "highest"), rows)
    click.echo(DISCLAIMER, err=True)
    bad = [result for result in results if result.error]
    for result in bad:
        click.echo(f"{result.path}: {result.error}", err=True)
    if bad:
        raise MelanomaError(f"{len(bad)} of {len(paths)} files were not classified")


COMMANDS = (export, predict)
