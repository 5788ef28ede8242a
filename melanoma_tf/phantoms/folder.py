"""Writing of phantoms in the layout of the ISIC challenges' training data."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.datasets.lesion import Taxonomy, taxonomy_named
from melanoma_tf.phantoms.image import Phantom, PhantomSettings, draw_phantom

CLEAN_FOLDER = "Phantom_Clean"
OCCLUSION_MASK_FOLDER = "Phantom_Occlusion_Masks"

_JPEG_QUALITY = 95
# Keys have seven digits.
_MOST_IMAGES = 10**7


@dataclass(frozen=True)
class _Layout:
    """Names of a challenge's folders, and the columns of its label file.

    A class without a column is the one for which all columns are 0.
    """

    images: str
    masks: str
    labels: str
    columns: dict[str, str]
    key_column: str


_LAYOUTS = {
    "isic2017": _Layout(
        images="ISIC-2017_Training_Data",
        masks="ISIC-2017_Training_Part1_GroundTruth",
        labels="ISIC-2017_Training_Part3_GroundTruth.csv",
        columns={"melanoma": "melanoma", "seborrheic_keratosis": "seborrheic_keratosis"},
        key_column="image_id",
    ),
    "isic2018": _Layout(
        images="ISIC2018_Task3_Training_Input",
        masks="ISIC2018_Task1_Training_GroundTruth",
        labels="ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv",
        columns={
            "melanoma": "MEL",
            "nevus": "NV",
            "basal_cell_carcinoma": "BCC",
            "actinic_keratosis": "AKIEC",
            "benign_keratosis": "BKL",
            "dermatofibroma": "DF",
            "vascular_lesion": "VASC",
        },
        key_column="image",
    ),
}


def write_phantoms(
    folder: Path | str,
    count: int,
    *,
    settings: PhantomSettings | None = None,
    seed: int = 0,
    taxonomy: str = "isic2017",
    class_fractions: Mapping[str, float] | None = None,
    truth: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write phantoms in the official layout of a challenge's training data.

    For `isic2017`: `ISIC-2017_Training_Data/PHANTOM_0000000.jpg`,
    `ISIC-2017_Training_Part1_GroundTruth/PHANTOM_0000000_segmentation.png` (0 skin, 255 lesion) and
    `ISIC-2017_Training_Part3_GroundTruth.csv`; likewise for `isic2018`.

    Args:
        folder: the folder to create, whole or not at all.
        count: number of images.
        settings: size and occlusions; `PhantomSettings()` by default.
        seed: the same seed writes the same files.
        taxonomy: `isic2017` or `isic2018`; names the classes and the layout.
        class_fractions: class name -> fraction of the images, met as exactly as whole numbers
            allow; absent classes get no image. Equal fractions by default.
        truth: also write the pictures without occlusions and the occlusion masks (PNG), into
            `Phantom_Clean` and `Phantom_Occlusion_Masks`.
        overwrite: replace an existing folder.

    Returns:
        The folder.

    Raises:
        MelanomaError: a count below 1, an unknown class or taxonomy, fractions without a positive
            sum, or an existing folder.

    Example:
        >>> import melanoma_tf as mt
        >>> len(list(mt.write_phantoms("more-phantoms", 3).glob("*_Data/*.jpg")))
        3
    """
    if not 1 <= count <= _MOST_IMAGES:
        raise MelanomaError(f"expected a count of phantoms from 1 to {_MOST_IMAGES}; found {count}")
    if seed < 0:
        raise MelanomaError(f"expected a seed of 0 or larger; found {seed}")
    if taxonomy not in _LAYOUTS:
        raise MelanomaError(
            f"expected a taxonomy out of {', '.join(_LAYOUTS)} for phantoms; found {taxonomy!r}"
        )
    classes = taxonomy_named(taxonomy)
    rng = np.random.default_rng([seed])
    names = _class_names(rng, count, classes, class_fractions)
    seeds = rng.integers(0, 2**62, count)
    layout = _LAYOUTS[classes.name]
    with published_folder(Path(folder), overwrite=overwrite) as unfinished:
        for number, (name, image_seed) in enumerate(zip(names, seeds)):
            phantom = draw_phantom(name, int(image_seed), settings)
            _write_images(unfinished, layout, _key(number), phantom, truth=truth)
        _write_labels(unfinished / layout.labels, layout, names)
    return Path(folder)


def _class_names(
    rng: np.random.Generator,
    count: int,
    taxonomy: Taxonomy,
    class_fractions: Mapping[str, float] | None,
) -> list[str]:
    """Choose the class of each image, shuffled; counts by the method of largest remainders."""
    given = (
        dict.fromkeys(taxonomy.classes, 1.0) if class_fractions is None else dict(class_fractions)
    )
    unknown = sorted(set(given) - set(taxonomy.classes))
    if unknown:
        raise MelanomaError(
            f"expected fractions of the classes {', '.join(taxonomy.classes)} of {taxonomy.name}; "
            f"found {', '.join(unknown)}"
        )
    fractions = np.array([given.get(name, 0.0) for name in taxonomy.classes], np.float64)
    if not (np.isfinite(fractions).all() and (fractions >= 0).all() and fractions.sum() > 0):
        raise MelanomaError(
            f"expected fractions of 0 or more with a positive sum; found {fractions.tolist()}"
        )
    exact = fractions / fractions.sum() * count
    counts = np.floor(exact).astype(int)
    # Stable, so that ties go to the first class.
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: count - counts.sum()]] += 1
    names = [name for name, n in zip(taxonomy.classes, counts) for _ in range(n)]
    return [names[index] for index in rng.permutation(count)]


def _key(number: int) -> str:
    return f"PHANTOM_{number:07d}"


def _write_labels(path: Path, layout: _Layout, names: list[str]) -> None:
    """Write one column per class, with 1.0 for the image's class, as the challenge does."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([layout.key_column, *layout.columns.values()])
    for number, name in enumerate(names):
        writer.writerow([_key(number), *(float(name == column) for column in layout.columns)])
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.getvalue().encode("ascii"))


def _write_images(
    folder: Path, layout: _Layout, key: str, phantom: Phantom, *, truth: bool
) -> None:
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _write(folder / layout.images / f"{key}.jpg", phantom.image, jpeg)
    _write(folder / layout.masks / f"{key}_segmentation.png", phantom.lesion_mask)
    if truth:
        _write(folder / CLEAN_FOLDER / f"{key}.png", phantom.clean)
        _write(folder / OCCLUSION_MASK_FOLDER / f"{key}.png", phantom.occlusion_mask)


def _write(path: Path, picture: npt.NDArray[np.uint8], options: list[int] | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    if picture.ndim == 3:
        picture = picture[..., ::-1]
    _, encoded = cv2.imencode(path.suffix, picture, options or [])
    path.write_bytes(encoded.tobytes())
