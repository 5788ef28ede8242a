"""The report on a run, one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from melanoma_tf.evaluation.report import html
from melanoma_tf.evaluation.report.charts import Chart, charts
from melanoma_tf.evaluation.report.content import (
    Mistake,
    MistakeGroup,
    ReportContent,
    TrainedRun,
    notices,
)
from melanoma_tf.evaluation.report.data import data_section
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.evaluation.report.scores import Section, embedded, key_figures, score_sections
from melanoma_tf.records.schema import ORIGINS

_DEVICE = "Research software. Not a medical device."
# Of config.json, what the section on the data shows better.
_OF_DATA = ("shards", "further_records", "sources")
# Of metrics.json, what was done rather than what came out.
_OF_EVALUATION = (
    "split", "records", "combine", "scores", "tta", "purify", "calibrated", "images_sha256",
    "bootstrap",
)  # fmt: skip


def render_report(content: ReportContent, drawn: Sequence[Chart] | None = None) -> str:
    """The report as HTML.

    The same content gives the same bytes: there is no date in it, and no name of a machine.

    Args:
        content: see `ReportContent`.
        drawn: what `report_charts.charts` gives, where that is at hand.
    """
    figures = list(charts(content)) if drawn is None else drawn
    head = [
        html.paragraph(_DEVICE, "device"),
        html.paragraph(
            f"Split {content.split}, {content.scores['n']:,} images, classes: "
            f"{', '.join(map(spoken, content.scores['classes']))}. melanoma_tf {content.version}.",
            "soft",
        ),
        *(html.paragraph(text, "notice") for text in notices(content)),
    ]
    sections = [
        key_figures(content),
        _class_sizes(content, figures),
        _training(content, figures),
        *score_sections(content, figures),
        _mistakes(content.mistakes, content.mistakes_note),
        _settings(content),
        data_section(content.folders),
    ]
    foot = html.paragraph(
        f"melanoma_tf {content.version}. Made from predictions.csv with SHA-256 {content.digest}. "
        + _DEVICE
    )
    return html.page(f"Report on {content.title}", head, sections, foot)


def _class_sizes(content: ReportContent, figures: Iterable[Chart]) -> Section:
    title = ("class-sizes", "Class sizes by stage")
    if not content.stages:
        return html.section(
            *title, html.paragraph("The records that were trained on cannot be read any more.")
        )
    names = content.stages[0].counts
    columns = [
        (name, origin)
        for name in names
        for origin in ORIGINS
        if any(stage.counts[name].get(origin, 0) for stage in content.stages)
    ]
    rows = [
        (
            stage.name,
            *(f"{sum(stage.counts[name].values()):,}" for name in names),
            f"{_generated_fraction(stage.counts):.0%}",
        )
        for stage in content.stages
    ]
    last = content.stages[-1].counts
    origins = [(spoken(name), origin, f"{last[name].get(origin, 0):,}") for name, origin in columns]
    of_first = [html.paragraph(f"Of {content.runs[0].name}.")] if len(content.runs) > 1 else []
    return html.section(
        *title,
        *of_first,
        embedded(figures, "class_sizes"),
        html.table(
            "Training set, stage by stage",
            ("stage", *map(spoken, names), "generated"),
            rows,
        ),
        html.details(
            "By origin",
            html.table(
                f"{content.stages[-1].name}, by origin",
                ("class", "origin", "examples"),
                origins,
                text_columns=2,
            ),
        ),
    )


def _generated_fraction(counts: Mapping[str, Mapping[str, int]]) -> float:
    total = sum(sum(row.values()) for row in counts.values())
    return sum(row.get("generated", 0) for row in counts.values()) / total if total else 0.0


def _training(content: ReportContent, figures: Iterable[Chart]) -> Section:
    told = [html.paragraph(f"{run.name}: {_progress(run)}") for run in content.runs]
    return html.section("training", "Training curves", *told, embedded(figures, "training"))


def _progress(run: TrainedRun) -> str:
    kept = run.kept_epoch()
    if kept is None:
        return "no history of its training is there."
    done = max(map(len, run.history.values()))
    if run.has_validation():
        return f"{done} epochs; the weights of epoch {kept} were kept, the best on validation."
    return f"{done} epochs; there was no validation split, so the last one's weights were kept."


def _mistakes(groups: Sequence[MistakeGroup], note: str) -> Section:
    parts: list[html.Text] = [html.paragraph(note)]
    for group in groups:
        parts.append(html.heading(f"{group.title}: {group.total:,}"))
        if group.shown:
            parts.append(html.grid([_mistake(each) for each in group.shown], "pairs"))
    return html.section("errors", "Examples of errors", *parts)


def _mistake(mistake: Mistake) -> html.Markup:
    true, decided = spoken(mistake.true), spoken(mistake.decided)
    images = [html.image(mistake.view, "jpeg", f"{mistake.image_id}, a {true} taken for {decided}")]
    if mistake.saliency is not None:
        images.append(
            html.image(
                mistake.saliency, "jpeg", "The same image, what the network looked at in colour"
            )
        )
    caption = (
        f"{mistake.image_id}: {true} ({mistake.probabilities[0]:.2f}) taken for {decided} "
        f"({mistake.probabilities[1]:.2f})"
    )
    return html.figure(*images, caption=caption)


def _settings(content: ReportContent) -> Section:
    runs = content.runs
    flat = [dict(_flattened(run.config)) for run in runs]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    rows = [(key, *(each.get(key, "") for each in flat)) for key in keys]
    columns = ("setting", *(run.name if len(runs) > 1 else "value" for run in runs))
    parts = [html.table("Training (config.json)", columns, rows, text_columns=len(columns))]
    told = {name: content.scores[name] for name in _OF_EVALUATION if name in content.scores}
    if told:
        parts.append(
            html.table(
                "Evaluation (metrics.json)",
                ("setting", "value"),
                list(_flattened(told)),
                text_columns=2,
            )
        )
    return html.section("settings", "Settings", *parts)


def _flattened(config: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in config.items():
        if not prefix and key in _OF_DATA:
            continue
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, _written(value)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_written, value))
    return "none" if value is None else str(value)
