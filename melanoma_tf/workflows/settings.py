"""Settings of the workflows. Free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.core.settings import Settings, setting


@dataclass(frozen=True)
class DemoSettings(Settings):
    """Size of the demo.

    Attributes:
        images: number of phantoms, divided 0.7/0.15/0.15 into the splits.
        image_size_px: side of a phantom in pixels.
        epochs: passes over the training phantoms.
        batch_size: images in a training step.
        workers: processes that build the records.
        seed: of everything.
    """

    images: int = setting(600, "Number of phantoms.", minimum=60, group="Size")
    image_size_px: int = setting(128, "Side of a phantom in pixels.", minimum=32, group="Size")
    epochs: int = setting(12, "Epochs of the classifier.", minimum=1, group="Size")
    batch_size: int = setting(16, "Images in a training step.", minimum=1, group="Size")
    workers: int = setting(2, "Processes that build the records.", minimum=1, group="Size")
    seed: int = setting(0, "Seed of everything.", minimum=0, group="Size")
