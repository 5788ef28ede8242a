"""Files that are whole or absent: written aside, then renamed; and JSON."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file next to `path` and rename it, so that no reader ever sees half of it."""
    payload = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
        Path(name).chmod(0o666 & ~current_umask())
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
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise MelanomaError(f"expected the file {path}; it does not exist") from None
    except ValueError as error:  # Also bytes that are no UTF-8, and numbers of 5,000 digits.
        raise MelanomaError(f"{path}: expected JSON, found {error}") from None
    except RecursionError:
        raise MelanomaError(f"{path}: expected JSON, found it nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name}, which JSON has not")


def current_umask() -> int:
    """The permission bits that new files of this process lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
