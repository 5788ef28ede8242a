"""The report's tables of the data: counts, sources, licences, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from melanoma_tf.evaluation.predictions import listed
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.evaluation.report.tables import Table
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.schema import ORIGINS


def sources_table(manifest: Manifest) -> Table:
    """Licences and attributions."""
    rows = [
        (name, row.get("licence", ""), row.get("attribution", ""),
         f"{manifest.count(source=name):,}")
        for name, row in manifest.sources.items()
    ]  # fmt: skip
    header = ("source", "licence", "attribution", "images")
    return Table("Sources", header, rows, text_columns=3)


def counts_table(manifest: Manifest) -> Table:
    """Images by class, split and origin."""
    cells = [
        (split, origin)
        for split in manifest.splits()
        for origin in ORIGINS
        if manifest.count(split=split, origin=origin)
    ]
    titles = [split if origin == "real" else f"{split}, {origin}" for split, origin in cells]
    rows = [
        (spoken(name), *(_count(manifest, cells, class_name=name)), _all(manifest, class_name=name))
        for name in manifest.class_names
    ]
    total = ("all", *_count(manifest, cells), _all(manifest))
    caption = f"Images by split (taxonomy {manifest.taxonomy})"
    return Table(caption, ("class", *titles, "all"), [*rows, total])


def build_table(manifest: Manifest) -> Table:
    """Settings of the build."""
    rows = [(name, str(value)) for name, value in manifest.settings.items()]
    return Table("Settings of the build", ("setting", "value"), rows, text_columns=2)


def shards_table(manifest: Manifest) -> Table:
    """Files and checksums."""
    rows = [(shard.name, shard.sha256, f"{shard.count:,}") for shard in manifest.shards]
    return Table("Shards", ("shard", "SHA-256", "examples"), rows, text_columns=2)


def _count(manifest: Manifest, cells: list[tuple[str, str]], **cell: str) -> list[str]:
    return [f"{manifest.count(split=split, origin=origin, **cell):,}" for split, origin in cells]


def _all(manifest: Manifest, **cell: str) -> str:
    return f"{manifest.count(**cell):,}"


def findings(manifest: Manifest) -> Iterator[str]:
    """Sentences on what the build found."""
    found: dict[str, Any] = manifest.findings
    for source, how in found.get("split", {}).items():
        yield f"Splits of {source}: {how}."
    for source, missing in found.get("missing", {}).items():
        yield f"{missing['count']:,} rows of {source} had no image file."
    for source, unlabelled in found.get("unlabelled", {}).items():
        yield f"{unlabelled['count']:,} images of {source} had no row in the label table."
    for source, types in found.get("image_types", {}).items():
        yield f"Images of {source} by type: {listed([f'{n} ({c:,})' for n, c in types.items()])}."
    for source, unmapped in found.get("unmapped", {}).items():
        names = listed([f"{name} ({count:,})" for name, count in unmapped.items()])
        yield f"Labels of {source} without a class in this taxonomy: {names}."
    for source, count in found.get("held_out_elsewhere", {}).items():
        yield f"{count:,} rows of {source} were left out: a held-out set has the same picture."
    clusters = found.get("duplicates", {}).get("clusters", [])
    if clusters:
        treatment = found["duplicates"].get("treatment", "")
        yield f"{len(clusters):,} groups of images show one picture (treatment: {treatment})."
    for class_name, counts in found.get("novelty_filter", {}).items():
        yield (
            f"{counts['accepted']:,} of {counts['candidates']:,} generated images of "
            f"{spoken(class_name)} were kept by the novelty filter; "
            f"{counts['rejected_near_real']:,} were too near to a real one, "
            f"{counts['rejected_near_other']:,} to another, and {counts.get('surplus', 0):,} more "
            "than wanted."
        )
    if manifest.skipped:
        names = listed([row.get("key", "") for row in manifest.skipped])
        yield f"{len(manifest.skipped):,} files could not be used: {names}."
    yield f"Made by melanoma_tf {manifest.tool_version}."
