"""`melanoma-tf segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress

if TYPE_CHECKING:
    from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter


@click.command()
@click.argument("source", metavar="IMAGE|DIR|RECORDS", type=options.ANY_PATH)
@click.option("--output", type=options.FOLDER, required=True, help="The folder to make.")
@options.run_dir(required=False)
@click.option("--overlay", is_flag=True, help="Also draw the outlines, into OUTPUT/overlays.")
@click.option(
    "--adapt/--fixed-threshold",
    default=None,
    help="Take, image by image, the level of probability with the clearest outline.  "
    "[default: --adapt]",
)
@click.option(
    "--flips/--no-flips",
    default=None,
    help="Average over mirror images: better and slower.  [default: --flips]",
)
@click.option(
    "--refine/--no-refine",
    default=None,
    help="Look a second time, at the lesion's surroundings only.  [default: --refine]",
)
@click.option(
    "--largest-only/--all-pieces",
    default=None,
    help="Keep the largest piece only.  [default: --largest-only]",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True)
@options.overwrite
def segment(
    source: Path,
    output: Path,
    run_dir: Path | None,
    overlay: bool,
    adapt: bool | None,
    flips: bool | None,
    refine: bool | None,
    largest_only: bool | None,
    batch_size: int,
    overwrite: bool,
) -> None:
    """Find the lesion in images: by the segmenter that ships, or that of --run-dir.

    Of images, OUTPUT gets NAME_segmentation.png in the challenge's form: 0 skin, 255 lesion, the
    image's size. Of a record folder, OUTPUT is a copy in which every example has a mask; those
    that were there stay.

    \b
    Example:
      melanoma-tf segment photo.jpg --output masks --overlay
      melanoma-tf segment tfrecords/ham10000 --output tfrecords/ham10000-masks

    An image without a lesion may give an empty mask. Research software. Not a medical device.
    """
    from melanoma_tf.core.outputs import refuse_existing
    from melanoma_tf.segmentation.predict import load_lesion_segmenter, segment_records

    refuse_existing(output, overwrite, [source, *([run_dir] if run_dir else [])])
    segmenter = load_lesion_segmenter(
        run_dir, adapt=adapt, flips=flips, refine=refine, largest_only=largest_only
    )
    if (source / "manifest.json").is_file():
        filled = segment_records(
            source,
            output,
            segmenter,
            batch_size=batch_size,
            overwrite=overwrite,
            progress=lambda examples, total: progress(examples, label="segment", total=total),
        )
        click.echo(f"wrote {output}: {filled:,} masks filled in")
        return
    _segment_images(source, output, segmenter, overlay, batch_size, overwrite)


def _segment_images(
    source: Path,
    output: Path,
    segmenter: LesionSegmenter,
    overlay: bool,
    batch_size: int,
    overwrite: bool,
) -> None:
    from melanoma_tf.core.errors import MelanomaError
    from melanoma_tf.core.outputs import published_folder
    from melanoma_tf.segmentation.predict import image_files, segment_files

    paths = image_files(source)
    results = segment_files(paths, segmenter, overlay=overlay, batch_size=batch_size)
    bad = []
    with published_folder(output, overwrite=overwrite) as folder:
        if overlay:
            (folder / "overlays").mkdir()
        for result in progress(results, label="segment", total=len(paths)):
            if result.mask is None:
                bad.append(f"{result.name}: {result.error}")
                continue
            (folder / f"{result.name}_segmentation.png").write_bytes(result.mask)
            if result.overlay:
                (folder / "overlays" / f"{result.name}_overlay.jpg").write_bytes(result.overlay)
        if len(bad) == len(paths):
            raise MelanomaError(bad[0])
    click.echo(f"wrote {len(paths) - len(bad):,} masks to {output}")
    for line in bad:
        click.echo(line, err=True)
    if bad:
        raise MelanomaError(f"{len(bad)} of {len(paths)} files were not segmented")


COMMANDS = (segment,)
