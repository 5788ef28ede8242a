"""Output folders that are whole or absent: written aside, then renamed."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.exchange import exchange
from melanoma_tf.core.files import (
    PARTIAL,
    hidden_sibling,
    partial_siblings,
    remove_partial,
    resolved,
)
from melanoma_tf.core.locks import locked
from melanoma_tf.core.ownership import (
    check_replaceable,
    is_empty,
    is_leftover,
    mark,
    refuse_inputs,
)
from melanoma_tf.core.remote_outputs import (
    check_remote_output,
    staging_folder,
    uploaded_folder,
)
from melanoma_tf.core.urls import is_remote

_RETIRED = ".retired"
_RESULTS = frozenset({".csv", ".json"})
# JSON that record folders, runs and exported models consist of.
_OF_FOLDERS = frozenset(
    (
        "manifest.json", "config.json", "history.json", "calibration.json", "threshold.json",
        "metadata.json", "checksums.json", "steps.json",
    )
)  # fmt: skip


def refuse_existing(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise `MelanomaError` where an output folder may not be written.

    What a killed process left next to it is undone first. Refused is: `path` exists and
    `overwrite` is false; it is an input, or holds or lies in one; or it is not this tool's own. An
    empty folder counts as absent.

    Args:
        path: the output folder.
        overwrite: whether the user asked to replace what is there.
        inputs: the files and folders that the command reads.
    """
    if is_remote(path):
        check_remote_output(path, overwrite, inputs)
        return
    target = resolved(path)
    refuse_inputs(path, inputs)
    if _leftovers(target):
        with locked(target):
            _recover(target)
    _check(path, overwrite)


def refuse_existing_file(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise `MelanomaError` where an output file may not be written.

    Refused is: it exists and `overwrite` is false; it is a folder or an input; or it exists and is
    part of an input folder, as a photograph, a shard or a manifest is. Other tables and JSON files
    that lie there may be replaced: results are often written next to the images.
    """
    target = resolved(path)
    remove_partial(path)
    if path.is_dir():
        raise MelanomaError(f"expected a file to write at {path}; found a folder")
    is_result = path.suffix.lower() in _RESULTS and path.name not in _OF_FOLDERS
    for each in inputs:
        source = resolved(each)
        if target == source:
            raise MelanomaError(f"expected an output apart from the input; {path} is the input")
        if path.exists() and source in target.parents and not is_result:
            raise MelanomaError(
                f"expected an output apart from the input; {path} is a file of the input {each}"
            )
    if path.exists() and not overwrite:
        raise MelanomaError(f"{path} exists; expected a new path, or --overwrite to replace it")


@contextlib.contextmanager
def published_folder(
    output: Path, *, overwrite: bool = False, inputs: Iterable[Path] = ()
) -> Iterator[Path]:
    """Yield a temporary folder next to `output`, and put it in the place of `output` at the end.

    Where the body raises, the temporary folder is removed and `output` stays as it was. What a
    killed process left is removed first. A remote `output` is made here and then uploaded, see
    `remote_outputs`.

    Args:
        output: the folder to appear; it gets a marker, see `ownership`.
        overwrite: replace an existing `output`, which is removed only once the new one is whole.
        inputs: see `refuse_existing`.

    Raises:
        MelanomaError: see `refuse_existing`; or another process writes `output`.
    """
    inputs = tuple(inputs)
    if is_remote(output):
        with uploaded_folder(output, overwrite=overwrite, inputs=inputs) as folder:
            yield folder
        return
    refuse_existing(output, overwrite, inputs)
    target = resolved(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        _recover(target)
        # Again, since another process may have ended just before the lock was released.
        _check(target, overwrite)
        temporary = hidden_sibling(target, secrets.token_hex(4) + PARTIAL)
        temporary.mkdir()
        try:
            # So that the next run may remove it, should this one be killed.
            mark(temporary, ("*",))
            yield temporary
            mark(temporary)
            replace_folder(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def workers_folder(output: Path) -> Iterator[Path]:
    """Yield a folder next to `output` that workers with the same drive write to; then remove it.

    What a killed process left of it is removed by the next one that writes `output`.

    Args:
        output: the folder to come; next to the local folder that stands for a remote one.
    """
    target = staging_folder(output) if is_remote(output) else resolved(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = hidden_sibling(target, secrets.token_hex(4) + PARTIAL)
    folder.mkdir()
    try:
        mark(folder, ("*",))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_folder(finished: Path, output: Path) -> None:
    """Put a finished folder in the place of `output`; one of this tool that was there is removed.

    The two are exchanged, so that there is always a whole `output`. Where the file system cannot
    exchange folders, the old one is moved aside first, and `refuse_existing` of the next run moves
    it back should this one be killed in between.

    Raises:
        MelanomaError: the folder that is there is not this tool's own.
    """
    if not output.exists():
        finished.rename(output)
        return
    check_replaceable(output)
    if exchange(finished, output):
        shutil.rmtree(finished)
        return
    retired = hidden_sibling(output, secrets.token_hex(4) + _RETIRED)
    output.rename(retired)
    finished.rename(output)
    shutil.rmtree(retired)


def _check(path: Path, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and is_empty(path)):
        return
    if not overwrite:
        raise MelanomaError(f"{path} exists; expected a new path, or --overwrite to replace it")
    check_replaceable(path)


def _leftovers(target: Path) -> list[Path]:
    """Folders of this tool that processes writing `target` have, or had, next to it."""
    found = [
        *partial_siblings(target, PARTIAL),
        *partial_siblings(target, _RETIRED),
    ]
    return [path for path in found if path.is_dir() and is_leftover(path)]


def _recover(target: Path) -> None:
    """Undo what a killed process began; under the lock of `target`, no running one has any part."""
    for path in _leftovers(target):
        if path.name.endswith(_RETIRED) and not target.exists():
            path.rename(target)
        else:
            shutil.rmtree(path)
