"""Settings of `build-records`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from melanoma_tf.core.settings import Settings, required, setting
from melanoma_tf.datasets.lesion import TAXONOMIES
from melanoma_tf.records.header import DEFAULT_MAX_MEGAPIXELS
from melanoma_tf.records.schema import IMAGE_FORMATS

TREATMENTS = ("drop", "group", "keep")


@dataclass(frozen=True)
class BuildSettings(Settings):
    """Settings that determine the content of a record folder, to the byte.

    Attributes:
        taxonomy: name of the taxonomy.
        image_size: short side of the stored images in pixels; smaller images keep their size.
        image_format: `jpeg` or `png`.
        quality: JPEG quality, 1 to 100.
        split: `auto`, `official` or fractions such as `0.7/0.15/0.15`.
        seed: seed of the division by fractions.
        duplicates: handling of images that show one picture: `drop`, `group` or `keep`.
        keep_split: held-out splits that stay whole, each as `test=isic2017`.
        shards: number of shards per split; None makes shards of about 128 MiB.
        max_megapixels: images that claim more are skipped without decoding.
        skip_bad: whether unreadable images are accepted.
        require_all: whether a row without an image file is an error.

    Example:
        >>> BuildSettings("isic2017", image_size=256).split
        'auto'
    """

    taxonomy: str = required(
        "Taxonomy, which defines the classes; melanoma-tf taxonomies lists their diagnoses.",
        choices=tuple(TAXONOMIES),
    )
    image_size: int = setting(
        512,
        "Downscale images to a short side of this many pixels; smaller images keep their size.",
        minimum=1,
        group="Images",
    )
    image_format: str = setting(
        "jpeg",
        "Format of the stored images.",
        choices=IMAGE_FORMATS,
        option="--format",
        group="Images",
    )
    quality: int = setting(95, "JPEG quality.", minimum=1, maximum=100, group="Images")
    split: str = setting(
        "auto",
        "auto keeps the official splits of data sets with held-out parts and divides the others "
        "0.7/0.15/0.15 by patient and lesion; official keeps all official splits; "
        "TRAIN/VALIDATION/TEST divides by these fractions.",
        metavar="auto|official|TRAIN/VALIDATION/TEST",
        group="Splits",
    )
    seed: int = setting(0, "Seed of the division by fractions.", group="Splits")
    duplicates: str = setting(
        "group",
        "Images that show the same picture: group puts them into one split; drop keeps one of "
        "them, the held-out or else the largest; keep only reports them, and verify-records then "
        "refuses the folder.",
        choices=TREATMENTS,
        group="Splits",
    )
    keep_split: tuple[str, ...] = setting(
        (),
        "test=isic2017 makes the official test images of isic2017 the whole test split, and leaves "
        "out images of the same patients, lesions or pictures; may be repeated.",
        metavar="SPLIT=SOURCE",
        group="Splits",
    )
    shards: Optional[int] = setting(
        None,
        "Shards per split.",
        minimum=1,
        shown_default="about 128 MiB each",
        group="Records",
    )
    max_megapixels: float = setting(
        DEFAULT_MAX_MEGAPIXELS,
        "Skip images that claim to be larger, without decoding them.",
        group="Images",
    )
    skip_bad: bool = setting(False, "Accept that unreadable images are left out.", group="Records")
    require_all: bool = setting(False, "Refuse label rows without an image file.", group="Records")
