"""The report's sections on scores: key figures, ROC curves, decisions, calibration, thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from melanoma_tf.evaluation.report import html
from melanoma_tf.evaluation.report.charts import Chart, scored_classes
from melanoma_tf.evaluation.report.content import ReportContent
from melanoma_tf.evaluation.report.figures import as_svg, spoken
from melanoma_tf.evaluation.score_text import OVERALL, PER_CLASS, nested, remarks

Section = tuple[str, str, html.Markup]

_CALIBRATION = (
    ("expected calibration error (15 bins, decided class)", "expected_calibration_error"),
    ("Brier score (0 best, 2 worst)", "brier_score"),
    ("negative log-likelihood (nats)", "negative_log_likelihood"),
)


def score_sections(content: ReportContent, figures: Iterable[Chart]) -> Iterator[Section]:
    """All of them but for the key figures, in the report's order."""
    yield _roc(content, figures)
    yield _decisions(content, figures)
    yield _calibration(content, figures)
    yield _operating_points(content)


def key_figures(content: ReportContent) -> Section:
    """The section of figures with intervals."""
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
        embedded(figures, "roc"),
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
        embedded(figures, "confusion_matrix"),
        html.details(
            "As a table",
            html.table("Decisions (rows: truth)", ("truth", *map(spoken, names), "tie"), rows),
        ),
    )


def _calibration(content: ReportContent, figures: Iterable[Chart]) -> Section:
    title = ("calibration", "Calibration")
    scores = content.scores
    if not scores["are_probabilities"]:
        return html.section(
            *title, html.paragraph("The scores are no probabilities: there is nothing to compare.")
        )
    interval = scores.get("interval", {})
    rows = [
        (name, _value(scores[key]), _limits(interval.get(key)))
        for name, key in _CALIBRATION
        if key in scores
    ]
    return html.section(
        *title,
        *(html.paragraph(text) for text in _temperatures(content)),
        embedded(figures, "calibration"),
        html.table("How far off", ("figure", "value", "95 % interval"), rows),
        _before_and_after(scores.get("calibration") or {}),
    )


def _temperatures(content: ReportContent) -> Iterator[str]:
    if not content.scores.get("calibrated"):
        yield "No temperature was applied: these are the networks' own probabilities."
        return
    for run, told in zip(content.runs, content.scores["runs"]):
        yield f"{run.name}: logits were divided by a temperature of {told['temperature']:.4g}."


def _before_and_after(calibration: Mapping[str, Any]) -> html.Markup:
    raw, calibrated = calibration.get("raw"), calibration.get("calibrated")
    if not raw or not calibrated:
        return html.Markup("")
    rows = [(name, _value(raw[key]), _value(calibrated[key])) for name, key in _CALIBRATION]
    return html.table("Without and with temperature", ("figure", "without", "with"), rows)


def _operating_points(content: ReportContent) -> Section:
    title = ("operating-points", "Operating points")
    points = content.scores["operating_points"]
    parts = [
        html.paragraph("A score of at least the threshold is taken for the class."),
        _points(f"Chosen on the {content.split} split itself", points["chosen_on_this_set"]),
        html.paragraph(
            "The largest thresholds that reach the sensitivity on these very images, as the "
            "ISIC 2017 challenge defines the specificity: for comparing networks. On other images "
            "they reach another sensitivity. Intervals are those of the threshold as it stands.",
            "soft",
        ),
    ]
    source = points.get("carried_over_from")
    if not source:
        parts.append(html.paragraph("No thresholds chosen on other images were applied."))
        return html.section(*title, *parts)
    chosen_on = source["chosen_on"]
    caption = f"Chosen on {chosen_on['n']:,} images of split {chosen_on['split']}, applied here"
    parts.append(_points(caption, points["carried_over"]))
    if source["same_images"]:
        parts.append(html.paragraph("They were chosen on these very images.", "notice"))
    for difference in source["differences"]:
        parts.append(html.paragraph(f"They were chosen otherwise: {difference}.", "notice"))
    return html.section(*title, *parts)


def _points(
    caption: str, points: Mapping[str, Mapping[str, Mapping[str, Any] | None]]
) -> html.Markup:
    rows = [
        (
            spoken(name),
            wanted,
            f"{point['threshold']:.4g}",
            *(
                _value(point[figure]) + _interval(nested(point, ("interval", figure)))
                for figure in ("sensitivity", "specificity")
            ),
        )
        for name, row in points.items()
        for wanted, point in row.items()
        if point is not None
    ]
    columns = ("class", "sensitivity wanted", "threshold", "sensitivity", "specificity")
    return html.table(caption, columns, rows)


def embedded(drawn: Iterable[Chart], section: str) -> html.Markup:
    """The figures of a section of the report."""
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
