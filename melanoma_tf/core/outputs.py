"""Output folders that are whole or absent: written aside, then renamed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import current_umask
from melanoma_tf.core.ownership import check_replaceable, mark, refuse_inputs


def refuse_existing(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise `MelanomaError` where an output folder may not be written.

    That is: `path` exists and `overwrite` is false; it is an input, or holds or lies in one; or it
    is not this tool's own. An empty folder counts as absent.

    Args:
        path: the output folder.
        overwrite: whether the user asked to replace what is there.
        inputs: the files and folders that the command reads.
    """
    refuse_inputs(path, inputs)
    if not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    if not overwrite:
        raise MelanomaError(f"{path} exists; expected a new path, or --overwrite to replace it")
    check_replaceable(path)


def refuse_existing_file(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise `MelanomaError` where an output file exists and may not be replaced, or is an input."""
    if path.is_dir():
        raise MelanomaError(f"expected a file to write at {path}; found a folder")
    if any(path.resolve() == each.resolve() for each in inputs):
        raise MelanomaError(f"expected an output apart from the input; {path} is the input")
    if path.exists() and not overwrite:
        raise MelanomaError(f"{path} exists; expected a new path, or --overwrite to replace it")


@contextlib.contextmanager
def published_folder(
    output: Path, *, overwrite: bool = False, inputs: Iterable[Path] = ()
) -> Iterator[Path]:
    """Yield a temporary folder next to `output`, and rename it to `output` at the end.

    Where the body raises, the temporary folder is removed and `output` stays as it was.

    Args:
        output: the folder to appear; it gets a marker, see `ownership`.
        overwrite: replace an existing `output`, which is removed only once the new one is whole.
        inputs: see `refuse_existing`.

    Raises:
        MelanomaError: see `refuse_existing`.
    """
    refuse_existing(output, overwrite, inputs)
    target = output.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary.chmod(0o777 & ~current_umask())
    try:
        yield temporary
        mark(temporary)
        replace_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(finished: Path, output: Path) -> None:
    """Rename `finished` to `output`; a folder of this tool that was there is removed after that.

    Raises:
        MelanomaError: the folder that is there is not this tool's own.
    """
    if not output.exists():
        finished.rename(output)
        return
    check_replaceable(output)
    retired = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
    output.rename(retired / "folder")
    finished.rename(output)
    shutil.rmtree(retired)
