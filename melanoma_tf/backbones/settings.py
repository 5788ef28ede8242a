"""Settings of a classification network."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.backbones import backbone_names
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import Settings, setting

LEAST_SIZE_PX = 32


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """The network and its input.

    Attributes:
        backbone: see `backbones.networks`.
        weights: see `backbones.classifier.build_classifier`.
        image_size_px: side of the square that the network sees; 0 takes 7/8 of the size of the
            images in the records, at most 224. The record of a run has the size that was taken.
        resize_px: short side to which images are scaled before the square is cut; 0 takes 8/7 of
            the square's side, as in 256 -> 224.
    """

    backbone: str = setting(
        "resnet50",
        "Backbone. small trains from scratch on a CPU; the ImageNet weights of efficientnet-lite0 "
        "ship, those of others are downloaded.",
        choices=backbone_names,
        group="Network",
    )
    weights: str = setting(
        "imagenet",
        "Initial weights. FILE: another run's weights.npz, or the backbone's .weights.h5 or (for "
        "efficientnet-lite) .npz.",
        metavar="imagenet|none|FILE",
        group="Network",
    )
    image_size_px: int = setting(
        0,
        "Side of the network's input in pixels.",
        minimum=0,
        maximum=2048,
        shown_default="7/8 of the records', at most 224",
        group="Network",
    )
    resize_px: int = setting(
        0,
        "Short side to which images are scaled before the square is cut.",
        minimum=0,
        maximum=4096,
        shown_default="8/7 of the network's input",
        group="Network",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.image_size_px < LEAST_SIZE_PX:
            raise MelanomaError(
                f"expected an image size of at least {LEAST_SIZE_PX} px; found {self.image_size_px}"
            )
        if 0 < self.resize_px < self.image_size_px:
            raise MelanomaError(
                f"expected to resize to the image size, {self.image_size_px} px, or more; "
                f"found {self.resize_px}"
            )
