"""`melanoma-tf export`, `verify-model`, `serving-config`, `predict` and `app`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, table, warn_of_files
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.serving.settings import (
    SHIPPED_VIEWS,
    AppSettings,
    ExportSettings,
    PredictionSettings,
    ServerSettings,
    ServingConfigSettings,
    VerificationSettings,
)
from melanoma_tf.serving.signatures import DISCLAIMER, METADATA

if TYPE_CHECKING:
    from melanoma_tf.serving.client import ServedClassifier
    from melanoma_tf.serving.predictions import Prediction
    from melanoma_tf.serving.remote import RemoteClassifier
    from melanoma_tf.serving.runs import ServedRuns


@click.command(cls=GroupedCommand)
@options.run_dir("Run folder, runs/NAME; shipped: the classifier that ships.")
@options.output("Model folder, saved_models/NAME; it gets a new version.")
@settings_options(ExportSettings)
def export(run_dir: Path, output: Path, settings: ExportSettings) -> None:
    """Write a trained network as a SavedModel for TensorFlow Serving.

    The model takes encoded images (JPEG or PNG, any sizes). A classifier returns probabilities and
    classes, a segmenter masks (PNG) and probability maps. Each export is a new version, under the
    next free number.

    \b
    Example:
      melanoma-tf export --run-dir runs/first --output saved_models/first --segmenter shipped
    """
    from melanoma_tf.core.files import read_json
    from melanoma_tf.serving.export import export_run

    version = export_run(run_dir, output, settings)
    click.echo(f"wrote {version}")
    for each in read_json(version / METADATA).get("formats", ()):
        differences = f"largest difference {each['golden_difference']:.2g} on the golden inputs"
        if each["difference"] is not None:
            differences += f", {each['difference']:.2g} on the records"
        if each["auc"] is not None:
            differences += f"; mean AUC {each['auc']:.4f}, the network's {each['network_auc']:.4f}"
        click.echo(f"{each['file']}, {each['size_bytes'] / 1e6:.1f} MB: {differences}")


@click.command("verify-model", cls=GroupedCommand)
@click.argument("model", type=options.FOLDER)
@json_output("the differences")
@settings_options(VerificationSettings)
def verify_model(model: Path, save_json: SaveJson, settings: VerificationSettings) -> None:
    """Check that an exported model answers on this machine as it did where it was exported.

    Replays the golden inputs and the warm-up requests that travel with the model.

    \b
    Example:
      melanoma-tf verify-model saved_models/first
    """
    from melanoma_tf.core.errors import MelanomaError
    from melanoma_tf.serving.verify import verify_model as verify

    result = verify(model, settings)
    save_json(result.to_json())
    rows = [(each.signature, each.output, f"{each.difference:.1e}") for each in result.comparisons]
    table(f"{result.version}", ("signature", "output", "largest difference"), rows)
    for failure in result.failures:
        click.echo(failure, err=True)
    if result.failures:
        raise MelanomaError(
            f"{result.version}: expected the answers of the machine that exported it; "
            f"{len(result.failures)} do not agree"
        )
    click.echo(f"{result.warmup_requests} warm-up requests answered; all answers agree")


@click.command("serving-config", cls=GroupedCommand)
@click.argument("models", type=options.FOLDER)
@options.output("Folder to create for models.config and the other files.")
@options.overwrite()
@settings_options(ServingConfigSettings)
def serving_config(
    models: Path, output: Path, overwrite: bool, settings: ServingConfigSettings
) -> None:
    """Write the configuration of TensorFlow Serving for a folder of exported models.

    Of each model the two newest versions are served: the newest by the label `canary`, the one
    before it by `stable`. scripts/serve.sh and the files in deploy/ use it.

    \b
    Example:
      melanoma-tf serving-config saved_models --output deploy/config
    """
    from melanoma_tf.serving.server_config import write_server_config

    names = write_server_config(models, output, settings, overwrite=overwrite)
    click.echo(f"wrote {output} for {', '.join(names)}")


@click.command(cls=GroupedCommand)
@click.argument("images", nargs=-1, required=True, type=options.ANY_PATH)
@options.exported_model(required=False)
@click.option(
    "--server",
    metavar="URL",
    help="Model server instead: http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME.",
)
@options.run_dir(
    "Run folder instead, runs/NAME or shipped; repeat for an ensemble.",
    required=False,
    multiple=True,
)
@click.option("--output", type=options.FILE, help="Write a CSV file instead of a table.")
@options.overwrite("the CSV and the JSON file")
@json_output("the predictions", has_overwrite=True)
@settings_options(PredictionSettings)
@settings_options(ServerSettings, parameter="server_settings")
def predict(
    images: tuple[Path, ...],
    model: Path | None,
    server: str | None,
    run_dirs: tuple[Path, ...],
    output: Path | None,
    overwrite: bool,
    save_json: SaveJson,
    settings: PredictionSettings,
    server_settings: ServerSettings,
) -> None:
    """Classify images, or folders of images, with an exported model, a model server or runs.

    Without any of these, the classifier that ships does it, from eight views of each image unless
    --tta says otherwise: melanoma, nevus, seborrheic keratosis.

    \b
    Example:
      melanoma-tf predict photo.jpg
      melanoma-tf predict --model saved_models/first photo.jpg folder/ --output predictions.csv
      melanoma-tf predict --server http://localhost:8501/v1/models/first folder/
      melanoma-tf predict --run-dir runs/a --run-dir runs/b --tta 8 ISIC-2017_Test_v2_Data/ \\
          --format isic2017 --output submission.csv

    Research software. Not a medical device.
    """
    from melanoma_tf.core.errors import MelanomaError
    from melanoma_tf.core.outputs import refuse_existing_file
    from melanoma_tf.datasets.image_files import find_images
    from melanoma_tf.serving.predictions import write_predictions

    if settings.format and output is None:
        raise MelanomaError("expected --output with --format")
    if not (model or server or run_dirs):
        run_dirs, settings = (Path(SHIPPED),), _views_of_shipped(settings)
    if output:
        refuse_existing_file(output, overwrite, images)
    found = find_images(images)
    warn_of_files(found.passed_over)
    paths = found.paths
    classifier = _classifier(model, server, run_dirs, settings, server_settings)
    predictions = classifier.predict(paths, batch_size=settings.batch_size)
    results = list(progress(predictions, label="predict", total=len(paths)))
    save_json([result.to_json() for result in results])
    good = [result for result in results if not result.error]
    if output and settings.format:
        _write_submission(output, results, settings.format)
    elif output and write_predictions(output, results):
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


def _views_of_shipped(settings: PredictionSettings) -> PredictionSettings:
    if click.get_current_context().get_parameter_source("tta") is not ParameterSource.DEFAULT:
        return settings
    return dataclasses.replace(settings, tta=SHIPPED_VIEWS)


def _classifier(
    model: Path | None,
    server: str | None,
    run_dirs: tuple[Path, ...],
    settings: PredictionSettings,
    server_settings: ServerSettings,
) -> ServedClassifier | RemoteClassifier | ServedRuns:
    from melanoma_tf.core.errors import MelanomaError

    given = {"--model": model, "--server": server, "--run-dir": run_dirs}
    names = [option for option, value in given.items() if value]
    if len(names) != 1:
        raise MelanomaError(f"expected one of {', '.join(given)}; found {' and '.join(names)}")
    if run_dirs:
        from melanoma_tf.serving.runs import ServedRuns

        return ServedRuns(run_dirs, settings)
    settings.refuse_options_of_runs()
    if server is not None:
        from melanoma_tf.serving.remote import RemoteClassifier

        return RemoteClassifier(server, server_settings)
    from melanoma_tf.serving.loader import load_classifier

    assert model is not None  # one of the three
    return load_classifier(model)


def _write_submission(output: Path, results: list[Prediction], name: str) -> None:
    from melanoma_tf.evaluation.submissions import write_submission
    from melanoma_tf.serving.runs import as_submission

    for result in results:
        if result.error:
            click.echo(f"{result.path}: {result.error}", err=True)
    predictions = as_submission(results, name)
    write_submission(output, predictions, name)
    rows = len(predictions.image_ids)
    click.echo(f"wrote {rows:,} row{'s' * (rows != 1)} to {output}, as {name} takes them")


@click.command(cls=GroupedCommand)
@options.exported_model(required=False)
@settings_options(AppSettings)
def app(model: Path | None, settings: AppSettings) -> None:
    """Open a local web page that outlines, purifies and classifies photographs.

    Without --model, the classifier that ships gives the probabilities: melanoma, nevus,
    seborrheic keratosis. Nothing leaves this computer, and nothing is stored. Needs the extra
    `app`: pip install melanoma-tf[app].

    \b
    Example:
      melanoma-tf app
      melanoma-tf app --model saved_models/first

    Research software. Not a medical device.
    """
    import contextlib
    import threading

    from melanoma_tf.serving.app import started

    with started(model, settings) as address:
        click.echo(f"open {address} in a browser; Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


COMMANDS = (export, verify_model, serving_config, predict, app)
