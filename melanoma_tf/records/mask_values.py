"""The values of a mask file -> skin and lesion, by what the file means rather than by its mode.

People keep masks as grey 0 and 255, as 0 and 1, in 16 bits, as one colour on black, or in the alpha
channel alone. `read_values` takes them all, and refuses what holds something but would come out
empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.records.header import UnreadableImageError

# A grey value above it is lesion, as in the challenges' own code.
LEVEL = 128
_LEVEL_16_BIT = LEVEL * 257
_NAMED_VALUES = 4

INVERTED = "more lesion along the border than in the middle; is it inverted?"


@dataclass(frozen=True)
class Mask:
    """A mask, and what was unusual about its file.

    Attributes:
        pixels: uint8 `(height, width)`, 0 skin, 255 lesion.
        notes: such as that its values are 0 and 1; empty for a mask of grey 0 and 255.
    """

    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def read_values(decoded: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Mask:
    """Read the values of a decoded mask.

    Of colours, the strongest channel counts; where it is the same everywhere, their brightness; of
    a picture that is black all over, the alpha channel. Then 0 is skin where the mask has one other
    value, and that is lesion; of more values, those above 128 (of 255) are lesion, so that soft
    edges stay readable.

    Args:
        decoded: `(height, width)`, or `(height, width, 3 or 4)` in the order blue, green, red,
            alpha.

    Raises:
        UnreadableImageError: no value but 0 is above the threshold, so that the mask would come
            out empty though it is not.
    """
    notes = []
    grey, channel = _grey(decoded)
    if channel:
        notes.append(f"read from its {channel}")
    # Sixteen bits are often only the container of eight.
    wide = grey.dtype == np.uint16 and grey.max(initial=0) > 255
    values = _few_values(grey)
    lesion = grey > (_LEVEL_16_BIT if wide else LEVEL)
    if len(values) == 2 and values[0] == 0:
        lesion = grey > 0
        if values[1] != 255 and not (wide and values[1] == 65535):
            notes.append(f"its values are 0 and {values[1]}, read as skin and lesion")
    elif values == [1]:
        lesion = grey > 0
        notes.append("its only value is 1, read as lesion")
    if not lesion.any() and grey.any():
        shown = ", ".join(map(str, values[:_NAMED_VALUES])) or "many"
        raise UnreadableImageError(
            f"mask without lesion by its values ({shown}), though it is not empty; expected 0 for "
            "skin and one other value, or above 128, for lesion"
        )
    if is_inverted(lesion):
        notes.append(INVERTED)
    return Mask(lesion.view(np.uint8) * np.uint8(255), tuple(notes))


def is_inverted(lesion: npt.NDArray[np.bool_]) -> bool:
    """Tell whether more of the border than of the middle is lesion.

    Args:
        lesion: bool `(height, width)`. The border is its outermost pixels, the middle the square
            half as high and wide.
    """
    height, width = lesion.shape
    border = np.concatenate([lesion[0], lesion[-1], lesion[:, 0], lesion[:, -1]])
    rows, columns = (slice(size // 4, size - size // 4) for size in (height, width))
    return bool(border.mean() > lesion[rows, columns].mean())


def _grey(decoded: np.ndarray) -> tuple[np.ndarray, str]:
    """One value for each pixel, and where it is from, unless it is plain grey."""
    if decoded.ndim == 2:
        return decoded, ""
    blue, green, red = (decoded[..., channel] for channel in range(3))
    strongest = np.maximum(np.maximum(blue, green), red)
    coloured = not (np.array_equal(blue, green) and np.array_equal(green, red))
    if decoded.shape[2] == 4 and not _is_constant(alpha := decoded[..., 3]):
        top = np.iinfo(decoded.dtype).max
        # What is transparent counts as black.
        seen = (strongest.astype(np.float64) * alpha / top).round().astype(decoded.dtype)
        if not seen.any() or _is_constant(strongest):
            return alpha, "alpha channel"
        return seen, "colours and alpha channel"
    if coloured and _is_constant(strongest):
        brightness = cv2.cvtColor(np.ascontiguousarray(decoded[..., :3]), cv2.COLOR_BGR2GRAY)
        return brightness, "brightness"
    return strongest, "colours" if coloured else ""


def _is_constant(values: np.ndarray) -> bool:
    return bool((values == values.flat[0]).all())


def _few_values(grey: np.ndarray) -> list[int]:
    """The distinct values in ascending order, if there are at most sixteen; else none."""
    levels = np.iinfo(grey.dtype).max + 1
    # Many times faster than NumPy's own counting, which first makes 64-bit integers of the pixels.
    values = np.flatnonzero(cv2.calcHist([grey], [0], None, [levels], [0, levels]))
    return [int(value) for value in values] if len(values) <= 16 else []
