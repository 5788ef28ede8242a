"""`manifest.json`: the contents of a record folder. A folder without it is unfinished."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, TypeVar

from melanoma_tf.core.cache import RECORDS, entry, make_room
from melanoma_tf.core.errors import MelanomaError, shown
from melanoma_tf.core.files import checked, parse_json, read_checked_json, write_checked_json
from melanoma_tf.core.remote import (
    describe_files,
    fetch_file,
    in_parallel,
    list_files,
    read_file,
)
from melanoma_tf.core.remote_outputs import MANIFEST as FILE_NAME
from melanoma_tf.core.urls import full_url, is_remote

SCHEMA_VERSION = 1
Row = TypeVar("Row")
_SHARD_NAME = re.compile(r"[^/\\\x00-\x1f]*\.tfrecord")


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
    write_checked_json(folder / FILE_NAME, dataclasses.asdict(manifest))


def read_manifest(folder: Path, *, check_sizes: bool = True) -> Manifest:
    """Read a record folder's manifest.

    Args:
        folder: the record folder; also a URL, see `core.urls.is_remote`.
        check_sizes: compare the size of each shard with the manifest's, which finds a truncated
            one before any work.

    Raises:
        MelanomaError: the folder is absent or unfinished, has another version, lacks a shard or has
            a truncated one; or the manifest is damaged.
    """
    manifest = manifest_from_json(_payload(folder), f"{folder}/{FILE_NAME}")
    sizes = _shard_sizes(folder, manifest)
    for shard in manifest.shards:
        if shard.name not in sizes:
            raise MelanomaError(
                f"{folder}: expected the shard {shard.name} that the manifest lists; it does not "
                "exist"
            )
        size_bytes = sizes[shard.name]
        if check_sizes and size_bytes not in (shard.size_bytes, None):
            raise MelanomaError(
                f"{folder}/{shard.name}: expected {shard.size_bytes} bytes; found {size_bytes}: it "
                "is truncated, or not the manifest's"
            )
    return manifest


def is_record_folder(path: Path) -> bool:
    """Tell whether a path is a record folder and no image or folder of images; a URL always is."""
    return is_remote(path) or (path / FILE_NAME).is_file()


def _payload(folder: Path) -> Any:
    """The JSON values of a folder's manifest."""
    if is_remote(folder):
        content = read_file(folder, FILE_NAME)
        if content is None:
            raise MelanomaError(
                f"{folder} has no {FILE_NAME}: it is not a record folder, or it is not whole yet"
            )
        where = f"{folder}/{FILE_NAME}"
        return checked(parse_json(content, where), where)
    folder = Path(folder)
    if not folder.is_dir():
        raise MelanomaError(f"expected a record folder at {folder}; it does not exist")
    if not (folder / FILE_NAME).is_file():
        raise MelanomaError(
            f"{folder} has no {FILE_NAME}: it is not a record folder, or its build did not finish"
        )
    return read_checked_json(folder / FILE_NAME)


def _shard_sizes(folder: Path, manifest: Manifest) -> dict[str, int | None]:
    """The sizes of the shards that exist; None where a server does not tell."""
    names = [shard.name for shard in manifest.shards]
    if is_remote(folder):
        # A web server may not list its files.
        web = full_url(folder).startswith("http")
        found = describe_files(folder, names) if web else list_files(folder).values()
        return {file.name: file.size_bytes for file in found}
    paths = [Path(folder) / name for name in names]
    return {path.name: path.stat().st_size for path in paths if path.is_file()}


def local_paths(folder: Path, manifest: Manifest, shards: Sequence[Shard]) -> list[Path]:
    """Return shards of a folder as local files; those of a remote folder are fetched first.

    Fetched files have the size and SHA-256 of the manifest. They stay in the cache, see
    `core.cache`, under the checksums of the folder: a changed folder never gets its old shards.

    Raises:
        MelanomaError: a shard cannot be fetched, or is not the manifest's; or the cache is full.
    """
    if not is_remote(folder):
        return [Path(folder) / shard.name for shard in shards]
    cached = entry(RECORDS, "".join(each.sha256 for each in manifest.shards))
    absent = [shard for shard in shards if not _is_whole(cached / shard.name, shard)]
    if absent:
        make_room(sum(shard.size_bytes for shard in absent), f"{folder}")
    in_parallel(
        lambda shard: fetch_file(
            folder,
            shard.name,
            cached / shard.name,
            size_bytes=shard.size_bytes,
            sha256=shard.sha256,
        ),
        absent,
    )
    return [cached / shard.name for shard in shards]


def _is_whole(path: Path, shard: Shard) -> bool:
    return path.is_file() and path.stat().st_size == shard.size_bytes


def shard_paths(folder: Path, manifest: Manifest, split: str) -> list[Path]:
    """List the shard files of a split, in order; see `local_paths`.

    Raises:
        MelanomaError: the folder has no examples in that split.
    """
    shards = [shard for shard in manifest.shards if shard.split == split]
    if not shards:
        splits = ", ".join(manifest.splits()) or "none"
        raise MelanomaError(f"{folder} has no examples in split {split!r}; it has: {splits}")
    return local_paths(folder, manifest, shards)


def manifest_from_json(payload: Any, where: str) -> Manifest:
    """Parse the JSON values of `manifest.json`.

    Args:
        payload: the values.
        where: how errors name them.

    Raises:
        MelanomaError: another version; or a value is missing, unknown, or of another type or range.
    """
    found = payload.get("schema_version") if isinstance(payload, dict) else None
    if found != SCHEMA_VERSION or isinstance(found, bool):
        raise MelanomaError(f"{where}: expected schema_version {SCHEMA_VERSION}, found {found!r}")
    values = _checked_fields(Manifest, payload, where)
    names = tuple(_texts(values["class_names"], f"{where}: class_names"))
    if not names or len(set(names)) != len(names) or not all(map(str.isprintable, names)):
        raise MelanomaError(
            f"{where}: expected different class names of printable characters; found "
            f"{list(names)!r:.200}"
        )
    shards = _rows(Shard, values["shards"], f"{where}: shards", _check_shard)
    twice = sorted(name for name, number in Counter(s.name for s in shards).items() if number > 1)
    if twice:
        raise MelanomaError(f"{where}: expected each shard once; found {twice[0]} several times")
    return Manifest(
        **{
            **values,
            "class_names": names,
            "counts": _rows(Count, values["counts"], f"{where}: counts"),
            "shards": shards,
            "sources": {
                name: dict(zip(row, _texts(row, f"{where}: sources")))
                for name, row in values["sources"].items()
            },
            "skipped": tuple(
                dict(zip(row, _texts(row, f"{where}: skipped"))) for row in values["skipped"]
            ),
        }
    )


_LARGEST_COUNT = 2**63 - 1
_KINDS: dict[str, tuple[type, str]] = {
    "str": (str, "a text"),
    "int": (int, "a count"),
    "tuple": (list, "a list"),
    "dict": (dict, "an object"),
}


def _checked_fields(kind: type, payload: Any, where: str) -> dict[str, Any]:
    """The values of a dataclass by field: of its types, and counts of at least 0."""
    if not isinstance(payload, dict):
        raise MelanomaError(f"{where}: expected an object; found {type(payload).__name__}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = [name for name in payload if name not in fields]
    if unknown:
        raise MelanomaError(f"{where}: expected {', '.join(fields)}; found {shown(unknown[0])} too")
    for name, declared in fields.items():
        defaults_to = (declared.default, declared.default_factory)
        has_default = defaults_to != (dataclasses.MISSING, dataclasses.MISSING)
        if name not in payload and not has_default:
            raise MelanomaError(f"{where}: expected {', '.join(fields)}; found no {name}")
        if name in payload:
            expected, words = _KINDS[str(declared.type).partition("[")[0]]
            value = payload[name]
            wrong = not isinstance(value, expected) or isinstance(value, bool)
            if wrong or (expected is int and not 0 <= value <= _LARGEST_COUNT):
                raise MelanomaError(f"{where}: expected {words} as {name}; found {value!r:.80}")
    defaults: dict[str, Any] = {"skipped": [], "findings": {}, "tool_version": ""}
    return {**{name: value for name, value in defaults.items() if name in fields}, **payload}


def _rows(
    kind: type[Row], rows: list[Any], where: str, check: Callable[[Row, str], None] | None = None
) -> tuple[Row, ...]:
    found = tuple(kind(**_checked_fields(kind, row, where)) for row in rows)
    for row in found if check is not None else ():
        check(row, where)  # type: ignore[misc]
    return found


def _check_shard(shard: Shard, where: str) -> None:
    if not _SHARD_NAME.fullmatch(shard.name):
        raise MelanomaError(
            f"{where}: expected the name of a file in the folder; found {shard.name!r:.80}"
        )


def _texts(values: Any, where: str) -> list[str]:
    """The texts in a list, or those of an object."""
    found = list(values.values()) if isinstance(values, dict) else values
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise MelanomaError(f"{where}: expected texts; found {values!r:.80}")
    return found
