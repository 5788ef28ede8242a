"""The report's section on the data: counts, sources, licences, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from melanoma_tf.evaluation.predictions import listed
from melanoma_tf.evaluation.report import html
from melanoma_tf.evaluation.report.content import DataFolder
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.schema import ORIGINS


def data_section(folders: Sequence[DataFolder]) -> tuple[str, str, html.Markup]:
    """The section: a part for each record folder."""
    parts: list[html.Text] = []
    for folder in folders:
        parts.append(html.heading(f"{folder.path} ({folder.use})"))
        if folder.manifest is None:
            parts.append(html.paragraph(f"{folder.problem}.", "notice"))
        else:
            parts.extend(_folder(folder.manifest))
    return html.section("data", "Data", *parts)


def _folder(manifest: Manifest) -> Iterator[html.Text]:
    yield html.table(
        "Sources",
        ("source", "licence", "attribution", "images"),
        [
            (name, row.get("licence", ""), row.get("attribution", ""),
             f"{manifest.count(source=name):,}")
            for name, row in manifest.sources.items()
        ],
        text_columns=3,
    )  # fmt: skip
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
    yield html.table(
        f"Images by split (taxonomy {manifest.taxonomy})",
        ("class", *titles, "all"),
        [*rows, total],
    )
    for text in _findings(manifest):
        yield html.paragraph(text, "soft")
    yield html.details(
        "How the records were made, and their checksums",
        html.table(
            "Settings of the build",
            ("setting", "value"),
            [(name, str(value)) for name, value in manifest.settings.items()],
            text_columns=2,
        ),
        html.table(
            "Shards",
            ("shard", "SHA-256", "examples"),
            [(shard.name, shard.sha256, f"{shard.count:,}") for shard in manifest.shards],
            text_columns=2,
        ),
    )


def _count(manifest: Manifest, cells: list[tuple[str, str]], **cell: str) -> list[str]:
    return [f"{manifest.count(split=split, origin=origin, **cell):,}" for split, origin in cells]


def _all(manifest: Manifest, **cell: str) -> str:
    return f"{manifest.count(**cell):,}"


def _findings(manifest: Manifest) -> Iterator[str]:
    """What the build found, in words."""
    findings: dict[str, Any] = manifest.findings
    for source, how in findings.get("split", {}).items():
        yield f"Splits of {source}: {how}."
    for source, missing in findings.get("missing", {}).items():
        yield f"{missing['count']:,} rows of {source} had no image file."
    for source, unmapped in findings.get("unmapped", {}).items():
        names = listed([f"{name} ({count:,})" for name, count in unmapped.items()])
        yield f"Labels of {source} without a class in this taxonomy: {names}."
    for source, count in findings.get("held_out_elsewhere", {}).items():
        yield f"{count:,} rows of {source} were left out: a held-out set has the same picture."
    clusters = findings.get("duplicates", {}).get("clusters", [])
    if clusters:
        treatment = findings["duplicates"].get("treatment", "")
        yield f"{len(clusters):,} groups of images show one picture (treatment: {treatment})."
    for class_name, counts in findings.get("novelty_filter", {}).items():
        yield (
            f"{counts['accepted']:,} of {counts['candidates']:,} generated images of "
            f"{spoken(class_name)} passed the novelty filter; "
            f"{counts['rejected_near_real']:,} were too near to a real one."
        )
    if manifest.skipped:
        names = listed([row.get("key", "") for row in manifest.skipped])
        yield f"{len(manifest.skipped):,} files could not be used: {names}."
    yield f"Made by melanoma_tf {manifest.tool_version}."
