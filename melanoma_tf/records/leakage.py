"""Leakage: patients, lesions and pictures in more than one split of a record folder."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from melanoma_tf.datasets.splits import picture_name, shared_ids
from melanoma_tf.records.build.duplicates import SAME_PICTURE_IN_RECORDS, find_pairs
from melanoma_tf.records.build.thumbnails import ThumbnailFile, make_thumbnail
from melanoma_tf.records.decode import Pixels
from melanoma_tf.records.schema import Example


class Leakage:
    """Collects the records of all splits and compares them by name and by content."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._shared: dict[str, set[str]] = {}
        # Per picture: source/key, the picture's name over all sources, and its split.
        self._pictures: list[tuple[str, str, str]] = []
        self._thumbnails = ThumbnailFile()

    def add(self, example: Example) -> None:
        """Add a record's patient, lesion and image name."""
        # A purified copy shows its parent's picture; a generated image shows no patient.
        if example.origin == "generated":
            return
        key = example.parent or example.key
        for name in shared_ids(example.source, key, example.lesion_id, example.patient_id):
            first = self._first.setdefault(name, example.split)
            if first != example.split:
                self._shared.setdefault(name, {first}).add(example.split)

    def add_picture(self, example: Example, image: Pixels) -> None:
        """Add the pixels of a real image, uint8 RGB `(height, width, 3)`."""
        if example.origin != "real":
            return
        thumbnail = make_thumbnail(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        if thumbnail is not None:
            name = f"{example.source}/{example.key}"
            self._pictures.append((name, _picture_name(example), example.split))
            self._thumbnails.append(thumbnail)

    def problems(self) -> Iterator[str]:
        """Yield one line per patient, lesion, image name or picture in two splits."""
        for name, splits in self._shared.items():
            yield f"leakage: {name} is in {' and '.join(sorted(splits))}"
        if len({split for _, _, split in self._pictures}) < 2:
            return
        pairs = find_pairs(
            self._thumbnails,
            least_similarity=SAME_PICTURE_IN_RECORDS,
            wanted=self._crosses_splits,
        )
        for pair in pairs:
            (left, _, first), (right, _, second) = (
                self._pictures[pair.left], self._pictures[pair.right]
            )  # fmt: skip
            yield (
                f"leakage: {left} in {first} and {right} in {second} are the same picture "
                f"(similarity {pair.similarity:.3f})"
            )

    def _crosses_splits(self, left: int, right: int) -> bool:
        _, first_image, first_split = self._pictures[left]
        _, second_image, second_split = self._pictures[right]
        # Equal names are reported by name.
        return first_split != second_split and first_image != second_image


def _picture_name(example: Example) -> str:
    return picture_name(example.source, example.parent or example.key)
