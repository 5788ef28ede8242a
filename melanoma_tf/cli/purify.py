"""`melanoma-tf purify`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, table, warn
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.urls import without_secrets
from melanoma_tf.purification.settings import PurificationSettings

if TYPE_CHECKING:
    from melanoma_tf.purification.on_files import Outcome
    from melanoma_tf.records.manifest import Manifest


@click.command(cls=GroupedCommand)
@click.argument("source", type=options.RECORDS, metavar="IMAGE|DIR|RECORDS")
@options.output(kind=options.RECORDS)
@options.runner
@options.overwrite()
@settings_options(PurificationSettings)
def purify(
    source: Path,
    output: Path,
    runner: str,
    beam_options: tuple[str, ...],
    overwrite: bool,
    settings: PurificationSettings,
) -> None:
    """Remove hairs, rulers, ink and bubbles from dermoscopic images; the lesion stays.

    Images keep their names, sizes and file types. Records come out as a new record folder with the
    originals and a purified copy of each image that needed it, in the split of its original.
    Occlusions are found and filled by the networks that ship, or by those of --detector and
    --inpainter; every pixel outside the mask stays as it is (JPEG output is compressed again; PNG
    is exact). `--method classical` needs no network and a tenth of the time.

    \b
    Example:
      melanoma-tf purify photos --output purified --mask-output masks
      melanoma-tf purify tfrecords/isic2017 --output tfrecords/isic2017-purified
      melanoma-tf purify photo.png --mask hairs.png --output purified
      melanoma-tf purify photos --method classical --segmenter none --output purified
    """
    from melanoma_tf.purification.on_disk import purify

    result = purify(
        source,
        output,
        settings,
        overwrite=overwrite,
        beam=options.beam(runner, beam_options),
        progress=lambda items, total: progress(items, label="purifying", total=total),
        log=lambda line: click.echo(line, err=True),
    )
    if result.manifest is not None:
        _print_counts(output, result.manifest)
    else:
        _print_outcomes(output, result.outcomes)


def _print_outcomes(output: Path, outcomes: Sequence[Outcome]) -> None:
    bad = [outcome for outcome in outcomes if outcome.reason]
    done = [outcome for outcome in outcomes if not outcome.reason]
    for outcome in bad:
        warn(outcome.reason)
    if done:
        mean = sum(outcome.occluded for outcome in done) / len(done)
        click.echo(f"{output}: {len(done):,} images, {mean:.1%} of their pixels were occluded")
    if bad:
        raise MelanomaError(
            f"expected {len(outcomes):,} images to purify; {len(bad):,} could not be, the first: "
            f"{bad[0].path}"
        )


def _print_counts(output: Path, manifest: Manifest) -> None:
    table(
        f"{without_secrets(str(output))} ({manifest.taxonomy})",
        ("class", "real", "purified"),
        [
            (name, *(manifest.count(class_name=name, origin=o) for o in ("real", "purified")))
            for name in manifest.class_names
        ],
    )


COMMANDS: tuple[click.Command, ...] = (purify,)
