"""Figures of the novelty of generated images: the histogram, and images above their nearest."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

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
    step = _TILE_PX + _GAP_PX
    canvas = np.full((2 * step + 20, len(generated) * step + _GAP_PX, 3), 255, np.uint8)
    for column, (above, below, label) in enumerate(zip(generated, real, labels)):
        left = _GAP_PX + column * step
        for row, image in enumerate((above, below)):
            top = _GAP_PX + row * step
            tile = cv2.resize(image, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_CUBIC)
            canvas[top : top + _TILE_PX, left : left + _TILE_PX] = tile
        place = (left, canvas.shape[0] - 6)
        cv2.putText(canvas, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return cv2.imencode(".png", cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))[1].tobytes()
