"""Small data sets on disk, as an adapter would list them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from melanoma_tf.datasets.lesion import Lesion, Listing

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")


def picture(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth RGB image that no other seed gives."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def make_lesion(tmp_path):
    """A function that writes one image with a mask and gives its row."""

    def make(index: int, **fields) -> Lesion:
        key = fields.pop("key", f"IMG_{index:04d}")
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        image_path = folder / f"{key}.png"
        cv2.imwrite(str(image_path), picture(index)[..., ::-1])
        mask_path = folder / f"{key}_mask.png"
        mask = np.zeros((48, 64), np.uint8)
        mask[10:30, 20:40] = 255
        cv2.imwrite(str(mask_path), mask)
        row = {"diagnosis": CLASSES[index % 3], "source": "made", "split": "train", **fields}
        return Lesion(key=key, image_path=image_path, mask_path=mask_path, **row)

    return make


@pytest.fixture
def make_listing(make_lesion):
    """A function that makes a data set of some images."""

    def make(count: int, *, name: str = "made", missing=(), **fields) -> Listing:
        lesions = tuple(make_lesion(index, source=name, **fields) for index in range(count))
        return Listing(name, lesions, tuple(missing), "CC0-1.0", f"The makers of {name}")

    return make


@pytest.fixture
def shard_bytes():
    """A function that gives the content of every shard of a folder, by name."""

    def read(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tfrecord"))}

    return read
