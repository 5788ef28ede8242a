"""Settings of the use of exported models. Free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.core.settings import Settings, setting


@dataclass(frozen=True)
class PredictionSettings(Settings):
    """Settings of the use of an exported classifier.

    Attributes:
        batch_size: images in a batch.
    """

    batch_size: int = setting(32, "Images in a batch.", minimum=1, group="Inference")
