"""Several record folders used as one, such as real images and generated ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import resolved
from melanoma_tf.datasets.splits import picture_name, shared_ids
from melanoma_tf.records.build.duplicates import SAME_PICTURE_IN_RECORDS, find_pairs
from melanoma_tf.records.build.pictures import read_pictures
from melanoma_tf.records.build.threads import available_cores
from melanoma_tf.records.manifest import Manifest, local_paths, read_manifest, shard_paths
from melanoma_tf.records.read import damage_named, read_features

RecordsLike = Union[Path, Sequence[Path], "RecordSet"]
_NAMING = ("image/key", "source", "origin", "origin/parent")
_MIXED = (*_NAMING, "split", "lesion/id", "patient/id")


@dataclass(frozen=True)
class RecordSet:
    """Record folders of the same classes.

    Attributes:
        folders: paths of the folders, in the order given.
        manifests: manifests of the folders.

    Example:
        >>> import melanoma_tf as mt
        >>> records = mt.RecordSet.read("tfrecords/phantoms")
        >>> records.count(), records.class_names
        (60, ('melanoma', 'nevus', 'seborrheic_keratosis'))
    """

    folders: tuple[Path, ...]
    manifests: tuple[Manifest, ...]

    @classmethod
    def read(cls, folders: RecordsLike) -> RecordSet:
        """Read the manifests of one folder or several; a `RecordSet` is returned unchanged.

        Raises:
            MelanomaError: a folder is unfinished, given twice, or has another taxonomy than the
                first.
        """
        if isinstance(folders, RecordSet):
            return folders
        given = [folders] if isinstance(folders, (str, Path)) else list(folders)
        paths = tuple(Path(folder) for folder in given)
        if not paths:
            raise MelanomaError("expected a record folder; found none")
        manifests = tuple(read_manifest(path) for path in paths)
        first = manifests[0]
        for index, (path, manifest) in enumerate(zip(paths, manifests)):
            if resolved(path) in [resolved(other) for other in paths[:index]]:
                raise MelanomaError(f"expected each record folder once; {path} is given twice")
            if (manifest.taxonomy, manifest.class_names) != (first.taxonomy, first.class_names):
                raise MelanomaError(
                    f"{path}: expected the taxonomy of {paths[0]}, {first.taxonomy} "
                    f"({', '.join(first.class_names)}); found {manifest.taxonomy} "
                    f"({', '.join(manifest.class_names)})"
                )
        return cls(paths, manifests)

    def __str__(self) -> str:
        return ", ".join(str(folder) for folder in self.folders)

    @property
    def taxonomy(self) -> str:
        """Name of the taxonomy of all folders."""
        return self.manifests[0].taxonomy

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names of all folders, in the order of labels."""
        return self.manifests[0].class_names

    def count(self, **cell: Any) -> int:
        """Count examples as `Manifest.count`, over all folders."""
        return sum(manifest.count(**cell) for manifest in self.manifests)

    def keep(self, split: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """Return a filter of the serialised records in `shard_paths(split)`, None to keep all.

        `classification.folds` overrides it to divide the records into other splits.
        """
        return None

    def with_validation(self) -> RecordSet | None:
        """Return the first folder that has a validation split, or None."""
        for folder, manifest in zip(self.folders, self.manifests):
            if "validation" in manifest.splits():
                return RecordSet((folder,), (manifest,))
        return None

    def shard_paths(self, split: str) -> list[Path]:
        """List the shard files of a split, folder by folder.

        Raises:
            MelanomaError: no folder has examples in that split.
        """
        present = [
            (folder, manifest)
            for folder, manifest in zip(self.folders, self.manifests)
            if split in manifest.splits()
        ]
        if not present:
            return shard_paths(self.folders[0], self.manifests[0], split)
        return [
            path for folder, manifest in present for path in shard_paths(folder, manifest, split)
        ]

    def damage_named(self) -> AbstractContextManager[None]:
        """Name the damaged shard where what is done in this context meets one.

        Raises:
            MelanomaError: instead of TensorFlow's error, which names no file.
        """
        return damage_named(
            path
            for folder, manifest in zip(self.folders, self.manifests)
            for shard in manifest.shards
            for path in local_paths(folder, manifest, [shard])
        )

    def refuse_repeated(self, splits: Collection[str]) -> None:
        """Check that no picture of some splits is in two folders.

        Raises:
            MelanomaError: one is; the message names it. Purified copies next to their original and
                generated images are ignored.
        """
        if len(self.folders) == 1:
            return
        first: dict[str, tuple[str, Path]] = {}
        for folder, manifest in zip(self.folders, self.manifests):
            shards = [one for one in manifest.shards if one.split in splits]
            paths = local_paths(folder, manifest, shards)
            for row in read_features(paths, _NAMING) if paths else ():
                key = row["image/key"]
                if row["origin"] == "generated" or row["origin/parent"] not in ("", key):
                    continue
                other, place = first.setdefault(picture_name(row["source"], key), (key, folder))
                if place != folder:
                    name = "" if other == key else f" as {other}"
                    raise MelanomaError(
                        f"expected each image once; {key} is in {folder} and in {place}{name}"
                    )

    def check_mixture(self) -> None:
        """Check that the folders can be mixed.

        Raises:
            MelanomaError: a picture is in two folders, also under another name; or a picture
                or its copy, a lesion or a patient is in `train` of one folder and held out by
                another.
        """
        if len(self.folders) == 1:
            return
        places: dict[str, tuple[str, Path]] = {}
        uses: dict[tuple[str, bool], Path] = {}
        for folder, manifest in zip(self.folders, self.manifests):
            for row in read_features(local_paths(folder, manifest, manifest.shards), _MIXED):
                key = row["image/key"]
                other, place = places.setdefault(picture_name(row["source"], key), (key, folder))
                if place != folder:
                    name = "" if other == key else f" as {key}"
                    raise MelanomaError(
                        f"expected each image once; {other} is in {place} and in {folder}"
                        f"{name}. A folder that purify created contains the originals too"
                    )
                _refuse_both_uses(row, folder, uses)
        self._refuse_same_pictures()

    def _refuse_same_pictures(self) -> None:
        """Compare the real images of all folders by content: names may differ."""
        folders = [
            folder
            for folder, manifest in zip(self.folders, self.manifests)
            if manifest.count(origin="real")
        ]
        if len(folders) < 2:
            return
        pictures = read_pictures(folders)
        lesions = pictures.lesions
        pairs = find_pairs(
            pictures.thumbnails,
            least_similarity=SAME_PICTURE_IN_RECORDS,
            wanted=lambda left, right: lesions[left].image_path != lesions[right].image_path,
            workers=available_cores(),
        )
        for pair in pairs:
            left, right = lesions[pair.left], lesions[pair.right]
            raise MelanomaError(
                f"expected each picture once; {left.name} in {left.image_path} and {right.name} in "
                f"{right.image_path} are the same picture (similarity {pair.similarity:.3f}). "
                "build-records --against leaves such images out"
            )


def _refuse_both_uses(
    row: dict[str, Any], folder: Path, uses: dict[tuple[str, bool], Path]
) -> None:
    """Record whether a picture, its lesion and its patient are held out; folders must agree.

    Leakage within a folder is checked by `records.leakage`.
    """
    if row["origin"] == "generated":  # It shows no patient, and is never held out.
        return
    original = row["origin/parent"] or row["image/key"]
    held_out = row["split"] != "train"
    for name in shared_ids(row["source"], original, row["lesion/id"], row["patient/id"]):
        uses.setdefault((name, held_out), folder)
        other = uses.get((name, not held_out), folder)
        if other != folder:
            is_image = name.startswith("image ")
            what = f"{original} and its copies" if is_image else f"all images of {name}"
            raise MelanomaError(
                f"expected {what} to be trained on or held out; {folder} and {other} disagree"
            )
