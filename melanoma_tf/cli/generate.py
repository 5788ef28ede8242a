"""`melanoma-tf generate`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.core.urls import without_secrets
from melanoma_tf.generation.settings import GenerationSettings


@click.command(cls=GroupedCommand)
@options.run_dir()
@options.output("Record folder to create, also s3:// or gs://.", kind=options.RECORDS)
@options.records(
    "Record folder of real images to compare with; repeat for several.  [default: those that the "
    "run was trained on]",
    required=False,
)
@options.runner
@options.overwrite()
@settings_options(GenerationSettings)
def generate(
    run_dir: Path,
    output: Path,
    records: tuple[Path, ...],
    runner: str,
    beam_options: tuple[str, ...],
    overwrite: bool,
    settings: GenerationSettings,
) -> None:
    """Generate images into a record folder, for training only; copies of real images are rejected.

    \b
    Example:
      melanoma-tf generate --run-dir runs/gan-melanoma --count 350 --output tfrecords/generated

    Every image is compared with all real images of all splits and their mirror images. OUTPUT also
    gets nearest.csv, a histogram of the distances, and sheets of images above their nearest.
    """
    from melanoma_tf.generation.generate import generate_records

    manifest = generate_records(
        run_dir,
        output,
        settings,
        records=records or None,
        overwrite=overwrite,
        beam=options.beam(runner, beam_options),
        log=click.echo,
    )
    rows = [(name, manifest.count(class_name=name)) for name in manifest.class_names]
    table(f"{without_secrets(str(output))} ({manifest.taxonomy})", ("class", "generated"), rows)


COMMANDS = (generate,)
