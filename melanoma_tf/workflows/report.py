"""The page of an experiment's report: sections of text, tables, charts and sheets of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.core.files import read_checked_json, read_json, write_atomically, write_json
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.evaluation.report import data
from melanoma_tf.evaluation.report.charts import Chart
from melanoma_tf.evaluation.report.render import environment
from melanoma_tf.evaluation.report.tables import Table
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.workflows import report_tables as tables
from melanoma_tf.workflows import tasks

NOT_THESE = (
    "The published numbers are those of other images and trainings: they say what to expect of the "
    "whole data, not what this run should have reached."
)


@dataclass(frozen=True)
class Block:
    """A part of a section.

    Attributes:
        kind: `text`, `soft`, `notice`, `heading`, `table`, `charts` or `sheet`.
        content: a text, a `Table`, a list of charts, or the bytes of a PNG.
        alternative: of a sheet, what it shows.
        caption: of a sheet; may be empty.
    """

    kind: str
    content: Any
    alternative: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        identifier: unique on the page.
        title: above it, and in the list of sections.
        blocks: from top to bottom.
    """

    identifier: str
    title: str
    blocks: tuple[Block, ...]


def section(identifier: str, title: str, *blocks: Block | Iterable[Block] | None) -> Section:
    """Make a section of blocks, and of several at once; None is left out."""
    flat: list[Block] = []
    for each in blocks:
        if each is not None:
            flat += [each] if isinstance(each, Block) else each
    return Section(identifier, title, tuple(flat))


def text(words: str, kind: str = "text") -> Block:
    """A paragraph; `soft` and `notice` are further kinds."""
    return Block(kind, words)


def table(content: Table) -> Block:
    """A table."""
    return Block("table", content)


def charts(content: Sequence[Chart]) -> Block:
    """Charts next to each other."""
    return Block("charts", list(content))


def sheet(png: bytes, alternative: str, caption: str = "") -> Block:
    """A picture."""
    return Block("sheet", png, alternative, caption)


def differences(notes: Sequence[str]) -> Section:
    """The section on what differs from the paper."""
    return section(
        "differences",
        "What differs from the paper",
        text(NOT_THESE),
        (text(note, "notice") for note in notes),
    )


def appendix(
    work: tasks.Tasks, manifest: Manifest, steps: Sequence[Mapping[str, Any]]
) -> list[Section]:
    """The last sections: data, steps and settings."""
    return [
        section(
            "data",
            "Data",
            table(data.sources_table(manifest)),
            table(data.counts_table(manifest)),
            (text(words, "soft") for words in data.findings(manifest)),
        ),
        section("steps", "Steps", table(tables.steps(steps))),
        section("settings", "Settings", table(tables.settings(work.settings))),
    ]


def read_scores(work_dir: Path, names: Iterable[str]) -> dict[str, Any]:
    """Read the metrics of some evaluations, by name."""
    return {
        name: read_checked_json(work_dir / tasks.EVALUATION / name / "metrics.json")
        for name in names
    }


def read_comparison(work_dir: Path, suffix: str = "") -> dict[str, Any]:
    """Read the paired differences of two evaluations."""
    path = work_dir / f"{tasks.EVALUATION}/comparison{suffix}" / "comparison.json"
    found: dict[str, Any] = read_json(path)
    return found


def common_results(
    experiment: str,
    work: tasks.Tasks,
    notes: Sequence[str],
    steps: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The part of `results.json` that experiments share."""
    return {
        "experiment": experiment,
        "version": __version__,
        "settings": work.settings.to_json(),
        "notes": list(notes),
        "images": _counts(read_manifest(work.work_dir / tasks.RAW)),
        "steps": [dict(each) for each in steps],
    }


def write_page(
    output: Path,
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    results: Mapping[str, Any],
) -> None:
    """Write `report.html` and `results.json` into a folder, which appears whole."""
    page = environment("melanoma_tf.workflows").get_template("experiment.html.j2")
    html = page.render(title=title, subtitle=subtitle, sections=sections, version=__version__)
    with published_folder(output) as folder:
        write_json(folder / "results.json", dict(results))
        write_atomically(folder / "report.html", html)


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    return {
        name: {split: manifest.count(split=split, class_name=name) for split in manifest.splits()}
        for name in manifest.class_names
    }
