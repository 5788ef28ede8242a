"""`melanoma-tf generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table


@click.command()
@options.run_dir()
@click.option("--count", type=click.IntRange(min=1), required=True, help="Images of each class.")
@click.option("--output", type=options.FOLDER, required=True, help="The record folder to make.")
@click.option(
    "--class",
    "class_names",
    multiple=True,
    help="Of a coupled run: only this class; repeat for several.  [default: all]",
)
@click.option(
    "--records",
    type=options.FOLDER,
    help="Real images to compare with.  [default: those that the run was trained on]",
)
@click.option(
    "--min-mse",
    type=click.FloatRange(min=0),
    help="Least mean squared error to every real image and to each other.  [default: the first "
    "percentile of the distances from real images to their nearest other]",
)
@click.option(
    "--latent-size", type=click.IntRange(min=1), default=None, help="Expect the run to have it."
)
@click.option(
    "--features",
    metavar="RUN|imagenet",
    help="Also compare in the space of a network's features: a classifier run, or ImageNet's.",
)
@options.seed
@options.overwrite
def generate(
    run_dir: Path,
    output: Path,
    records: Path | None,
    latent_size: int | None,
    overwrite: bool,
    **chosen: Any,
) -> None:
    """Generate images into a record folder, for training only; copies of real images are rejected.

    \b
    Example:
      melanoma-tf generate --run-dir runs/gan-melanoma --count 350 --output tfrecords/generated

    Every image is compared with all real images of all splits and their mirror images. Beside the
    shards: nearest.csv, a histogram of the distances, and sheets of images above their nearest.
    """
    from melanoma_tf.generation.generate import GenerationSettings, generate_records

    settings = GenerationSettings(latent_size=latent_size or 0, **chosen)
    manifest = generate_records(
        run_dir, output, settings, records=records, overwrite=overwrite, log=click.echo
    )
    rows = [(name, manifest.count(class_name=name)) for name in manifest.class_names]
    table(f"{output} ({manifest.taxonomy})", ("class", "generated"), rows)


COMMANDS = (generate,)
