"""Settings of the segmenter and its training."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.augmentation.settings import SEGMENTER_PRESETS
from melanoma_tf.backbones import EFFICIENTNET_LITE
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import Settings, redeclared, setting
from melanoma_tf.training.settings import RateSettings

PADDINGS = ("valid", "same")
NORMALIZATIONS = ("none", "batch", "instance")
OVERLAPS = ("none", "dice", "jaccard")
IMAGENET = "imagenet"
NO_ENCODER = "none"
_TABLE_1_ONLY = ("base_filters", "padding", "colour_constancy", "skin_white_balance", "chroma")


@dataclass(frozen=True)
class SegmenterSettings(RateSettings):
    """Everything that decides a segmenter's training; the defaults are those of Bisla et al. 2019.

    Attributes:
        image_size_px, base_filters, padding, normalization, dropout, colour_constancy,
            skin_white_balance, chroma: see `segmentation.network.build_segmenter`.
        encoder: `none` for the network of Table 1, or the encoder of
            `segmentation.lite_network.build_lite_segmenter`, which shares the image size, the
            normalization and the dropout with it and has none of the other options.
        weights: `none`, or the `weights.npz` of another run of the same network to start from;
            with an encoder also `imagenet`, or a converted file of ImageNet weights (`.npz`).
        learning_rate: of Adam; the highest, where a schedule changes it.
        schedule: `constant` as in the paper, or `cosine`, see `training.schedules.rate_by_name`.
        overlap, label_smoothing: see `segmentation.losses.SegmentationLoss`.
        augment: a name of `augmentation.settings.SEGMENTER_PRESETS`.
        threshold: a pixel is lesion where its probability exceeds it; 0 takes the one with the
            highest mean Jaccard index on the validation split.

    Example:
        >>> SegmenterSettings(image_size_px=228, base_filters=16).epochs
        100
    """

    image_size_px: int = setting(
        380,
        "Side of the network's input in pixels: 228, 236, ... (64, 72, ... with --padding same; "
        "64, 96, ... with --encoder).",
        minimum=32,
        maximum=2048,
        group="Network",
    )
    encoder: str = setting(
        NO_ENCODER,
        "Encoder of a U-Net that replaces the paper's network.",
        choices=(NO_ENCODER, *EFFICIENTNET_LITE),
        group="Network",
    )
    weights: str = redeclared(
        RateSettings,
        "weights",
        "none",
        help="FILE: start from the weights.npz of another run of the same network. With --encoder "
        "also imagenet, or a FILE.npz of converted ImageNet weights.",
        metavar="none|imagenet|FILE",
    )
    base_filters: int = setting(
        64,
        "Filters of the first layer, by which all widths grow. 16 suits a CPU.",
        minimum=1,
        maximum=512,
        group="Network",
    )
    padding: str = setting(
        "valid",
        "valid as in the paper; same allows small inputs.",
        choices=PADDINGS,
        group="Network",
    )
    normalization: str = setting(
        "none",
        "Normalisation of the layers; none as in the paper.",
        choices=NORMALIZATIONS,
        group="Network",
    )
    dropout: float = setting(
        0.0,
        "Fraction of the features dropped at the bottleneck.",
        minimum=0,
        maximum=0.9,
        group="Network",
    )
    colour_constancy: bool = setting(
        False, "Divide images by the estimated colour of the light.", group="Network"
    )
    skin_white_balance: bool = setting(
        False, "Divide images by the estimated colour of the skin.", group="Network"
    )
    chroma: bool = setting(
        False,
        "Represent hue and saturation as a point, which has no jump at red.",
        group="Network",
    )
    epochs: int = redeclared(RateSettings, "epochs", 100)
    batch_size: int = redeclared(RateSettings, "batch_size", 8)
    learning_rate: float = redeclared(RateSettings, "learning_rate", 1e-4)
    overlap: str = setting(
        "none",
        "Add one minus this soft overlap to the cross-entropy.",
        choices=OVERLAPS,
        group="Optimization",
    )
    label_smoothing: float = setting(
        0.0, "Label smoothing of the cross-entropy.", minimum=0, maximum=0.5, group="Optimization"
    )
    augment: str = setting(
        "full",
        "mild: small geometric and photometric changes; geometric: flips, rotation, scale, elastic "
        "warp; photometric: and light, colour, focus; full: and dark corners, hairs, rulers, ink, "
        "stickers; skin: and red, blotched, freckled skin, pale lesions, gel; devices: and random "
        "convolutions, for images of other devices; mixed: random convolutions in half of the "
        "images, and stretched.",
        choices=tuple(SEGMENTER_PRESETS),
        group="Augmentation",
    )
    threshold: float = setting(
        0.4,
        "A pixel is lesion above this probability; 0 chooses the best on the validation split.",
        minimum=0,
        maximum=1,
        below_maximum=True,
        group="Training",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder == NO_ENCODER:
            if self.weights == IMAGENET:
                raise MelanomaError(
                    "the network of Table 1 has no ImageNet weights; expected --encoder with "
                    "--weights imagenet"
                )
            return
        for name in _TABLE_1_ONLY:
            if getattr(self, name) != getattr(SegmenterSettings, name):
                option = name.replace("_", "-")
                raise MelanomaError(
                    f"expected no --{option} with --encoder {self.encoder}; it belongs to the "
                    "network of Table 1"
                )


@dataclass(frozen=True)
class InferenceSettings(Settings):
    """Settings of a trained segmenter in use.

    Attributes:
        threshold: a pixel is lesion where its probability exceeds it; part of a trained network.
        adaptive_threshold: shift the probabilities of each image so that the outline of the highest
            contrast lies at the threshold, see `segmentation.adaptive_threshold`. For skin unlike
            that of the training images.
        flips: average the probabilities over the image and its mirror images: left-right,
            top-bottom and both. Four times the work.
        refine: add a refinement pass over the surroundings of the lesion that the coarse pass
            found, so that lesions are outlined at the same scale however much skin the image
            shows. Twice the work.
        largest_only: keep the largest piece only.
    """

    threshold: float = setting(
        0.4,
        "A pixel is lesion above this probability.",
        minimum=0,
        maximum=1,
        below_maximum=True,
        option="",
    )
    adaptive_threshold: bool = setting(
        False,
        "Choose the threshold of each image by the contrast of its outline.",
        group="Inference",
        option="--adaptive-threshold/--fixed-threshold",
    )
    flips: bool = setting(
        True, "Average over mirror images: more accurate and slower.", group="Inference"
    )
    refine: bool = setting(
        True, "Add a refinement pass over the surroundings of the lesion.", group="Inference"
    )
    largest_only: bool = setting(
        True,
        "Keep the largest piece of the lesion only.",
        group="Inference",
        option="--largest-only/--all-pieces",
    )


@dataclass(frozen=True)
class SegmentationSettings(Settings):
    """Settings of `segmentation.predict.segment`.

    Attributes:
        adaptive_threshold, flips, refine, largest_only: see `InferenceSettings`.
        overlay: also draw the outlines over the images.
        batch_size: images in a batch.
    """

    adaptive_threshold: bool = redeclared(
        InferenceSettings, "adaptive_threshold", InferenceSettings.adaptive_threshold
    )
    flips: bool = redeclared(InferenceSettings, "flips", InferenceSettings.flips)
    refine: bool = redeclared(InferenceSettings, "refine", InferenceSettings.refine)
    largest_only: bool = redeclared(
        InferenceSettings, "largest_only", InferenceSettings.largest_only
    )
    overlay: bool = setting(False, "Also draw the outlines, into OUTPUT/overlays.", group="Output")
    batch_size: int = setting(8, "Images in a batch.", minimum=1, group="Inference")

    def inference(self) -> dict[str, bool]:
        """The settings that `InferenceSettings` has too, by name."""
        names = ("adaptive_threshold", "flips", "refine", "largest_only")
        return {name: getattr(self, name) for name in names}
