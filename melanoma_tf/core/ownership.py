"""Folders that may be replaced: those with this tool's marker and nothing else in them.

Every output folder holds a marker, `.melanoma-tf.json`, that names the files this tool made in it.
A folder without a marker, or with a file that the marker does not name, is never removed.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import is_partial, read_json, resolved, write_json

MARKER = ".melanoma-tf.json"
_FORMAT, _VERSION = "melanoma_tf output folder", 1
# Left by file managers in any folder that somebody looked at.
_UNTOLD = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def mark(folder: Path, patterns: Sequence[str] = ()) -> None:
    """Write the marker of an output folder: the files in it now, and patterns for later ones.

    Args:
        folder: the output folder.
        patterns: what the tool may add, relative to the folder, as `logs/*`; `*` also matches `/`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "mask.png").write_bytes(b"")
        >>> mark(folder)
        >>> _ = (folder / "thesis.txt").write_bytes(b"")
        >>> foreign_files(folder)
        ['thesis.txt']
    """
    marker = {
        "format": _FORMAT,
        "version": _VERSION,
        "files": sorted(_names(folder)),
        "patterns": list(patterns),
    }
    write_json(folder / MARKER, marker)


def is_marked(folder: Path) -> bool:
    """Tell whether a folder carries a marker of this tool."""
    return (folder / MARKER).is_file() and _contents(folder) is not None


def is_empty(folder: Path) -> bool:
    """Tell whether a folder has nothing but what a killed process was about to write."""
    return all(is_partial(path.name) for path in folder.iterdir())


def is_leftover(folder: Path) -> bool:
    """Tell whether a folder that was being written holds this tool's files alone, or none."""
    return is_empty(folder) or (is_marked(folder) and not foreign_files(folder))


def foreign_files(folder: Path) -> list[str]:
    """The files of a marked folder that this tool did not make, by relative path."""
    files, patterns = _contents(folder) or (frozenset(), ())
    return [
        name
        for name in sorted(_names(folder))
        if name not in files and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]


def check_replaceable(folder: Path) -> None:
    """Raise `MelanomaError` unless a folder is this tool's own, with nothing else in it."""
    if not folder.is_dir():
        raise MelanomaError(f"expected a folder at {folder}; found a file")
    if is_empty(folder):
        return
    if not is_marked(folder):
        raise MelanomaError(
            f"expected a folder that melanoma-tf made; {folder} has no {MARKER} of it. Nothing was "
            "removed: choose another path, or remove the folder yourself"
        )
    foreign = foreign_files(folder)
    if foreign:
        raise MelanomaError(
            f"expected only files that melanoma-tf made in {folder}; found {len(foreign)} others, "
            f"as {foreign[0]}. Nothing was removed: move them away, or choose another path"
        )


def refuse_inputs(output: Path, inputs: Iterable[Path]) -> None:
    """Raise `MelanomaError` where an output is an input, holds one, or lies in one.

    Links are followed on both sides. An input that does not exist is left to its reader.
    """
    target = resolved(output)
    for each in inputs:
        source = resolved(each)
        if target == source:
            raise MelanomaError(f"expected an output apart from the input; {output} is the input")
        if target in source.parents:
            raise MelanomaError(
                f"expected an output apart from the input; {output} holds the input {each}"
            )
        if source in target.parents:
            raise MelanomaError(
                f"expected an output apart from the input; {output} lies in the input {each}"
            )


def _contents(folder: Path) -> tuple[frozenset[str], tuple[str, ...]] | None:
    payload: Any = read_json(folder / MARKER)
    if not isinstance(payload, dict) or payload.get("format") != _FORMAT:
        return None
    files, patterns = payload.get("files"), payload.get("patterns")
    if payload.get("version") != _VERSION or not _are_names(files) or not _are_names(patterns):
        raise MelanomaError(
            f"{folder / MARKER}: expected version {_VERSION} of the marker, with lists of files "
            f"and patterns; found version {payload.get('version')!r} or other contents"
        )
    return frozenset(files or ()), tuple(patterns or ())


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _names(folder: Path) -> Iterator[str]:
    """Relative paths of everything but folders; links are not followed."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        is_entry = path.is_symlink() or not path.is_dir()
        told = path.name not in _UNTOLD and not is_partial(path.name)
        if is_entry and name != MARKER and told:
            yield name
