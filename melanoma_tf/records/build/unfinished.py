"""The folder and lock of a running build, which can be resumed.

While a build runs, `.NAME.unfinished` beside the output holds `header.json`, which says what is
built, the spool of prepared images, and `records`, the record folder to come. To publish it, the
build renames the header to `published.json`, moves `records` to the output, and removes the rest.
Wherever it is killed, the next build of the same output knows how far it came. A remote output is
built here too, and uploaded at the end.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, write_json
from melanoma_tf.core.locks import locked
from melanoma_tf.core.outputs import refuse_existing, replace_folder
from melanoma_tf.core.ownership import check_replaceable, mark
from melanoma_tf.core.remote_outputs import staging_folder, upload_records
from melanoma_tf.core.urls import is_remote

_HEADER, _PUBLISHED, _RECORDS = "header.json", "published.json", "records"
# The prepared images, see `spool`.
SPOOLED = "images"


class UnfinishedBuild:
    """The folder of a running build.

    Attributes:
        folder: folder of the spool.
        records: the empty folder to fill with the records.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self.records = folder / _RECORDS
        if resume and _restored(folder):
            _refuse_other(read_json(folder / _HEADER), json.loads(json.dumps(header)), folder)
        else:
            discard(folder)
            folder.mkdir()
            mark(folder, ("*",))
            write_json(folder / _HEADER, dict(header))
        # Shards are written in a fraction of the time that the images took, so they start again.
        shutil.rmtree(self.records, ignore_errors=True)
        self.records.mkdir()

    def publish(self, output: Path, overwrite: bool) -> None:
        """Move the records to `output`, and remove the rest."""
        if is_remote(output):
            upload_records(self.records, output, overwrite)
            shutil.rmtree(self.folder)
            return
        mark(self.records)
        (self.folder / _HEADER).rename(self.folder / _PUBLISHED)
        replace_folder(self.records, output)
        shutil.rmtree(self.folder)


def unfinished_folder(output: Path) -> Path:
    """Return the folder of a build of `output` until it is published.

    That of a remote output lies in the folder of local copies, see `core.cache`.
    """
    output = staging_folder(output) if is_remote(output) else output
    return output.parent / f".{output.name}.unfinished"


def discard(folder: Path) -> None:
    """Remove the folder of an interrupted build, if there is one.

    Raises:
        MelanomaError: the folder is not that of a build.
    """
    if folder.exists():
        check_replaceable(folder)
        shutil.rmtree(folder)


@contextlib.contextmanager
def unfinished_build(
    output: Path,
    header: Mapping[str, Any],
    *,
    resume: bool,
    overwrite: bool,
    inputs: Iterable[Path] = (),
) -> Iterator[UnfinishedBuild]:
    """Yield the folder of a build, and publish it as `output` at the end.

    If the body raises, the folder is kept for `resume`, unless no image is prepared yet.

    Args:
        output: the folder to create.
        header: JSON values that determine the content; a build is resumed with equal ones only.
        resume: continue an interrupted build, if there is one.
        overwrite: replace an existing `output` once the new one is complete.
        inputs: files and folders that the build reads.

    Raises:
        MelanomaError: `output` exists and `overwrite` is false, another build of it runs, or the
            interrupted build had another header.
    """
    inputs = list(inputs)
    if not unfinished_folder(output).exists():
        refuse_existing(output, overwrite, inputs)
    folder = unfinished_folder(output)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MelanomaError(
            f"{folder.parent}: expected a folder that can be created; {error.strerror}"
        ) from None
    with locked(folder.parent / output.name, "build of"):
        if (folder / _PUBLISHED).is_file() and not (folder / _RECORDS).exists():
            # A kill after the records had been moved to the output.
            discard(folder)
        # Under the lock, since another build may have ended just before.
        refuse_existing(output, overwrite, inputs)
        build = UnfinishedBuild(folder, header, resume=resume)
        try:
            yield build
        except BaseException:
            if not any(path.stat().st_size for path in folder.glob(SPOOLED)):
                shutil.rmtree(folder)
            raise
        build.publish(output, overwrite)


def _restored(folder: Path) -> bool:
    """Tell whether a folder holds a build to resume, also one that was about to be published."""
    if (folder / _PUBLISHED).is_file():
        (folder / _PUBLISHED).rename(folder / _HEADER)
    return (folder / _HEADER).is_file()


def _refuse_other(before: Any, now: dict[str, Any], folder: Path) -> None:
    if not isinstance(before, dict):
        raise MelanomaError(f"{folder / _HEADER}: expected the settings of a build, found {before}")
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            raise MelanomaError(
                f"expected the settings and data of the interrupted build; {name} was "
                f"{before.get(name)!r}, found {now.get(name)!r} (build without --resume)"
            )
