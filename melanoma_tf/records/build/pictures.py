"""Real pictures of record folders, which are compared across folders by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from melanoma_tf.datasets.lesion import Lesion
from melanoma_tf.records.build.threads import available_cores, map_in_threads
from melanoma_tf.records.build.thumbnails import BLANK, Thumbnail, ThumbnailFile, make_thumbnail
from melanoma_tf.records.manifest import Manifest, local_paths, read_manifest
from melanoma_tf.records.read import read_features

_FEATURES = ("image/encoded", "image/key", "source", "split", "lesion/id", "patient/id", "origin")


@dataclass(frozen=True)
class Pictures:
    """The real images of some record folders.

    Attributes:
        lesions: one row per image; the path is that of its folder.
        thumbnails: one per image, blank for one without structure.
    """

    lesions: list[Lesion]
    thumbnails: ThumbnailFile


@dataclass(frozen=True)
class RecordFolders:
    """Finished record folders that a build is compared with.

    Attributes:
        paths: the folders.
        manifests: their manifests.
    """

    paths: tuple[Path, ...]
    manifests: tuple[Manifest, ...]

    @classmethod
    def read(cls, folders: Sequence[Path]) -> RecordFolders:
        """Read the manifests.

        Raises:
            MelanomaError: a folder is unfinished.
        """
        paths = tuple(Path(folder) for folder in folders)
        return cls(paths, tuple(read_manifest(path) for path in paths))

    def fingerprint(self) -> list[str]:
        """List the checksums of all shards."""
        return [shard.sha256 for manifest in self.manifests for shard in manifest.shards]

    def pictures(self, workers: int) -> Pictures:
        """Read the real images."""
        return read_pictures(self.paths, workers=workers)


def joined(first: ThumbnailFile, second: ThumbnailFile) -> ThumbnailFile:
    """Copy two files of thumbnails into one, unless the second is empty."""
    if not len(second):
        return first
    both = ThumbnailFile()
    for file in (first, second):
        for index in range(len(file)):
            both.append(file[index])
    return both


def read_pictures(folders: Sequence[Path], *, workers: int | None = None) -> Pictures:
    """Read the real images of record folders.

    Args:
        folders: the record folders.
        workers: number of threads, by default one per core.

    Raises:
        MelanomaError: a folder is unfinished or damaged.
    """
    pictures = Pictures([], ThumbnailFile())
    read = map_in_threads(
        _with_thumbnail, _rows(folders), workers=workers or available_cores(), bundle=8
    )
    for index, (lesion, thumbnail) in enumerate(read):
        pictures.lesions.append(lesion)
        pictures.thumbnails.put(index, BLANK if thumbnail is None else thumbnail.tobytes())
    return pictures


def _rows(folders: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for folder in folders:
        manifest = read_manifest(folder)
        paths = local_paths(folder, manifest, manifest.shards)
        for row in read_features(paths, _FEATURES):
            if row["origin"] == "real":
                yield folder, row


def _with_thumbnail(found: tuple[Path, dict[str, Any]]) -> tuple[Lesion, Thumbnail | None]:
    folder, row = found
    lesion = Lesion(
        key=row["image/key"],
        image_path=folder,
        mask_path=None,
        diagnosis="",
        source=row["source"],
        split=row["split"],
        lesion_id=row["lesion/id"] or None,
        patient_id=row["patient/id"] or None,
    )
    grey = cv2.imdecode(np.frombuffer(row["image/encoded"], np.uint8), cv2.IMREAD_GRAYSCALE)
    return lesion, None if grey is None else make_thumbnail(grey)
