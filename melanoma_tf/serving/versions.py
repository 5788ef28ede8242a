"""Version folders of an exported model: the next free number, whole or absent.

TensorFlow Serving loads the largest number in `saved_models/NAME` as soon as it appears. So a
version is written in a hidden folder, which it passes over, and renamed.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import PARTIAL, is_partial
from melanoma_tf.core.locks import locked
from melanoma_tf.core.ownership import (
    check_replaceable,
    is_leftover,
    is_marked,
    mark,
    refuse_inputs,
)
from melanoma_tf.serving.signatures import SAVED_MODEL


@dataclass
class NewVersion:
    """A version that is being written.

    Attributes:
        working: the folder to write into.
        published: where it lies in the end; None until then.
    """

    working: Path
    published: Path | None = None


def version_folders(model_folder: Path) -> list[Path]:
    """The version folders of a model, the oldest first; empty where there is none."""
    if not model_folder.is_dir():
        return []
    found = [each for each in model_folder.iterdir() if each.name.isdecimal() and each.is_dir()]
    return sorted(found, key=lambda each: int(each.name))


def latest_version(model_folder: Path) -> Path | None:
    """The version that TensorFlow Serving serves: the largest number."""
    found = [each for each in version_folders(model_folder) if (each / SAVED_MODEL).is_file()]
    return found[-1] if found else None


def check_model_folder(output: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise `MelanomaError` where a version may not be added.

    That is: `output` is, holds or lies in an input; or it holds anything but versions that this
    tool made.
    """
    refuse_inputs(output, inputs)
    if output.exists() and not output.is_dir():
        raise MelanomaError(f"expected a folder to write at {output}; found a file")
    versions = version_folders(output)
    if not output.is_dir():
        return
    for each in sorted(output.iterdir()):
        if each.name.startswith(".") or (each in versions and is_marked(each)):
            continue
        raise MelanomaError(
            f"expected a new folder, or a model folder with versions that melanoma-tf made; "
            f"{output} holds {each.name}"
        )


@contextlib.contextmanager
def new_version(output: Path, inputs: Iterable[Path] = ()) -> Iterator[NewVersion]:
    """Yield a folder to write a version into, and publish it under the next free number.

    Where the body raises, nothing appears. What a killed export left is removed first.

    Raises:
        MelanomaError: see `check_model_folder`.
    """
    check_model_folder(output, inputs)
    target = output.resolve()
    target.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    working = target / f".export.{secrets.token_hex(4)}{PARTIAL}"
    try:
        with locked(working):
            working.mkdir()
            try:
                # So that the next export may remove it, should this one be killed.
                mark(working, ("*",))
                version = NewVersion(working)
                yield version
                mark(working)
                version.published = output / _publish(working, target)
            finally:
                shutil.rmtree(working, ignore_errors=True)
    finally:
        if not any(target.iterdir()):
            target.rmdir()


def _remove_leftovers(target: Path) -> None:
    """Remove what killed exports left; a running one holds the lock of its folder."""
    for path in sorted(target.iterdir()):
        left = is_partial(path.name) and path.is_dir()
        if not left or not is_leftover(path):
            continue
        with contextlib.suppress(MelanomaError), locked(path):
            shutil.rmtree(path)
    for path in sorted(target.glob("..export.*.lock")):
        # Held by nobody, it goes as it is released.
        with contextlib.suppress(MelanomaError), locked(target / path.name[1 : -len(".lock")]):
            pass


def _publish(working: Path, target: Path) -> str:
    """Rename to the next free number; another export at the same time may take one first."""
    while True:
        versions = version_folders(target)
        name = str(int(versions[-1].name) + 1 if versions else 1)
        try:
            working.rename(target / name)
        except OSError:
            if not (target / name).exists():
                raise
        else:
            return name


def remove_old_versions(output: Path, keep: int) -> list[Path]:
    """Remove all but the newest versions; each vanishes at once, by a renaming.

    Args:
        output: the model folder.
        keep: number of versions to keep; 0 keeps all.

    Returns:
        The folders that were removed.

    Raises:
        MelanomaError: a version holds files that this tool did not make.
    """
    old = version_folders(output)[:-keep] if keep else []
    for each in old:
        check_replaceable(each)
    for each in old:
        retired = output.resolve() / f".removed.{secrets.token_hex(4)}{PARTIAL}"
        each.rename(retired)
        shutil.rmtree(retired)
    return old
