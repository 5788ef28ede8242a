"""`melanoma-tf segment`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, warn_of_files
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.core.urls import without_secrets
from melanoma_tf.segmentation.settings import SegmentationSettings


@click.command(cls=GroupedCommand)
@click.argument("source", metavar="IMAGE|DIR|RECORDS", type=options.RECORDS)
@options.output(kind=options.RECORDS)
@options.run_dir(
    "Finished run of train segmenter.  [default: the segmenter that ships]", required=False
)
@options.overwrite()
@settings_options(SegmentationSettings)
def segment(
    source: Path,
    output: Path,
    run_dir: Path | None,
    overwrite: bool,
    settings: SegmentationSettings,
) -> None:
    """Outline the lesion in images: by the segmenter that ships, or that of --run-dir.

    For images, OUTPUT gets NAME_segmentation.png in the challenge's form: 0 skin, 255 lesion, the
    image's size. For a record folder, OUTPUT is a copy in which every example has a mask; masks
    that exist stay.

    \b
    Example:
      melanoma-tf segment photo.jpg --output masks --overlay
      melanoma-tf segment tfrecords/ham10000 --output tfrecords/ham10000-masks

    An image without a lesion may give an empty mask. Research software. Not a medical device.
    """
    from melanoma_tf.segmentation.predict import segment

    result = segment(
        source,
        output,
        settings,
        network=run_dir or SHIPPED,
        overwrite=overwrite,
        progress=lambda items, total: progress(items, label="segment", total=total),
    )
    warn_of_files(result.passed_over)
    click.echo(f"wrote {result.masks:,} masks to {without_secrets(str(output))}")
    for line in result.failures:
        click.echo(line, err=True)
    if result.failures:
        total = result.masks + len(result.failures)
        raise MelanomaError(f"{len(result.failures)} of {total} files were not segmented")


COMMANDS = (segment,)
