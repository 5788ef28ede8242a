"""`purify`: take hairs, rulers and ink off images or records."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, table, warn
from melanoma_tf.core.errors import MelanomaError

_OPTIONS = {"occlusion_masks": "--mask"}


@click.command()
@click.argument("source", type=options.ANY_PATH, metavar="IMAGE|DIR|RECORDS")
@click.option("--output", type=options.FOLDER, required=True, help="The folder to write.")
@click.option(
    "--method",
    type=click.Choice(["classical", "network", "bisla2019"]),
    default="classical",
    show_default=True,
    help="network: occlusions are found and filled by networks.",
)
@options.run_dir(required=False)
@click.option(
    "--detector",
    default="shipped",
    show_default=True,
    metavar="shipped|classical|RUN",
    help="With network: what finds the occlusions that it fills.",
)
@click.option(
    "--mask",
    "occlusion_masks",
    type=options.ANY_PATH,
    help="Images, network: replace what is white here (a PNG, or a folder of NAME.png) instead of "
    "what is found.",
)
@click.option("--mask-output", type=options.FOLDER, help="Images: write the occlusion masks there.")
@click.option(
    "--lesion-masks",
    type=options.FOLDER,
    help="Images: folder with NAME_segmentation.png or NAME.png. Records bring their own.",
)
@click.option(
    "--segmenter",
    default="shipped",
    show_default=True,
    metavar="shipped|none|RUN",
    help="What outlines the lesion where no mask is given: in it, only hairs are taken off.",
)
@click.option(
    "--min-occlusion",
    type=float,
    help="Records: purify images with more than this share occluded.  [default: 0.006]",
)
@click.option(
    "--replace", is_flag=True, help="Records: replace originals instead of adding copies."
)
@click.option("--workers", type=int, help="Threads; by default one per core.")
@options.overwrite
def purify(
    source: Path,
    output: Path,
    method: str,
    run_dir: Path | None,
    detector: str,
    segmenter: str,
    workers: int | None,
    overwrite: bool,
    **kind: Any,
) -> None:
    """Remove hairs, rulers, ink and bubbles from dermoscopic images; the lesion stays.

    Images keep their names, sizes and file types. Records come out as a new record folder with the
    originals and a purified copy of each image that needed it, in the split of its original.
    `--method network` finds and fills by the networks that ship, or by those of --detector and
    --run-dir, and leaves every pixel outside its mask as it is (JPEG output is compressed again;
    PNG is exact).

    \b
    Example:
      melanoma-tf purify photos --output purified --mask-output masks
      melanoma-tf purify tfrecords/isic2017 --output tfrecords/isic2017-purified
      melanoma-tf purify photo.png --method network --mask hairs.png --output purified
    """
    from melanoma_tf.records.build.prepare import available_cores
    from melanoma_tf.records.manifest import FILE_NAME

    given = kind["occlusion_masks"] is not None
    # A network tells a mark from a lesion by itself.
    needs_lesions = not given and (method != "network" or detector == "classical")
    if not needs_lesions:
        if kind["lesion_masks"] is not None or segmenter not in ("shipped", "none"):
            warn("lesions are not looked at: only the classical detector does that")
        segmenter = "none"
    shared = {
        "networks": _networks(method, run_dir, detector, given),
        "segment_lesion": _lesion_finder(segmenter),
        "workers": available_cores() if workers is None else workers,
        "overwrite": overwrite,
        "progress": functools.partial(_bar, "purifying"),
    }
    images, records = (
        ("mask_output", "lesion_masks", "occlusion_masks"),
        ("min_occlusion", "replace"),
    )
    if (source / FILE_NAME).is_file():
        _refuse(kind, images, "images", f"{source} is a record folder")
        chosen = {"segmenter": segmenter, **{name: kind[name] for name in records}}
        if method == "network":
            chosen["network"] = "shipped" if run_dir is None else str(run_dir)
            chosen["detector"] = detector
        _purify_records(source, output, method, chosen, shared)
    else:
        _refuse(kind, records, "record folders", f"{source} is none")
        _purify_files(source, output, method, {name: kind[name] for name in images}, shared)


def _purify_files(
    source: Path, output: Path, method: str, places: dict[str, Any], shared: dict[str, Any]
) -> None:
    from melanoma_tf.purification.on_files import purify_files

    outcomes = purify_files(source, output, method=method, **places, **shared)
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


def _purify_records(
    source: Path, output: Path, method: str, chosen: dict[str, Any], shared: dict[str, Any]
) -> None:
    from melanoma_tf.purification.on_records import PurifySettings, purify_records

    given = {name: value for name, value in chosen.items() if value is not None}
    manifest = purify_records(source, output, PurifySettings(method=method, **given), **shared)
    table(
        f"{output} ({manifest.taxonomy})",
        ("class", "real", "purified"),
        [
            (name, *(manifest.count(class_name=name, origin=o) for o in ("real", "purified")))
            for name in manifest.class_names
        ],
    )


def _lesion_finder(segmenter: str) -> Callable[[Any], Any] | None:
    if segmenter == "none":  # Without it, TensorFlow need not be loaded.
        return None
    from melanoma_tf.segmentation.predict import load_lesion_segmenter

    segmenter = load_lesion_segmenter(None if segmenter == "shipped" else Path(segmenter))
    return lambda image: segmenter.mask(image).numpy()


def _networks(method: str, run_dir: Path | None, detector: str, masks_given: bool) -> Any:
    if method != "network":
        given = {
            "--run-dir": run_dir is not None,
            "--detector": detector != "shipped",
            "--mask": masks_given,
        }
        for option, found in given.items():
            if found:
                raise MelanomaError(f"expected {option} with --method network only; found {method}")
        return None
    if masks_given and detector != "shipped":
        raise MelanomaError(
            f"expected --mask or --detector: a mask is replaced as it is; found both, {detector}"
        )
    from melanoma_tf.purification.networks import load_networks

    return load_networks(run_dir, "classical" if masks_given else detector)


def _refuse(given: dict[str, Any], names: tuple[str, ...], what: str, found: str) -> None:
    for name in names:
        if given[name]:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise MelanomaError(f"expected {option} with {what} only; {found}")


def _bar(label: str, items: Any, total: int) -> Any:
    return progress(items, label=label, total=total)


COMMANDS: tuple[click.Command, ...] = (purify,)
