"""The report on a run, one HTML file that needs nothing else.

The templates hold the words and the structure, the other modules of this package the numbers.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from melanoma_tf.evaluation.report import data, scores
from melanoma_tf.evaluation.report.charts import Chart, charts
from melanoma_tf.evaluation.report.content import ReportContent, flat_settings, notices
from melanoma_tf.evaluation.report.figures import as_svg, spoken
from melanoma_tf.evaluation.report.tables import Table
from melanoma_tf.evaluation.score_text import remarks
from melanoma_tf.records.schema import ORIGINS

# Keys of config.json that the section on the data shows.
_OF_DATA = ("shards", "further_records", "sources")
# Keys of metrics.json on how the images were evaluated.
_OF_EVALUATION = (
    "split", "records", "combine", "scores", "tta", "purify", "calibrated", "images_sha256",
    "bootstrap",
)  # fmt: skip
_SECTIONS_WITH_CHARTS = ("class_sizes", "training", "roc", "confusion_matrix", "calibration")


def render_report(content: ReportContent, drawn: Sequence[Chart] | None = None) -> str:
    """Render the report as HTML.

    The same content gives the same bytes: there is no date in it, and no name of a machine.

    Args:
        content: see `ReportContent`.
        drawn: the result of `charts`, if it is there already.
    """
    drawn = list(charts(content)) if drawn is None else drawn
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            content=content,
            scores=content.scores,
            notices=list(notices(content)),
            remarks=list(remarks(dict(content.scores))),
            charts={
                section: [chart for chart in drawn if chart.name.split("/")[0] == section]
                for section in _SECTIONS_WITH_CHARTS
            },
            tables={
                "overall": scores.overall_table(content.scores),
                "by_class": scores.class_table(content.scores),
                "stages": _stages(content),
                "origins": _origins(content),
                "confusion": scores.confusion_table(content.scores),
                "calibration": scores.calibration_table(content.scores),
                "calibrated": scores.calibrated_table(content.scores),
                "in_sample": scores.in_sample_table(content.scores, content.split),
                "transferred": scores.transferred_table(content.scores),
                "training_settings": _training_settings(content),
                "evaluation_settings": _evaluation_settings(content),
            },
        )
    )


@functools.cache
def environment(*packages: str) -> Environment:
    """Return the environment of the report's templates, and of those of further packages.

    Args:
        packages: with a folder `templates` each; their templates may use those of the report.
    """
    names = (*packages, "melanoma_tf.evaluation.report")
    found = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in names]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(spoken=spoken, thousands=_thousands, svg=_svg, base64=_base64)
    found.globals.update(
        sources_table=data.sources_table,
        counts_table=data.counts_table,
        build_table=data.build_table,
        shards_table=data.shards_table,
        findings=data.findings,
    )
    return found


def _thousands(count: int) -> str:
    return f"{count:,}"


def _svg(figure: Figure) -> bytes:
    return as_svg(figure)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _stages(content: ReportContent) -> Table | None:
    if not content.stages:
        return None
    names = content.stages[0].counts
    rows = [
        (
            stage.name,
            *(f"{sum(stage.counts[name].values()):,}" for name in names),
            f"{_generated_fraction(stage.counts):.0%}",
        )
        for stage in content.stages
    ]
    header = ("stage", *map(spoken, names), "generated")
    return Table("Training set, stage by stage", header, rows)


def _origins(content: ReportContent) -> Table | None:
    if not content.stages:
        return None
    last = content.stages[-1]
    rows = [
        (spoken(name), origin, f"{last.counts[name].get(origin, 0):,}")
        for name in content.stages[0].counts
        for origin in ORIGINS
        if any(stage.counts[name].get(origin, 0) for stage in content.stages)
    ]
    header = ("class", "origin", "examples")
    return Table(f"{last.name}, by origin", header, rows, text_columns=2)


def _generated_fraction(counts: Mapping[str, Mapping[str, int]]) -> float:
    total = sum(sum(row.values()) for row in counts.values())
    return sum(row.get("generated", 0) for row in counts.values()) / total if total else 0.0


def _training_settings(content: ReportContent) -> Table:
    runs = content.runs
    flat = [
        {key: _written(value) for key, value in flat_settings(run.config, _OF_DATA)} for run in runs
    ]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    rows = [(key, *(each.get(key, "") for each in flat)) for key in keys]
    header = ("setting", *(run.name if len(runs) > 1 else "value" for run in runs))
    return Table("Training (config.json)", header, rows, text_columns=len(header))


def _evaluation_settings(content: ReportContent) -> Table | None:
    settings = {name: content.scores[name] for name in _OF_EVALUATION if name in content.scores}
    if not settings:
        return None
    rows = [(key, _written(value)) for key, value in flat_settings(settings)]
    return Table("Evaluation (metrics.json)", ("setting", "value"), rows, text_columns=2)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_written, value))
    return "none" if value is None else str(value)
