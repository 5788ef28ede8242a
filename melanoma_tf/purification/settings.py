"""Settings of purification, and of the patches that its networks are trained on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import public_name
from melanoma_tf.core.settings import SHIPPED, Settings, fraction, setting
from melanoma_tf.purification.classical.settings import METHODS, NETWORK, WORKING_SIZE_PX
from melanoma_tf.training.settings import RateSettings

__all__ = ["CLASSICAL", "NONE", "SHIPPED", "PatchSettings", "PurificationSettings"]

# A detector by name: the classical one finds the occlusions.
CLASSICAL = "classical"
# A segmenter by name: lesions are not outlined.
NONE = "none"

_FOR_NETWORK = {"inpainter": "--inpainter", "detector": "--detector", "occlusion_masks": "--mask"}
_FOR_IMAGES = {
    "occlusion_masks": "--mask",
    "mask_output": "--mask-output",
    "lesion_masks": "--lesion-masks",
}
_FOR_RECORDS = {"min_occlusion": "--min-occlusion", "replace": "--replace"}


@dataclass(frozen=True)
class PurificationSettings(Settings):
    """Settings of `purification.on_disk.purify`.

    Attributes:
        method: `network` finds occlusions and fills them by networks; `classical` does so by lines,
            colours and a smooth filling, faster and less well; `bisla2019` is the method of Bisla
            et al. 2019, Section 3.2.2.
        inpainter: the network that fills, for `network`: `shipped`, or a finished run.
        detector: what finds occlusions for `network`: `shipped`, `classical`, or a finished run.
        segmenter: the network that outlines the lesion of an image without a mask: `shipped`, a
            finished run, or `none`.
        occlusion_masks: for images and `network`: what to replace, instead of what is found. A mask
            file for one image, or a folder with `NAME_occlusion.png` or `NAME.png` for each image.
        lesion_masks: for images: a folder with `NAME_segmentation.png` or `NAME.png` for each.
            Records have masks of their own.
        mask_output: for images: the folder for occlusion masks, PNG, 255 on what was occluded.
        min_occlusion: for records: purify an image where more than this fraction of its pixels is
            occluded. With `classical` the default selects a quarter of ISIC 2017, as in the paper.
        replace: for records: put the purified image in the place of the original.
        quality: for records: JPEG quality of purified images; PNG records stay PNG.
        workers: number of threads; None takes one per core.

    Raises:
        MelanomaError: settings that do not go together.

    Example:
        >>> PurificationSettings().needs_lesions
        False
    """

    method: str = setting(
        NETWORK,
        "Purification method; classical is faster, network finds and fills more.",
        choices=(*METHODS, NETWORK),
        group="Method",
    )
    inpainter: str = setting(
        SHIPPED,
        "With network: what fills the occlusions; RUN: a finished run of train inpainter.",
        metavar="shipped|RUN",
        group="Method",
    )
    detector: str = setting(
        SHIPPED,
        "With network: what finds the occlusions; RUN: a finished run of train occlusion-detector.",
        metavar="shipped|classical|RUN",
        group="Method",
    )
    segmenter: str = setting(
        SHIPPED,
        "With classical: what outlines the lesion where no mask is given; inside it only hairs are "
        "removed.",
        metavar="shipped|none|RUN",
        group="Method",
    )
    occlusion_masks: Optional[Path] = setting(
        None,
        "With network: replace what is white here (a PNG, or a folder of NAME.png) instead of what "
        "is found.",
        option="--mask",
        group="Images",
    )
    lesion_masks: Optional[Path] = setting(
        None, "Folder with NAME_segmentation.png or NAME.png for each image.", group="Images"
    )
    mask_output: Optional[Path] = setting(None, "Folder for the occlusion masks.", group="Images")
    min_occlusion: float = fraction(
        0.006,
        "Purify images with more than this fraction of their pixels occluded.",
        group="Records",
    )
    replace: bool = setting(False, "Replace originals instead of adding copies.", group="Records")
    quality: int = setting(
        95, "JPEG quality of purified images in records.", minimum=1, maximum=100, option=""
    )
    workers: Optional[int] = setting(
        None, "Number of threads.", minimum=1, shown_default="one per core", group="Devices"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method != NETWORK:
            self._refuse(_FOR_NETWORK, f"--method {NETWORK}", self.method)
        if self.occlusion_masks is not None and self.detector != SHIPPED:
            raise MelanomaError(
                "expected --mask or --detector: a mask is replaced as it is; found both, "
                f"{self.detector}"
            )

    @property
    def needs_lesions(self) -> bool:
        """Tell whether the result depends on lesion masks; a network detector does without them."""
        if self.occlusion_masks is not None:
            return False
        return self.method != NETWORK or self.detector == CLASSICAL

    @property
    def ignores_lesions(self) -> bool:
        """Tell whether lesion masks or a segmenter were chosen that the method does not use."""
        chosen = self.lesion_masks is not None or self.segmenter not in (SHIPPED, NONE)
        return chosen and not self.needs_lesions

    def check_source(self, source: Path, is_records: bool) -> None:
        """Raise `MelanomaError` at settings of images with records, and of records with images."""
        if is_records:
            self._refuse(_FOR_IMAGES, "images", f"the record folder {source}")
        else:
            self._refuse(_FOR_RECORDS, "record folders", str(source))

    def provenance(self) -> dict[str, Any]:
        """The settings that decide the content of purified records, for their manifest."""
        uses_networks = self.method == NETWORK
        return {
            "method": self.method,
            "min_occlusion": self.min_occlusion,
            "replace": self.replace,
            "quality": self.quality,
            "segmenter": public_name(self.segmenter) if self.needs_lesions else NONE,
            "inpainter": public_name(self.inpainter) if uses_networks else NONE,
            "detector": public_name(self.detector) if uses_networks else NONE,
        }

    def _refuse(self, options: dict[str, str], place: str, found: str) -> None:
        """Raise `MelanomaError` where one of these settings is not the default."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name, option in options.items():
            if getattr(self, name) != defaults[name]:
                raise MelanomaError(f"expected {option} with {place} only; found {found}")


@dataclass(frozen=True)
class PatchSettings(RateSettings):
    """Settings of trainings on patches of images that occlusions are drawn on.

    Attributes:
        image_size_px: side of the patches, cut out of images at the working size of purification.
        augment: mirror and transpose patches, and change their colours.
    """

    image_size_px: int = setting(
        256,
        f"Side of the patches, cut out of images with a long side of {WORKING_SIZE_PX} pixels.",
        minimum=32,
        maximum=WORKING_SIZE_PX,
        group="Data",
    )
    augment: bool = setting(
        True, "Mirror and transpose patches, and change their colours.", group="Augmentation"
    )
