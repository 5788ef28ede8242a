"""`build-records`, `inspect` and `verify-records`."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, table, warn
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.outputs import refuse_existing, refuse_existing_file
from melanoma_tf.core.urls import without_secrets
from melanoma_tf.records.build.settings import BuildSettings

if TYPE_CHECKING:
    from melanoma_tf.records.manifest import Manifest


@click.command("build-records", cls=GroupedCommand)
@click.option(
    "--add",
    "sources",
    metavar="NAME=DIR[,OPTION=VALUE...]",
    multiple=True,
    required=True,
    help="Data set and its folder in the official layout; may be repeated. Options of csv and "
    "folder name the columns: csv=DIR,labels=table.csv,image=file,diagnosis=dx.",
)
@options.output("Record folder to create, also s3:// or gs://.", kind=options.RECORDS)
@click.option(
    "--against",
    type=options.RECORDS,
    multiple=True,
    help="Record folder whose pictures are left out, and whose patients and lesions keep its "
    "splits, so that both can be used together; may be repeated.",
)
@click.option("--workers", type=int, help="Threads that decode images; one per core by default.")
@options.runner
@options.overwrite("an existing record folder")
@options.resume("an interrupted build after its last image")
@settings_options(BuildSettings)
def build_records(
    sources: tuple[str, ...],
    output: Path,
    against: tuple[Path, ...],
    workers: int | None,
    runner: str,
    beam_options: tuple[str, ...],
    overwrite: bool,
    resume: bool,
    settings: BuildSettings,
) -> None:
    """Build sharded TFRecords from raw data sets.

    Images are downscaled, re-encoded without metadata and split by patient and lesion. An
    unreadable image is left out and listed here and in manifest.json, and the command ends with
    exit code 1 unless --skip-bad is given. The records depend on the data, the settings and the
    seed, not on --workers. An interrupted build never leaves a folder that other commands accept.

    \b
    Example:
      melanoma-tf build-records --add isic2017=data/isic2017 \\
          --taxonomy isic2017 --output tfrecords/isic2017
    """
    from melanoma_tf.datasets.catalogue import list_source, parse_source
    from melanoma_tf.records.build import build
    from melanoma_tf.records.build.threads import available_cores
    from melanoma_tf.records.build.unfinished import unfinished_folder

    if unfinished_folder(output).exists() and not resume:
        shown = without_secrets(str(output))
        warn(f"discarding an interrupted build of {shown}; --resume would continue it")
    requests = [parse_source(text) for text in sources]
    refuse_existing(output, overwrite, [request.folder for request in requests])
    manifest = build.build_records(
        [list_source(request.name, request.folder, request.options) for request in requests],
        settings,
        output,
        workers=available_cores() if workers is None else workers,
        overwrite=overwrite,
        resume=resume,
        against=against,
        beam=options.beam(runner, beam_options),
        progress=functools.partial(_bar, "preparing images"),
        write_progress=functools.partial(_bar, "writing records"),
    )
    _print_counts(output, manifest)
    _print_findings(manifest)
    if manifest.skipped and not settings.skip_bad:
        raise MelanomaError(
            f"{len(manifest.skipped)} images could not be read and are not in {output}; repair "
            "them, or accept it with --skip-bad"
        )


@click.command()
@click.argument("folder", type=options.RECORDS)
@click.option(
    "--contact-sheet", type=options.FILE, help="Also write a PNG with images of every class."
)
@options.overwrite("an existing contact sheet and JSON file")
@json_output("the manifest", has_overwrite=True)
def inspect(folder: Path, contact_sheet: Path | None, overwrite: bool, save_json: SaveJson) -> None:
    """Print the contents of a record folder: counts, sizes, findings, licences and citations.

    \b
    Example:
      melanoma-tf inspect tfrecords/isic2017 --contact-sheet isic2017.png
    """
    from melanoma_tf.records.manifest import read_manifest

    if contact_sheet is not None:
        refuse_existing_file(contact_sheet, overwrite, [folder])
    manifest = read_manifest(folder)
    save_json(dataclasses.asdict(manifest))
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
@click.argument("folder", type=options.RECORDS)
@json_output("the problems")
def verify_records(folder: Path, save_json: SaveJson) -> None:
    """Verify a record folder: checksums, counts, images, masks, labels and leakage.

    The command lists all problems, and ends with exit code 1 if it finds any.

    \b
    Example:
      melanoma-tf verify-records tfrecords/isic2017
    """
    from melanoma_tf.records.manifest import read_manifest
    from melanoma_tf.records.verify import verify_records

    problems = verify_records(folder, progress=functools.partial(_bar, "verifying"))
    save_json(
        {
            "folder": without_secrets(str(folder)),
            "problems": [without_secrets(each) for each in problems],
        }
    )
    if problems:
        for problem in problems:
            click.echo(without_secrets(problem))
        raise MelanomaError(f"{folder}: expected sound records; found {len(problems)} problems")
    manifest = read_manifest(folder)
    click.echo(
        f"{without_secrets(str(folder))}: {manifest.count():,} examples in "
        f"{len(manifest.shards)} shards: checksums, counts, images, masks and "
        "labels are correct, and nothing leaks between splits"
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
    title = f"{without_secrets(str(folder))} ({manifest.taxonomy})"
    table(title, ("class", *splits, "all"), rows)


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
        text = "official splits" if how == "official" else f"divided {how} by patient and lesion"
        click.echo(f"{source}: {text}")
    for source, missing in findings.get("missing", {}).items():
        first = ", ".join(missing["first"])
        warn(f"{source}: {missing['count']:,} rows have no image file, the first: {first}")
    for source, unlabelled in findings.get("unlabelled", {}).items():
        first = ", ".join(unlabelled["first"])
        warn(f"{source}: {unlabelled['count']:,} images have no row, the first: {first}")
    for source, reasons in findings.get("passed_over", {}).items():
        for reason, files in reasons.items():
            first = ", ".join(files["first"])
            warn(f"{source}: passed over {files['count']:,} x {reason}, the first: {first}")
    from melanoma_tf.records.mask_values import INVERTED

    for source, masks in findings.get("inverted_masks", {}).items():
        first = ", ".join(masks["first"])
        warn(f"{source}: {masks['count']:,} masks have {INVERTED} The first: {first}")
    for source, types in findings.get("image_types", {}).items():
        named = ", ".join(f"{name} ({count:,})" for name, count in types.items())
        click.echo(f"{source}: image types: {named}")
    for source, diagnoses in findings.get("unmapped", {}).items():
        named = ", ".join(f"{name} ({count:,})" for name, count in diagnoses.items())
        warn(f"{source}: left out, without a class in {manifest.taxonomy}: {named}")
    for source, count in findings.get("held_out_elsewhere", {}).items():
        warn(f"{source}: {count:,} images left out: a held-out set has their patient or lesion")
    _print_duplicates(findings.get("duplicates", {}))
    _print_against(findings.get("against", {}))
    for row in manifest.skipped:
        warn(f"{row.get('source', '')} {row['key']}: {row['file']}: {row['reason']}")


def _print_against(against: dict[str, Any]) -> None:
    if against.get("count"):
        what = "left out" if against["left_out"] else "kept"
        warn(
            f"{against['count']:,} images {what}: {', '.join(against['folders'])} has their "
            f"pictures, the first: {', '.join(against['first'])}"
        )


_TREATED = {
    "drop": "one of each is kept",
    "group": "each group is in one split",
    "keep": "all of them are kept",
}
_NAMED_GROUPS = 3


def _print_duplicates(duplicates: dict[str, Any]) -> None:
    clusters = duplicates.get("clusters", ())
    if not clusters:
        return
    images = sum(len(cluster["images"]) for cluster in clusters)
    first = "; ".join(" = ".join(cluster["images"]) for cluster in clusters[:_NAMED_GROUPS])
    warn(
        f"{images:,} images show {len(clusters):,} pictures; {_TREATED[duplicates['treatment']]}; "
        f"{len(duplicates['dropped']):,} dropped; the first: {first}"
    )
