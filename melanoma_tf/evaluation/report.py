"""The report on a run, one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from melanoma_tf.evaluation import report_html as html
from melanoma_tf.evaluation.curves import operating_point
from melanoma_tf.evaluation.report_charts import (
    Chart,
    charts,
    one_against_rest,
    points_on_curve,
    scored_classes,
)
from melanoma_tf.evaluation.report_content import (
    Mistake,
    MistakeGroup,
    ReportContent,
    TrainedRun,
    notices,
)
from melanoma_tf.evaluation.report_data import data_section
from melanoma_tf.evaluation.report_figures import as_svg, spoken
from melanoma_tf.evaluation.score_text import OVERALL, PER_CLASS, nested, remarks
from melanoma_tf.records.schema import ORIGINS

_DEVICE = "Research software. Not a medical device."
# Of config.json, what the section on the data shows better.
_OF_DATA = ("shards", "further_records", "sources")

Section = tuple[str, str, html.Markup]


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
        _key_figures(content),
        _class_sizes(content, figures),
        _training(content, figures),
        _roc(content, figures),
        _decisions(content, figures),
        _calibration(content, figures),
        _operating_points(content),
        _mistakes(content.mistakes, content.mistakes_note),
        _settings(content.runs),
        data_section(content.folders),
    ]
    foot = html.paragraph(
        f"melanoma_tf {content.version}. Made from predictions.csv with SHA-256 {content.digest}. "
        + _DEVICE
    )
    return html.page(f"Report on {content.title}", head, sections, foot)


def _key_figures(content: ReportContent) -> Section:
    scores = content.scores
    names = scores["classes"]
    interval = scores.get("interval", {})
    overall = [
        (title, _value(scores[key]), _limits(interval.get(key)))
        for title, key in OVERALL
        if key in scores
    ]
    images = ("images", *(f"{scores['n_per_class'][name]:,}" for name in names))
    by_class = [
        (
            title,
            *(
                _value(nested(scores, path)) + _interval(nested(interval, path))
                for path in ((first, name, *rest) for name in names)
            ),
        )
        for title, (first, *rest) in PER_CLASS
    ]
    return html.section(
        "key-figures",
        "Key figures",
        html.table("Over all classes", ("figure", "value", "95 % interval"), overall),
        html.table(
            "Each class against the rest, with 95 % intervals",
            ("figure", *map(spoken, names)),
            [images, *by_class],
        ),
        *(html.paragraph(text, "soft") for text in remarks(dict(scores))),
    )


def _value(value: float | None) -> html.Markup:
    return html.escape("undefined" if value is None else f"{value:.3f}")


def _limits(interval: Mapping[str, Any] | None) -> str:
    return "" if interval is None else f"{interval['low']:.3f} to {interval['high']:.3f}"


def _interval(interval: Mapping[str, Any] | None) -> html.Markup:
    """The interval in a line of its own, for the cell of a value."""
    if interval is None:
        return html.Markup("")
    return html.Markup('<span class="interval">[{}, {}]</span>').format(
        f"{interval['low']:.3f}", f"{interval['high']:.3f}"
    )


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
            f"{_generated_share(stage.counts):.0%}",
        )
        for stage in content.stages
    ]
    last = content.stages[-1].counts
    origins = [(spoken(name), origin, f"{last[name].get(origin, 0):,}") for name, origin in columns]
    return html.section(
        *title,
        _figures(figures, "class_sizes"),
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


def _generated_share(counts: Mapping[str, Mapping[str, int]]) -> float:
    total = sum(sum(row.values()) for row in counts.values())
    return sum(row.get("generated", 0) for row in counts.values()) / total if total else 0.0


def _training(content: ReportContent, figures: Iterable[Chart]) -> Section:
    told = [html.paragraph(f"{run.name}: {_progress(run)}") for run in content.runs]
    return html.section("training", "Training curves", *told, _figures(figures, "training"))


def _progress(run: TrainedRun) -> str:
    kept = run.kept_epoch()
    if kept is None:
        return "no history of its training is there."
    done = max(map(len, run.history.values()))
    if run.has_validation():
        return f"{done} epochs; the weights of epoch {kept} were kept, the best on validation."
    return f"{done} epochs; there was no validation split, so the last one's weights were kept."


def _roc(content: ReportContent, figures: Iterable[Chart]) -> Section:
    drawn = scored_classes(content)
    missing = [name for name in content.scores["classes"] if name not in drawn]
    return html.section(
        "roc",
        "ROC curves",
        html.paragraph(
            "One class against the rest, the area with DeLong's 95 % interval. Marks: where the "
            "curve first reaches a sensitivity."
        ),
        _figures(figures, "roc"),
        *(
            html.paragraph(f"{spoken(name)}: no curve, for want of examples or counter-examples.")
            for name in missing
        ),
    )


def _decisions(content: ReportContent, figures: Iterable[Chart]) -> Section:
    title = ("confusion", "Confusion matrix")
    matrix = content.scores["confusion_matrix"]
    if matrix is None:
        return html.section(*title, html.paragraph("The columns are not all of the classes."))
    names = content.scores["classes"]
    undecided = content.scores["undecided"]
    rows = [
        (spoken(name), *(f"{count:g}" for count in row), f"{undecided[name]:g}")
        for name, row in zip(names, matrix)
    ]
    return html.section(
        *title,
        html.paragraph("Each image goes to the class of its largest probability."),
        _figures(figures, "confusion_matrix"),
        html.details(
            "As a table",
            html.table("Decisions (rows: truth)", ("truth", *map(spoken, names), "tie"), rows),
        ),
    )


def _calibration(content: ReportContent, figures: Iterable[Chart]) -> Section:
    title = ("calibration", "Calibration")
    if not content.scores["are_probabilities"]:
        return html.section(
            *title, html.paragraph("The scores are no probabilities: there is nothing to compare.")
        )
    interval = content.scores.get("interval", {})
    rows = [
        (name, _value(content.scores[key]), _limits(interval.get(key)))
        for name, key in (
            ("expected calibration error (15 bins, decided class)", "expected_calibration_error"),
            ("Brier score (0 best, 2 worst)", "brier_score"),
        )
    ]
    temperature = content.calibration.get("temperature")
    told = (
        "No temperature was fitted: these are the network's own probabilities."
        if temperature is None
        else f"Temperature fitted on validation: {temperature:.4g}."
    )
    return html.section(
        *title,
        html.paragraph(told),
        _figures(figures, "calibration"),
        html.table("How far off", ("figure", "value", "95 % interval"), rows),
    )


def _operating_points(content: ReportContent) -> Section:
    parts = []
    interval = content.scores.get("interval")
    rows = []
    for name in scored_classes(content):
        for wanted, point in points_on_curve(content, name).items():
            path = ("specificity_at_sensitivity", name, wanted)
            rows.append(
                (
                    spoken(name), wanted, f"{point.threshold:.4g}", f"{point.sensitivity:.3f}",
                    _value(point.specificity) + _interval(nested(interval, path)),
                )
            )  # fmt: skip
    columns = ("class", "sensitivity wanted", "threshold", "sensitivity", "specificity")
    parts.append(
        html.table(f"Thresholds chosen on the {content.split} split itself", columns, rows)
    )
    parts.append(
        html.paragraph(
            "The first thresholds, from the top, that reach the sensitivity on these very images, "
            "as the ISIC 2017 challenge defines the specificity: for comparing networks. On other "
            "images they reach another sensitivity.",
            "soft",
        )
    )
    parts.append(_fitted_points(content, columns))
    return html.section("operating-points", "Operating points", *parts)


def _fitted_points(content: ReportContent, columns: Sequence[str]) -> html.Markup:
    fitted = content.calibration.get("thresholds") or {}
    rows = []
    for name in scored_classes(content):
        is_positive, scores = one_against_rest(content, name)
        for wanted, threshold in fitted.get(name, {}).items():
            point = operating_point(is_positive, scores, threshold)
            rows.append(
                (
                    spoken(name), wanted, f"{threshold:.4g}",
                    _value(point.sensitivity) + _interval(_named(point.sensitivity_interval)),
                    _value(point.specificity) + _interval(_named(point.specificity_interval)),
                )
            )  # fmt: skip
    if not rows:
        return html.paragraph("No thresholds fitted on validation are stored with this run.")
    return html.join(
        [
            html.table(f"Thresholds fitted on validation, on {content.split}", columns, rows),
            html.paragraph("Wilson's 95 % intervals, images taken as independent.", "soft"),
        ]
    )


def _named(limits: tuple[float, float]) -> dict[str, float]:
    return {"low": limits[0], "high": limits[1]}


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


def _settings(runs: Sequence[TrainedRun]) -> Section:
    flat = [dict(_flattened(run.config)) for run in runs]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    rows = [(key, *(each.get(key, "") for each in flat)) for key in keys]
    columns = ("setting", *(run.name if len(runs) > 1 else "value" for run in runs))
    return html.section(
        "settings",
        "Settings",
        html.table("config.json", columns, rows, text_columns=len(columns)),
    )


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


def _figures(drawn: Iterable[Chart], section: str) -> html.Markup:
    found = [chart for chart in drawn if chart.name.split("/")[0] == section]
    figures = [
        html.figure(
            html.image(as_svg(chart.figure), "svg+xml", chart.alternative),
            kind="wide" if chart.wide else "",
        )
        for chart in found
    ]
    if any(chart.wide for chart in found):
        return html.join(figures)
    return html.grid(figures)
