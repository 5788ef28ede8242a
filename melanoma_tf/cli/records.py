"""`build-records`, `inspect` and `verify-records`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melanoma_tf.cli.console import progress, table, warn
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.outputs import refuse_existing, refuse_existing_file

if TYPE_CHECKING:
    from melanoma_tf.records.manifest import Manifest

_FOLDER = click.Path(path_type=Path)


@click.command("build-records")
@click.option(
    "--add",
    "sources",
    metavar="NAME=DIR[,OPTION=VALUE...]",
    multiple=True,
    required=True,
    help="A data set and its folder, in its official layout; may be given several times. For csv "
    "and folder, options name the columns: csv=DIR,labels=table.csv,image=file,diagnosis=dx.",
)
@click.option("--taxonomy", required=True, help="The classes: isic2017, isic2018, ...")
@click.option("--output", type=_FOLDER, required=True, help="The record folder to make.")
@click.option(
    "--image-size", default=512, show_default=True, help="Short side in pixels; never up."
)
@click.option("--format", "image_format", default="jpeg", show_default=True, help="jpeg or png.")
@click.option("--quality", default=95, show_default=True, help="JPEG quality, 1 to 100.")
@click.option(
    "--split",
    default="auto",
    show_default=True,
    help="auto: the data set's own splits where it has held-out parts, else 0.7/0.15/0.15 by "
    "patient and lesion; official: its own splits as they are; or TRAIN/VALIDATION/TEST.",
)
@click.option("--seed", default=0, show_default=True, help="Of the division into splits.")
@click.option(
    "--duplicates",
    default="group",
    show_default=True,
    help="Images that show one picture. group: into one split; drop: one of them is left, the "
    "held-out or else the largest one; keep: only reported, and verify-records will object.",
)
@click.option(
    "--keep-split",
    metavar="SPLIT=SOURCE",
    multiple=True,
    help="test=isic2017: the test split is that of the source, whole and alone, and what shares "
    "a patient, lesion or picture with it is left out; may be given several times.",
)
@click.option("--shards", type=int, help="Shards per split; by default about 128 MiB each.")
@click.option("--workers", type=int, help="Processes that decode; by default one per core.")
@click.option(
    "--max-megapixels", default=200.0, show_default=True, help="Larger images are not decoded."
)
@click.option("--skip-bad", is_flag=True, help="Accept that unreadable images are left out.")
@click.option("--require-all", is_flag=True, help="Refuse rows that have no image file.")
@click.option("--overwrite", is_flag=True, help="Replace an existing record folder.")
@click.option("--resume", is_flag=True, help="Go on after the shards of an interrupted build.")
def build_records(
    sources: tuple[str, ...],
    output: Path,
    workers: int | None,
    overwrite: bool,
    resume: bool,
    **settings: Any,
) -> None:
    """Turn raw data sets into TFRecords: scaled, re-encoded, split and sharded.

    An image that cannot be read is left out, named here and in manifest.json, and the command
    ends with exit code 1 unless --skip-bad is given. The records depend on the data, the options
    and the seed, not on --workers. The folder appears only when it is whole.

    \b
    Example:
      melanoma-tf build-records --add isic2017=data/isic2017 \\
          --taxonomy isic2017 --output tfrecords/isic2017
    """
    from melanoma_tf.datasets.catalogue import list_source, parse_source
    from melanoma_tf.records.build import build
    from melanoma_tf.records.build.prepare import available_cores
    from melanoma_tf.records.build.unfinished import unfinished_folder

    if unfinished_folder(output).exists() and not resume:
        warn(f"an interrupted build of {output} is thrown away; --resume would go on with it")
    requests = [parse_source(text) for text in sources]
    refuse_existing(output, overwrite, [request.folder for request in requests])
    manifest = build.build_records(
        [list_source(request.name, request.folder, request.options) for request in requests],
        build.BuildSettings(**settings),
        output,
        workers=available_cores() if workers is None else workers,
        overwrite=overwrite,
        resume=resume,
        progress=functools.partial(_bar, "building"),
        search_progress=functools.partial(_bar, "searching duplicates"),
    )
    _print_counts(output, manifest)
    _print_findings(manifest)
    if manifest.skipped and not settings["skip_bad"]:
        raise MelanomaError(
            f"{len(manifest.skipped)} images could not be read and are not in {output}; mend "
            "them, or accept that with --skip-bad"
        )


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--contact-sheet", type=_FOLDER, help="Write a PNG with images of every class.")
@click.option("--overwrite", is_flag=True, help="Replace an existing contact sheet.")
def inspect(folder: Path, contact_sheet: Path | None, overwrite: bool) -> None:
    """Print what a record folder holds: counts, sizes, findings, licences and whom to cite.

    \b
    Example:
      melanoma-tf inspect tfrecords/isic2017 --contact-sheet isic2017.png
    """
    from melanoma_tf.records.manifest import read_manifest

    if contact_sheet is not None:
        refuse_existing_file(contact_sheet, overwrite)
    manifest = read_manifest(folder)
    _print_counts(folder, manifest)
    table(
        "cells",
        ("split", "class", "source", "origin", "examples"),
        [(row.split, row.class_name, row.source, row.origin, row.count) for row in manifest.counts],
    )
    _print_sizes(manifest)
    _print_findings(manifest)
    table(
        "sources",
        ("source", "licence", "attribution"),
        [(name, row["licence"], row["attribution"]) for name, row in manifest.sources.items()],
    )
    if contact_sheet is not None:
        from melanoma_tf.records.contact_sheet import contact_sheet as draw

        write_atomically(contact_sheet, draw(folder))
        click.echo(f"contact sheet: {contact_sheet}")


@click.command("verify-records")
@click.argument("folder", type=_FOLDER)
def verify_records(folder: Path) -> None:
    """Check a record folder: checksums, counts, every image and label, and leakage.

    All problems are listed; exit code 1 where there is one.

    \b
    Example:
      melanoma-tf verify-records tfrecords/isic2017
    """
    from melanoma_tf.records.manifest import read_manifest
    from melanoma_tf.records.verify import verify_records

    problems = verify_records(folder, progress=functools.partial(_bar, "verifying"))
    if problems:
        for problem in problems:
            click.echo(problem)
        raise MelanomaError(f"{folder}: expected sound records; found {len(problems)} problems")
    manifest = read_manifest(folder)
    click.echo(
        f"{folder}: {manifest.count():,} examples in {len(manifest.shards)} shards: checksums, "
        "counts, images, masks and labels are right, and nothing leaks between splits"
    )


COMMANDS: tuple[click.Command, ...] = (build_records, inspect, verify_records)


def _bar(label: str, items: Any, total: int) -> Any:
    return progress(items, label=label, total=total)


def _print_counts(folder: Path, manifest: Manifest) -> None:
    splits = manifest.splits()
    rows = [
        (name, *(manifest.count(class_name=name, split=split) for split in splits),
         manifest.count(class_name=name))
        for name in manifest.class_names
    ]  # fmt: skip
    rows.append(("all", *(manifest.count(split=split) for split in splits), manifest.count()))
    table(f"{folder} ({manifest.taxonomy})", ("class", *splits, "all"), rows)


def _print_sizes(manifest: Manifest) -> None:
    rows = []
    for split in manifest.splits():
        shards = [shard for shard in manifest.shards if shard.split == split]
        size = sum(shard.size_bytes for shard in shards)
        count = sum(shard.count for shard in shards)
        rows.append(
            (split, len(shards), count, f"{size / 2**20:.1f}", f"{size / count / 1024:.1f}")
        )
    table("sizes", ("split", "shards", "examples", "MiB", "KiB per example"), rows)


def _print_findings(manifest: Manifest) -> None:
    findings = manifest.findings
    for source, how in findings.get("split", {}).items():
        own = "its own splits" if how == "official" else f"divided {how} by patient and lesion"
        click.echo(f"{source}: {own}")
    for source, missing in findings.get("missing", {}).items():
        first = ", ".join(missing["first"])
        warn(f"{source}: {missing['count']:,} rows have no image file, the first: {first}")
    for source, diagnoses in findings.get("unmapped", {}).items():
        named = ", ".join(f"{name} ({count:,})" for name, count in diagnoses.items())
        warn(f"{source}: left out, without a class in {manifest.taxonomy}: {named}")
    for source, count in findings.get("held_out_elsewhere", {}).items():
        warn(f"{source}: {count:,} images left out, since a held-out set has their group")
    _print_duplicates(findings.get("duplicates", {}))
    for row in manifest.skipped:
        warn(f"{row.get('source', '')} {row['key']}: {row['file']}: {row['reason']}")


_FATE = {
    "drop": "one of each is left",
    "group": "each group stands in one split",
    "keep": "they were left as they are",
}
_NAMED_GROUPS = 3


def _print_duplicates(duplicates: dict[str, Any]) -> None:
    clusters = duplicates.get("clusters", ())
    if not clusters:
        return
    images = sum(len(cluster["images"]) for cluster in clusters)
    first = "; ".join(" = ".join(cluster["images"]) for cluster in clusters[:_NAMED_GROUPS])
    warn(
        f"{images:,} images show {len(clusters):,} pictures; {_FATE[duplicates['treatment']]}; "
        f"{len(duplicates['dropped']):,} dropped; the first: {first}"
    )
