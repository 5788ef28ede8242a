"""`manifest.json`: the contents of a record folder. A folder without it is unfinished."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, write_json

FILE_NAME = "manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Shard:
    """One TFRecord file: its name in the folder, split, number of examples, size and SHA-256."""

    name: str
    split: str
    count: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Count:
    """Number of examples in one cell of split x class x source x origin."""

    split: str
    class_name: str
    source: str
    origin: str
    count: int


@dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`.

    Attributes:
        taxonomy: the taxonomy's name.
        class_names: in the order of `label`.
        counts: one row per non-empty cell, sorted.
        shards: in reading order.
        settings: the settings of the command that created the folder.
        sources: per source name its `licence` and `attribution`.
        skipped: files left out, each with `key`, `file` and `reason`.
        findings: other findings of the build (missing images, unmapped labels, duplicates).
        tool_version: version of this package.
        schema_version: version of this layout.
    """

    taxonomy: str
    class_names: tuple[str, ...]
    counts: tuple[Count, ...]
    shards: tuple[Shard, ...]
    settings: dict[str, Any]
    sources: dict[str, dict[str, str]]
    skipped: tuple[dict[str, str], ...] = ()
    findings: dict[str, Any] = field(default_factory=dict)
    tool_version: str = ""
    schema_version: int = SCHEMA_VERSION

    def count(
        self,
        *,
        split: str | None = None,
        class_name: str | None = None,
        source: str | None = None,
        origin: str | None = None,
    ) -> int:
        """Count the examples in the cells that match every given value."""
        return sum(
            row.count
            for row in self.counts
            if split in (None, row.split)
            and class_name in (None, row.class_name)
            and source in (None, row.source)
            and origin in (None, row.origin)
        )

    def splits(self) -> tuple[str, ...]:
        """List the splits that have examples, in reading order."""
        return tuple(dict.fromkeys(shard.split for shard in self.shards))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into the folder, as the last step of a build."""
    write_json(folder / FILE_NAME, dataclasses.asdict(manifest))


def read_manifest(folder: Path) -> Manifest:
    """Read a record folder's manifest.

    Raises:
        MelanomaError: the folder is absent or unfinished, has another version, or lacks a shard.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MelanomaError(f"expected a record folder at {folder}; it does not exist")
    if not (folder / FILE_NAME).is_file():
        raise MelanomaError(
            f"{folder} has no {FILE_NAME}: it is not a record folder, or its build did not finish"
        )
    payload = read_json(folder / FILE_NAME)
    manifest = _from_json(payload, folder)
    absent = [shard.name for shard in manifest.shards if not (folder / shard.name).is_file()]
    if absent:
        raise MelanomaError(
            f"{folder}: expected the shard {absent[0]} that the manifest lists; it does not exist"
        )
    return manifest


def _from_json(payload: Any, folder: Path) -> Manifest:
    found = payload.get("schema_version") if isinstance(payload, dict) else None
    if found != SCHEMA_VERSION:
        raise MelanomaError(
            f"{folder / FILE_NAME}: expected schema_version {SCHEMA_VERSION}, found {found}"
        )
    try:
        return Manifest(
            **{
                **payload,
                "class_names": tuple(payload["class_names"]),
                "counts": tuple(Count(**row) for row in payload["counts"]),
                "shards": tuple(Shard(**row) for row in payload["shards"]),
                "skipped": tuple(payload["skipped"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise MelanomaError(
            f"{folder / FILE_NAME}: expected a manifest of this tool; {error}"
        ) from None


def shard_paths(folder: Path, manifest: Manifest, split: str) -> list[Path]:
    """List the shard files of a split, in order.

    Raises:
        MelanomaError: the folder has no examples in that split.
    """
    paths = [Path(folder) / shard.name for shard in manifest.shards if shard.split == split]
    if not paths:
        splits = ", ".join(manifest.splits()) or "none"
        raise MelanomaError(f"{folder} has no examples in split {split!r}; it has: {splits}")
    return paths
