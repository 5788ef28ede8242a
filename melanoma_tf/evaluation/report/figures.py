"""Figures of the report, in colours that stay distinct under colour blindness and in grey.

Matplotlib's objects are used directly: no figure is registered anywhere, and the same numbers give
the same bytes.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from typing import Callable, TypeVar, cast

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from melanoma_tf.evaluation.reliability import ReliabilityBin

# Okabe and Ito's palette, which keeps its differences under every common colour blindness.
_BLUE, _SKY, _ORANGE, _VERMILION, _INK = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#222222"
_ORIGINS = {"real": (_BLUE, ""), "purified": (_SKY, "///"), "generated": (_ORANGE, "xx")}
_MARKERS = ("o", "s", "^", "D", "v")
_STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.edgecolor": "#666666",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "hatch.color": "white",
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.parse_math": False,  # a dollar sign in a name is one
    "svg.hashsalt": "melanoma-tf",  # else the names inside an SVG are random
}
_PANEL_INCHES = (4.6, 3.6)

Draw = TypeVar("Draw", bound=Callable[..., Figure])


def _styled(draw: Draw) -> Draw:
    @functools.wraps(draw)
    def styled(*values: object, **options: object) -> Figure:
        with matplotlib.rc_context(_STYLE):
            figure = draw(*values, **options)
            # Laid out once and for all: each drawing would else move things a little.
            engine = figure.get_layout_engine()
            if engine is not None:
                engine.execute(figure)
            figure.set_layout_engine("none")
            return figure

    return cast(Draw, styled)


def spoken(name: str) -> str:
    """A class's name as it is written in text."""
    return name.replace("_", " ")


def as_svg(figure: Figure) -> bytes:
    """The figure as SVG, without a date; letters are drawn, so that no font is needed."""
    content = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        # Not `savefig`, which draws everything twice.
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None, "Creator": None})
    return content.getvalue()


def as_pixels(figure: Figure, dots_per_inch: int = 110) -> npt.NDArray[np.uint8]:
    """The figure as uint8 `(height, width, 3)` RGB."""
    figure.set_dpi(dots_per_inch)
    canvas = FigureCanvasAgg(figure)
    with matplotlib.rc_context(_STYLE):
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@_styled
def class_sizes(counts: Mapping[str, Mapping[str, int]], title: str, unit: str) -> Figure:
    """Bars of the classes' sizes, stacked by origin (Bisla et al. 2019, Figures 7 and 11).

    Args:
        counts: by class, then by origin.
        title: above the bars.
        unit: what is counted, below them.
    """
    figure, axes = _panel(height=1.5 + 0.42 * len(counts))
    rows = np.arange(len(counts))
    left = np.zeros(len(counts))
    for origin, (colour, hatch) in _ORIGINS.items():
        widths = np.array([row.get(origin, 0) for row in counts.values()], dtype=float)
        if widths.any():
            axes.barh(rows, widths, 0.7, left, color=colour, hatch=hatch, label=origin)
        left += widths
    largest = max(1.0, float(left.max(initial=0)))
    for row, total in enumerate(left.tolist()):
        axes.text(total + 0.015 * largest, row, f"{total:,.0f}", va="center")
    axes.set_xlim(0, 1.16 * largest)
    axes.set_yticks(rows, [spoken(name) for name in counts])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left")
    if left.any():
        figure.legend(loc="outside lower center", ncols=3)
    return figure


@_styled
def training_curve(
    title: str,
    training: Sequence[float],
    validation: Sequence[float] | None,
    best_epoch: int | None,
) -> Figure:
    """One metric by epoch.

    Args:
        title: the metric's name.
        training: a value per epoch.
        validation: the same, or None.
        best_epoch: the epoch whose weights were kept, from 1 on.
    """
    figure, axes = _panel()
    _line(axes, training, _BLUE, "-", "training")
    if validation is not None:
        _line(axes, validation, _VERMILION, "--", "validation")
    if best_epoch is not None:
        axes.axvline(best_epoch, color="#666666", linestyle=":", label=f"kept: epoch {best_epoch}")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set_xlabel("epoch")
    axes.set_title(title, loc="left")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@_styled
def roc(
    name: str,
    curve: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    area: str,
    points: Mapping[str, Mapping[str, float]],
    counts: str,
) -> Figure:
    """The ROC curve of one class against the rest, with operating points on it.

    Args:
        name: of the class.
        curve: false positive rates and sensitivities, each `(points,)` and rising.
        area: under it, in words.
        points: by the sensitivity that they were to reach, their `sensitivity` and `specificity`.
        counts: number of images of the class and of all images, in words.
    """
    figure, axes = _panel(height=4.5)
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle=":")
    axes.plot(*curve, color=_BLUE, linewidth=2)
    for (wanted, point), marker in zip(points.items(), _MARKERS):
        axes.plot(
            1 - point["specificity"], point["sensitivity"], marker,
            color=_VERMILION, markeredgecolor="white", markersize=8, clip_on=False, zorder=3,
            linestyle="none", label=f"sensitivity {wanted}: specificity {point['specificity']:.2f}",
        )  # fmt: skip
    _finish_roc(axes, f"{spoken(name)} ({counts})\nAUC {area}")
    return figure


@_styled
def roc_comparison(
    name: str,
    curves: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
    areas: Mapping[str, str],
    counts: str,
) -> Figure:
    """The ROC curves of several classifiers, of one class against the rest.

    Args:
        name: of the class.
        curves: by classifier, at most three; see `roc`.
        areas: under them, in words.
        counts: number of images of the class and of all images, in words.
    """
    figure, axes = _panel(height=4.5)
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle=":")
    styles = ((_VERMILION, "--"), (_BLUE, "-"), (_ORANGE, "-."))
    for (classifier, curve), (colour, style) in zip(curves.items(), styles):
        label = f"{classifier}: AUC {areas[classifier]}"
        axes.plot(*curve, color=colour, linestyle=style, linewidth=2, label=label)
    _finish_roc(axes, f"{spoken(name)} ({counts})")
    return figure


def _finish_roc(axes: Axes, title: str) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    axes.set_title(title, loc="left", pad=10)
    axes.legend(loc="lower right", fontsize=8.5)


@_styled
def differences(rows: Mapping[str, tuple[float, float, float]], title: str) -> Figure:
    """Differences with their intervals, a row each, and a line at none.

    Args:
        rows: by name, the difference and the limits of its interval.
        title: of what the differences are.
    """
    figure, axes = _panel(height=1.4 + 0.42 * len(rows))
    places = np.arange(len(rows))
    values, low, high = np.array(list(rows.values())).reshape(-1, 3).T
    axes.axvline(0, color="#888888", linewidth=1, linestyle=":")
    axes.errorbar(
        values, places, xerr=np.abs([low - values, high - values]), color=_BLUE, marker="o",
        linestyle="none", elinewidth=2, capsize=3,
    )  # fmt: skip
    axes.set_yticks(places, [spoken(name) for name in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("difference, 95 % interval")
    axes.set_title(title, loc="left")
    return figure


@_styled
def confusion_matrix(
    matrix: Sequence[Sequence[float]],
    undecided: Sequence[float],
    class_names: Sequence[str],
    title: str = "",
) -> Figure:
    """Decisions by true class (Bisla et al. 2019, Figure 9): counts, shaded by row.

    Args:
        matrix: rows true, columns decided.
        undecided: by true class, ties for the largest score; they get a column where there are any.
        class_names: of rows and columns.
        title: above the matrix.
    """
    counts = np.asarray(matrix, dtype=float)
    ties = np.asarray(undecided, dtype=float)
    columns = [spoken(name) for name in class_names]
    if ties.any():
        counts, columns = np.column_stack([counts, ties]), [*columns, "tie"]
    totals = counts.sum(axis=1, keepdims=True)
    fractions = counts / np.where(totals > 0, totals, 1)
    side = 2.4 + 0.72 * len(class_names)
    figure, axes = _panel(side + 0.7, side)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        percent = f"\n{fractions[row, column]:.0%}" if totals[row, 0] else ""
        ink = "white" if fractions[row, column] > 0.55 else _INK
        axes.text(column, row, f"{count:g}{percent}", ha="center", va="center", color=ink)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(class_names)), [spoken(name) for name in class_names])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(title, loc="left")
    axes.set_xlabel("decided")
    axes.set_ylabel("true")
    return figure


@_styled
def reliability_diagram(bins: Sequence[ReliabilityBin], title: str, frequency: str) -> Figure:
    """Predicted probability against observed frequency, above how many images predict it.

    Args:
        bins: see `ReliabilityBin`.
        title: whose probability it is.
        frequency: what is counted on the upright axis.
    """
    figure = Figure(figsize=(_PANEL_INCHES[0], 4.8), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle=":", label="calibrated")
    x = np.array([each.probability for each in bins])
    y = np.array([each.frequency for each in bins])
    reach = np.abs(np.array([each.interval for each in bins]).reshape(-1, 2).T - y)
    axes.errorbar(
        x, y, yerr=reach, color=_BLUE, marker="o", linestyle="none", elinewidth=1, capsize=2,
        label="observed, 95 % interval",
    )  # fmt: skip
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel(frequency)
    axes.set_title(title, loc="left")
    axes.legend(loc="upper left", fontsize=8.5)
    below.bar(
        [each.low for each in bins], [each.count for each in bins],
        [each.high - each.low for each in bins], align="edge", color=_SKY, edgecolor="white",
    )  # fmt: skip
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    below.set_xlim(0, 1)
    below.set_ylabel("images")
    below.set_xlabel("predicted probability")
    for each in (axes.xaxis, below.xaxis, axes.yaxis):
        each.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def _panel(
    width: float = _PANEL_INCHES[0], height: float = _PANEL_INCHES[1]
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _line(axes: Axes, values: Sequence[float], colour: str, style: str, label: str) -> None:
    epochs = range(1, len(values) + 1)
    # A curve of one epoch would not be seen without its marker.
    marker = "o" if len(values) <= 30 else None
    axes.plot(
        epochs, values, color=colour, linestyle=style, marker=marker, markersize=4, label=label
    )
