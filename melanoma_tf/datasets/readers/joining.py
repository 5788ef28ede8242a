"""Label rows joined with the photographs and masks of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import ImageScan, PassedOver, scan_images
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.readers.folders import image_folders
from melanoma_tf.datasets.readers.label_files import LabelRow

DERMOSCOPIC, ALL = "dermoscopic", "all"


@dataclass(frozen=True)
class ImageTypes:
    """Options of sources that hold other images than dermoscopic ones.

    Attributes:
        images: `dermoscopic` leaves clinical and total-body images out, `all` takes them too.
    """

    images: str = DERMOSCOPIC

    def __post_init__(self) -> None:
        if self.images not in (DERMOSCOPIC, ALL):
            raise MelanomaError(f"expected images=dermoscopic or images=all; found {self.images!r}")


def find_files(
    folder: Path, rows: Iterable[LabelRow], *names: str, below: bool = False
) -> ImageScan:
    """List the photographs and masks of a data set.

    Args:
        folder: the data set's.
        rows: its label rows.
        names: of its folders; those that exist are taken together. If no row has an image there,
            the images are sought everywhere below `folder`, since people rename folders.
        below: search the folders' sub-folders too.
    """
    official = image_folders(folder, *names)
    found = scan_images(*official, below=below)
    if any(row.key in found.images for row in rows):
        return found
    return scan_images(*official, folder, below=True)


def lesions_of(
    source: str,
    split: str,
    rows: Sequence[LabelRow],
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
) -> tuple[tuple[Lesion, ...], tuple[str, ...]]:
    """Join label rows with their images and masks.

    Returns:
        The lesions of one split, and the keys of the rows without an image.
    """
    lesions = tuple(
        Lesion(
            key=row.key,
            image_path=images[row.key],
            mask_path=masks.get(row.key),
            diagnosis=row.diagnosis,
            source=source,
            split=split,
            lesion_id=row.lesion_id,
            patient_id=row.patient_id,
            age=row.age,
            sex=row.sex,
            site=row.site,
        )
        for row in rows
        if row.key in images
    )
    return lesions, tuple(row.key for row in rows if row.key not in images)


def join_images(source: str, split: str, rows: Sequence[LabelRow], files: ImageScan) -> Listing:
    """Join label rows of one split with the files that `find_files` found; nothing is lost.

    Returns:
        A listing that also names the rows without an image, the images without a row and the
        files passed over.
    """
    lesions, missing = lesions_of(source, split, rows, files.images, files.masks)
    known = {row.key for row in rows}
    unlabelled = tuple(key for key in files.images if key not in known)
    return Listing(source, lesions, missing, unlabelled=unlabelled, passed_over=files.passed_over)


def chosen_types(listing: Listing, types: Mapping[str, str | None], images: str) -> Listing:
    """Count the images by type, and leave out those that are not dermoscopic unless asked.

    Args:
        listing: of images of any type.
        types: key -> type; None where it is not known.
        images: see `ImageTypes`.
    """
    counts = Counter(types.get(lesion.key) or "not stated" for lesion in listing.lesions)
    listing = replace(listing, image_types=dict(counts.most_common()))
    if images == ALL:
        return listing
    others = {key for key, kind in types.items() if kind and kind != DERMOSCOPIC}
    left_out = tuple(
        PassedOver(lesion.image_path, f"image of another type ({types[lesion.key]})")
        for lesion in listing.lesions
        if lesion.key in others
    )
    return replace(
        listing,
        lesions=tuple(lesion for lesion in listing.lesions if lesion.key not in others),
        missing=tuple(key for key in listing.missing if key not in others),
        passed_over=(*listing.passed_over, *left_out),
    )
