"""The prevalence of the classes that probabilities assume, as options give it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from melanoma_tf.core.errors import MelanomaError

EQUAL = "equal"
METAVAR = "equal|NAME=VALUE,..."
HELP = (
    "Class frequencies that probabilities assume: equal (as balanced accuracy counts the classes), "
    "or a fraction for each class. Needs calibrate --method bias-corrected."
)
SHOWN_DEFAULT = "those of the images that calibration was fitted on"
_TOLERANCE = 1e-6  # Of the sum: three thirds in six digits are 0.999999.


def check_prevalence(text: str | None) -> None:
    """Check what can be told before the classes are known.

    Raises:
        MelanomaError: neither `equal` nor fractions above 0 that add up to 1, one a class.
    """
    if text is not None and text != EQUAL:
        _fractions(text)


def read_prevalence(text: str | None, class_names: Sequence[str]) -> dict[str, float] | None:
    """Return the fraction of each class, in the classes' order; None for that of the fitted images.

    Args:
        text: `equal`, or a fraction of each class, as `melanoma=0.1,nevus=0.9`; or None.
        class_names: all classes.

    Raises:
        MelanomaError: as `check_prevalence`; a class is missing, or is none of them.

    Example:
        >>> read_prevalence("equal", ("melanoma", "nevus"))
        {'melanoma': 0.5, 'nevus': 0.5}
    """
    if text is None:
        return None
    if text == EQUAL:
        return {name: 1 / len(class_names) for name in class_names}
    found = _fractions(text)
    for names, others, what in ((class_names, found, "no"), (found, class_names, "unknown")):
        lacking = [name for name in names if name not in others]
        if lacking:
            raise MelanomaError(
                f"expected a prevalence of each class, {', '.join(class_names):.200}; "
                f"found {what} {lacking[0]:.80}"
            )
    return {name: found[name] for name in class_names}


def shown_prevalence(prevalence: dict[str, float] | None) -> str:
    """Words for what `read_prevalence` returns."""
    if prevalence is None:
        return "of the fitted images"
    return ", ".join(f"{name} {value:.4g}" for name, value in prevalence.items())


def _fractions(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, given = part.rpartition("=")
        name = name.strip()
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not name or not 0 < value <= 1:
            raise MelanomaError(
                f"expected a prevalence of equal, or NAME=VALUE of each class with values above 0; "
                f"found {part!r:.80}"
            )
        if name in found:
            raise MelanomaError(f"expected a prevalence of each class once; found {name:.80} twice")
        found[name] = value
    total = math.fsum(found.values())
    if round(abs(total - 1), 9) > _TOLERANCE:
        raise MelanomaError(f"expected a prevalence that adds up to 1; found a sum of {total:.9g}")
    return found
