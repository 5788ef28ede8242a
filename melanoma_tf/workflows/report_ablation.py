"""The report of an ablation: effects with intervals, and every variant over the seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf import __version__
from melanoma_tf.classification.settings import ClassifierSettings
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.evaluation.predictions import read_predictions
from melanoma_tf.evaluation.report import figures
from melanoma_tf.evaluation.report.charts import Chart
from melanoma_tf.evaluation.report.content import flat_settings
from melanoma_tf.evaluation.report.tables import Cell, Estimate, Table
from melanoma_tf.evaluation.score_text import nested
from melanoma_tf.workflows import report
from melanoma_tf.workflows.ablation import NAME, Ablation
from melanoma_tf.workflows.ablation_effects import Effect, Run, effects
from melanoma_tf.workflows.report import Section, section, table, text

# Metrics with their titles; those that the classes do not define are left out.
METRICS = {
    ("auc", "melanoma"): "AUC of melanoma",
    ("mean_auc",): "mean AUC",
    ("balanced_accuracy",): "balanced accuracy",
    ("accuracy",): "accuracy",
}
_Effects = Mapping[str, list[Effect]]


def write_ablation_report(ablation: Ablation, training: ClassifierSettings, output: Path) -> None:
    """Write `report.html` and `results.json` of a finished ablation.

    Args:
        ablation: whose trainings and evaluations are done.
        training: of all classifiers.
        output: the folder to appear.
    """
    runs: dict[Run, str] = {
        (variant, seed): f"evaluation/{name}-{seed}"
        for seed in ablation.seeds
        for name, variant in ablation.variants.items()
    }
    scores = {
        run: read_checked_json(ablation.work_dir / path / "metrics.json")
        for run, path in runs.items()
    }
    metrics = {
        path: title
        for path, title in METRICS.items()
        if all(nested(each, path) is not None for each in scores.values())
    }
    predictions = {
        run: read_predictions(ablation.work_dir / path / "predictions.csv")
        for run, path in runs.items()
    }
    settings = ablation.settings
    found = effects(
        predictions, settings.names, list(metrics), rounds=settings.rounds, seed=training.seed
    )
    first = next(iter(scores.values()))
    subtitle = (
        f"{len(ablation.variants)} variants, {len(ablation.seeds)} seeds, "
        f"{first['n']:,} test images."
    )
    results = {
        "experiment": NAME,
        "version": __version__,
        "settings": {"ablation": settings.to_json(), "training": training.to_public_json()},
        "test_images": first["n"],
        "effects": {name: [_plain(each) for each in row] for name, row in found.items()},
        "variants": _by_run(ablation, scores, list(metrics)),
    }
    sections = _sections(ablation, training, scores, found, metrics)
    report.write_page(output, "Ablation", subtitle, sections, results)


def _sections(
    ablation: Ablation,
    training: ClassifierSettings,
    scores: Mapping[Run, Any],
    found: _Effects,
    metrics: Mapping[tuple[str, ...], str],
) -> list[Section]:
    return [
        section(
            "effects",
            "Effects",
            table(effects_table(found, metrics)),
            text(_explanation(ablation), "soft"),
            report.charts(
                [_chart(found, index, title) for index, title in enumerate(metrics.values())]
            ),
        ),
        section(
            "variants",
            "Variants",
            table(_variants(ablation, scores, metrics)),
            text("Mean over the seeds, and the range below it.", "soft"),
        ),
        section("settings", "Settings", table(_settings(ablation, training))),
    ]


def _by_run(
    ablation: Ablation, scores: Mapping[Run, Any], metrics: Sequence[tuple[str, ...]]
) -> dict[str, dict[str, float]]:
    return {
        f"{name}-{seed}": {".".join(path): nested(scores[variant, seed], path) for path in metrics}
        for name, variant in ablation.variants.items()
        for seed in ablation.seeds
    }


def effects_table(found: _Effects, metrics: Mapping[tuple[str, ...], str]) -> Table:
    """The effects with their intervals."""
    rows: list[tuple[Cell, ...]] = [
        (name, *(_cell(each) for each in row)) for name, row in found.items()
    ]
    return Table("Differences, with minus without", ("factor", *metrics.values()), rows)


def _cell(effect: Effect) -> Estimate:
    if effect.value is None:
        return Estimate("undefined")
    limits = "" if effect.low is None else f"{effect.low:+.3f}, {effect.high:+.3f}"
    return Estimate(f"{effect.value:+.3f}", limits)


def _plain(effect: Effect) -> dict[str, Any]:
    return {**dataclasses.asdict(effect), "metric": ".".join(effect.metric)}


def _explanation(ablation: Ablation) -> str:
    pairs = (
        "of all pairs of variants that differ in it alone"
        if ablation.settings.design == "full"
        else "of the variant with it alone and the one without any factor"
    )
    return (
        f"The effect of a factor is the mean difference {pairs}, each within a seed; all: all "
        "factors less none. Brackets hold 95 % intervals of a paired bootstrap over the test "
        "images, or patients where they are known: chance of the images, not of the trainings. "
        "They are not corrected for the number of factors and metrics."
    )


def _chart(found: _Effects, index: int, title: str) -> Chart:
    rows = {name: row[index] for name, row in found.items()}
    drawn = {
        name: (each.value, each.low, each.high)
        for name, each in rows.items()
        if each.value is not None and each.low is not None and each.high is not None
    }
    words = "; ".join(f"{name} {value:+.3f} [{low:+.3f}, {high:+.3f}]"
                      for name, (value, low, high) in drawn.items())  # fmt: skip
    figure = figures.differences(drawn, title)
    return Chart(f"effects/{title}", figure, f"Differences of {title}: {words}.")


def _variants(
    ablation: Ablation, scores: Mapping[Run, Any], metrics: Mapping[tuple[str, ...], str]
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, variant in ablation.variants.items():
        cells = []
        for path in metrics:
            values = [nested(scores[variant, seed], path) for seed in ablation.seeds]
            spread = f"{min(values):.3f}, {max(values):.3f}" if len(values) > 1 else ""
            cells.append(Estimate(f"{np.mean(values):.3f}", spread))
        rows.append((name, *cells))
    return Table("Scores on the test images", ("factors", *metrics.values()), rows)


def _settings(ablation: Ablation, training: ClassifierSettings) -> Table:
    chosen = {"ablation": ablation.settings.to_json(), "training": training.to_public_json()}
    rows = [(name, str(each)) for name, each in flat_settings(chosen)]
    return Table("Settings", ("setting", "value"), rows, text_columns=2)
