"""Learning-rate schedules that several networks are trained by."""

from __future__ import annotations

from typing import Union

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras

SCHEDULES = ("constant", "cosine")
_FIRST_SHARE = 0.05
_RISE_SHARE = 0.03
Rate = Union[float, keras.optimizers.schedules.LearningRateSchedule]


def cosine(peak: float, steps: int, rise: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """From a twentieth of the peak up to it in a straight line, then down to 0 along a cosine.

    Args:
        peak: the highest rate.
        steps: of the whole training.
        rise: of the first part; 0 begins at the peak.
    """
    fall = max(1, steps - rise)
    if not rise:
        return keras.optimizers.schedules.CosineDecay(peak, fall)
    return keras.optimizers.schedules.CosineDecay(
        _FIRST_SHARE * peak, fall, warmup_target=peak, warmup_steps=rise
    )


def rate_by_name(schedule: str, peak: float, steps: int) -> Rate:
    """`constant`, or `cosine` with a rise of 3 % of the training.

    Raises:
        MelanomaError: another schedule.
    """
    if schedule not in SCHEDULES:
        raise MelanomaError(f"expected a schedule out of {', '.join(SCHEDULES)}; found {schedule}")
    if schedule == "constant":
        return peak
    return cosine(peak, steps, max(1, round(_RISE_SHARE * steps)))
