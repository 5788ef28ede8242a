"""Figures of generated images and their nearest real ones: histogram and sheets."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from melanoma_tf.core import image_sheets as sheets

Images = npt.NDArray[np.uint8]
_COLUMNS = 8
_GAP_PX = 4
_TILE_PX = 128


def histogram(distances: npt.NDArray[np.float64], min_mse: float, title: str) -> bytes:
    """Draw a PNG of the distances to nearest real images, with mean and deviation (Figure 5B).

    Args:
        distances: mean squared errors, pixels in [0, 1].
        min_mse: of the novelty filter, drawn as a line.
        title: above the histogram.
    """
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(distances, bins="auto", color="tab:blue")
    axes.axvline(min_mse, color="tab:red", label=f"minimum {min_mse:.4f}")
    deviation = distances.std(ddof=1) if len(distances) > 1 else 0.0
    axes.set_title(f"{title}: {distances.mean():.4f} \u00b1 {deviation:.4f}")
    axes.set_xlabel("mean squared error to the nearest real image")
    axes.set_ylabel("generated images")
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def smallest(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The images with the smallest distances, in their order."""
    return np.argsort(distances, kind="stable")[:_COLUMNS]


def spaced(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Images at evenly spaced ranks of distance, from the smallest to the largest."""
    order = np.argsort(distances, kind="stable")
    places = np.linspace(0, len(order) - 1, min(_COLUMNS, len(order))).round().astype(int)
    return order[places]


def sheet(generated: Sequence[Images], real: Sequence[Images], labels: Sequence[str]) -> bytes:
    """Draw a PNG of generated images above their nearest real ones (Figure 6).

    Args:
        generated: uint8 `(size, size, 3)` each.
        real: the same.
        labels: a word below each pair.
    """
    columns = []
    for pair in zip(generated, real, labels):
        tiles = [sheets.resize_to_square(image, _TILE_PX) for image in pair[:2]]
        column = sheets.add_margins(sheets.stack(tiles, _GAP_PX), top=_GAP_PX)
        columns.append(sheets.stack([column, sheets.caption(pair[2], _TILE_PX)]))
    sheet_of_pairs = sheets.side_by_side(columns, _GAP_PX)
    return sheets.encode_png(sheets.add_margins(sheet_of_pairs, left=_GAP_PX, right=_GAP_PX))
