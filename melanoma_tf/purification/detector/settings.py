"""Settings of the occlusion detector and its training."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.core.settings import fraction, redeclared, setting
from melanoma_tf.purification.settings import PatchSettings
from melanoma_tf.training.settings import RateSettings


@dataclass(frozen=True)
class DetectorSettings(PatchSettings):
    """Everything that decides a detector's training.

    Attributes:
        base_filters, levels: see `purification.detector.network.build_detector`.
        weights: `none`, or the `weights.npz` of another run of the same network to start from.
        clean_fraction: fraction of the patches that nothing is drawn on.
        coarse_fraction: fraction of the patches that look like those of a smaller image, of down
            to a sixth of the working size, enlarged to it.
        learning_rate, schedule: of Adam; see `training.schedules.rate_by_name`.

    Example:
        >>> DetectorSettings(levels=4).epochs
        20
    """

    base_filters: int = setting(
        12,
        "Filters of the first layer, by which all widths grow.",
        minimum=1,
        maximum=512,
        group="Network",
    )
    levels: int = setting(3, "How often the size is halved.", minimum=1, maximum=8, group="Network")
    clean_fraction: float = fraction(
        0.1, "Fraction of the patches that nothing is drawn on.", group="Data"
    )
    coarse_fraction: float = fraction(
        0.4,
        "Fraction of the patches that look like those of an enlarged small image.",
        group="Data",
    )
    epochs: int = redeclared(RateSettings, "epochs", 20)
    batch_size: int = redeclared(RateSettings, "batch_size", 4)
    learning_rate: float = redeclared(RateSettings, "learning_rate", 2e-3)
    schedule: str = redeclared(RateSettings, "schedule", "cosine")
