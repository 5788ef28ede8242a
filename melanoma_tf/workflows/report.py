"""The report of the ISIC 2017 experiment: published numbers beside those of this run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.core.files import read_json, write_atomically, write_json
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.evaluation.report.data import findings
from melanoma_tf.evaluation.report.render import environment
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.workflows import isic2017_tasks as tasks
from melanoma_tf.workflows import published
from melanoma_tf.workflows import report_figures as figures
from melanoma_tf.workflows import report_tables as tables

CLASSIFIERS = ("baseline", "proposed")


def write_experiment_report(
    work: tasks.Tasks, notes: Sequence[str], steps: Sequence[Mapping[str, Any]], output: Path
) -> None:
    """Write `report.html` and `results.json` of a finished experiment.

    Args:
        work: whose steps are done.
        notes: what differs from the paper.
        steps: per step its `name`, `output`, `seconds` and `attempts`.
        output: the folder to appear.
    """
    work_dir = work.work_dir
    results = collect(work, notes, steps)
    generated = [_generated(work_dir, name) for name in work.classes]
    raw, purified = (read_manifest(work_dir / each) for each in (tasks.RAW, tasks.PURIFIED))
    html = (
        environment("melanoma_tf.workflows")
        .get_template("experiment.html.j2")
        .render(
            results=results,
            version=__version__,
            accuracy=published.ACCURACY,
            manifest=raw,
            tables={
                "table_3": tables.table_3(results["scores"]),
                "table_4": tables.table_4(results["scores"]),
                "comparison": tables.comparison(results["comparison"]),
                "purified": tables.purified(purified),
                "growth": tables.growth(results["expansion"]),
                "steps": tables.steps(steps),
                "settings": tables.settings(work.settings),
            },
            charts={
                "roc": figures.roc_charts(work_dir, results["scores"]),
                "confusion": [figures.confusion_chart(*each) for each in results["scores"].items()],
                "growth": figures.growth_charts(results["expansion"]),
            },
            sheets={
                "purified": figures.purified_sheet(work_dir / tasks.PURIFIED),
                "generated": generated,
            },
        )
    )
    with published_folder(output) as folder:
        write_json(folder / "results.json", results)
        write_atomically(folder / "report.html", html)


def collect(
    work: tasks.Tasks, notes: Sequence[str], steps: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Collect the content of `results.json`."""
    work_dir = work.work_dir
    evaluation = work_dir / tasks.EVALUATION
    scores = {name: read_json(evaluation / name / "metrics.json") for name in CLASSIFIERS}
    generated: dict[str, Any] = {}
    for name in work.classes:
        manifest = read_manifest(work_dir / tasks.generated_records(name))
        generated |= manifest.findings["novelty_filter"]
    raw = read_manifest(work_dir / tasks.RAW)
    return {
        "experiment": "isic2017",
        "version": __version__,
        "settings": work.settings.to_json(),
        "notes": list(notes),
        "images": _counts(raw),
        "test_images": scores["proposed"]["n"],
        "scores": scores,
        "comparison": read_json(work_dir / tasks.COMPARISON / "comparison.json"),
        "expansion": read_json(work_dir / tasks.EXPANSION / "expansion.json"),
        "generated": generated,
        "steps": [dict(each) for each in steps],
    }


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    return {
        name: {split: manifest.count(split=split, class_name=name) for split in manifest.splits()}
        for name in manifest.class_names
    }


def _generated(work_dir: Path, class_name: str) -> dict[str, Any]:
    folder = work_dir / tasks.generated_records(class_name)
    return {
        "class_name": class_name,
        "histogram": (folder / f"{class_name}_histogram.png").read_bytes(),
        "spaced": (folder / f"{class_name}_spaced.png").read_bytes(),
        "findings": list(findings(read_manifest(folder))),
    }
