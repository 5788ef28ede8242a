"""Several record folders seen as one: real images here, purified and generated ones there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import tensorflow as tf

from melanoma_tf.datasets.lesion import Lesion
from melanoma_tf.datasets.splits import image_name
from melanoma_tf.errors import MelanomaError
from melanoma_tf.records.manifest import Manifest, read_manifest, shard_paths
from melanoma_tf.records.read import read_examples, read_features

Folders = Union[Path, Sequence[Path], "RecordFolders"]
_NAMING = ("image/key", "source", "origin", "origin/parent")


@dataclass(frozen=True)
class RecordFolders:
    """Record folders of the same classes.

    Attributes:
        folders: their paths, in the order given.
        manifests: theirs.
    """

    folders: tuple[Path, ...]
    manifests: tuple[Manifest, ...]

    @classmethod
    def read(cls, folders: Folders) -> RecordFolders:
        """Read the manifests of one folder or several; folders that were read come back as is.

        Raises:
            MelanomaError: one is unfinished, given twice, or of another taxonomy than the first.
        """
        if isinstance(folders, RecordFolders):
            return folders
        given = [folders] if isinstance(folders, (str, Path)) else list(folders)
        paths = tuple(Path(folder) for folder in given)
        if not paths:
            raise MelanomaError("expected a record folder; found none")
        manifests = tuple(read_manifest(path) for path in paths)
        first = manifests[0]
        for index, (path, manifest) in enumerate(zip(paths, manifests)):
            if path.resolve() in [other.resolve() for other in paths[:index]]:
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
        """Of all folders."""
        return self.manifests[0].taxonomy

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of all folders, in the order of labels."""
        return self.manifests[0].class_names

    def count(self, **cell: Any) -> int:
        """As `Manifest.count`, over all folders."""
        return sum(manifest.count(**cell) for manifest in self.manifests)

    def keep(self, split: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """Tells of a serialised record in `shard_paths(split)` whether it is of the split.

        None where all are. `pipeline.folds` divides the splits of records otherwise.
        """
        return None

    def shard_paths(self, split: str) -> list[Path]:
        """The shard files of a split, folder by folder.

        Raises:
            MelanomaError: no folder has examples in that split.
        """
        held = [
            (folder, manifest)
            for folder, manifest in zip(self.folders, self.manifests)
            if split in manifest.splits()
        ]
        if not held:
            return shard_paths(self.folders[0], self.manifests[0], split)
        return [path for folder, manifest in held for path in shard_paths(folder, manifest, split)]

    def refuse_repeated(self, splits: Collection[str]) -> None:
        """Read the names in some splits, and see that no picture stands in two folders.

        Raises:
            MelanomaError: one does; the message names it. Purified copies beside their original
                and generated images are passed over.
        """
        if len(self.folders) == 1:
            return
        first: dict[str, tuple[str, Path]] = {}
        for folder, manifest in zip(self.folders, self.manifests):
            paths = [folder / one.name for one in manifest.shards if one.split in splits]
            for row in read_features(paths, _NAMING) if paths else ():
                key = row["image/key"]
                if row["origin"] == "generated" or row["origin/parent"] not in ("", key):
                    continue
                picture = image_name(Lesion(key, Path(), None, "", row["source"], "train"))
                other, place = first.setdefault(picture, (key, folder))
                if place != folder:
                    name = "" if other == key else f" as {other}"
                    raise MelanomaError(
                        f"expected each image once; {key} stands in {folder}, and in {place}{name}"
                    )

    def check_mixture(self) -> None:
        """Read all keys, and see that the folders can be mixed.

        Raises:
            MelanomaError: an image stands in two of them, or an image or a copy of it stands in
                `train` of one and is held out by another.
        """
        if len(self.folders) == 1:
            return
        places: dict[tuple[str, str], Path] = {}
        splits: dict[tuple[str, str], tuple[bool, Path]] = {}
        for folder in self.folders:
            for example in read_examples(folder):
                key = (example.source, example.key)
                if places.setdefault(key, folder) != folder:
                    raise MelanomaError(
                        f"expected each image once; {example.key} stands in {places[key]} and in "
                        f"{folder}. A folder that purify made holds the originals too"
                    )
                origin = (example.source, example.parent or example.key)
                held_out, other = splits.setdefault(origin, (example.split != "train", folder))
                if held_out != (example.split != "train"):
                    raise MelanomaError(
                        f"expected {origin[1]} and its copies to be trained on or held out; "
                        f"{folder} and {other} disagree"
                    )
