"""Output that is whole or absent: folders and files are written aside, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from melanoma_tf.errors import MelanomaError


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `MelanomaError` where `path` exists and may not be overwritten.

    An empty folder counts as absent.
    """
    if overwrite or not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    raise MelanomaError(f"{path} exists; expected a new path, or --overwrite to replace it")


@contextlib.contextmanager
def published_folder(output: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `output`, and rename it to `output` at the end.

    Where the body raises, the temporary folder is removed and `output` stays as it was.

    Args:
        output: the folder to appear.
        overwrite: replace an existing `output`, which is removed only once the new one is whole.

    Raises:
        MelanomaError: `output` exists and `overwrite` is false.
    """
    refuse_existing(output, overwrite)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    temporary.chmod(0o777 & ~_umask())
    try:
        yield temporary
        replace_folder(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(finished: Path, output: Path) -> None:
    """Rename `finished` to `output`; a folder that was there is removed only after that."""
    if not output.exists():
        finished.rename(output)
        return
    retired = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
    output.rename(retired / "folder")
    finished.rename(output)
    shutil.rmtree(retired)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file beside `path` and rename it, so that no reader ever sees half of it."""
    payload = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, payload: Any) -> None:
    """Write `payload` as indented JSON, atomically; NaN is refused, since JSON has none."""
    write_atomically(path, json.dumps(payload, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file; a missing or broken one is a one-line `MelanomaError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MelanomaError(f"expected the file {path}; it does not exist") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MelanomaError(f"{path}: expected JSON, found {error}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
