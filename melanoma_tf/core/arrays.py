"""Files of named arrays (`.npz`): no code in them, checked names, shapes and checksums.

NumPy's own reader allocates what a file claims and does not compare the checksum of what it reads
in part. Here the caller says which arrays it expects; nothing else is read.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically

_ENDING = ".npy"
_FORMAT = (1, 0)  # Its headers have at most 64 KiB.
# As NumPy writes a header. Its own reader evaluates the text as Python, and fails on a damaged one
# with errors of many kinds.
_HEADER = re.compile(
    r"\{'descr': '([<>=|]?)([A-Za-z])(\d{0,4})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,18}, )*(?:\d{1,18},?)?)\), \} *\n"
)
_FLOATS = frozenset({"f2", "f4", "f8"})
# What zipfile raises on damage: RuntimeError where a flag says that an entry is encrypted, its
# subclass NotImplementedError where one names a compression that it has not.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
Shape = tuple[int, ...]
Array = npt.NDArray[np.floating]


def write_arrays(
    path: Path, arrays: Mapping[str, npt.NDArray], *, compressed: bool = False
) -> None:
    """Write named arrays, atomically; equal arrays give equal bytes.

    Args:
        path: the `.npz` file.
        arrays: by name; a name may have slashes.
        compressed: deflate the arrays.
    """
    content = io.BytesIO()
    save: Any = np.savez_compressed if compressed else np.savez
    save(content, **arrays)
    write_atomically(path, content.getvalue())


def array_names(path: Path) -> list[str]:
    """List the names of the arrays of a file, in its order.

    Raises:
        MelanomaError: no such file, or none of arrays.
    """
    with _opened(path) as archive:
        return [name[: -len(_ENDING)] for name in archive.namelist() if name.endswith(_ENDING)]


def check_whole(path: Path) -> None:
    """Raise `MelanomaError` where a file of arrays is damaged: its checksums differ."""
    with _opened(path) as archive:
        try:
            damaged = archive.testzip()
        except _DAMAGE as error:
            raise _damaged(path, str(error)) from None
    if damaged is not None:
        raise _damaged(path, f"{damaged} with another checksum")


def read_arrays(path: Path, shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Read the named arrays of a file; others in it are not looked at.

    Args:
        path: the `.npz` file.
        shapes: what is read, by name.

    Returns:
        Arrays of finite floating-point numbers, of these shapes.

    Raises:
        MelanomaError: no such file, a damaged one, or an array that is missing, has another shape,
            or holds something else than finite numbers, such as pickled objects.
    """
    with _opened(path) as archive:
        try:
            return {name: _read(path, archive, name, shape) for name, shape in shapes.items()}
        except MelanomaError:
            raise
        except _DAMAGE as error:
            raise _damaged(path, str(error)) from None


def _opened(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise MelanomaError(f"expected a .npz file of arrays; {path} does not exist")
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise _damaged(path, str(error)) from None


def _read(path: Path, archive: zipfile.ZipFile, name: str, shape: Shape) -> Array:
    try:
        entry = archive.getinfo(name + _ENDING)
    except KeyError:
        raise MelanomaError(f"{path}: expected the array {name}; found none") from None
    with archive.open(entry) as stream:
        found, in_columns, kind, dtype = _header(stream)
        if dtype is None:
            raise MelanomaError(f"{path}: expected floating-point numbers in {name}; found {kind}")
        if found != shape:
            raise MelanomaError(f"{path}: expected {name} of the shape {shape}; found {found}")
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        # One byte more than there may be: the checksum is compared at the end of the entry.
        content = stream.read(size + 1)
    if len(content) != size:
        raise _damaged(path, f"{name} has {len(content)} bytes of {size}")
    values = np.frombuffer(content, dtype).reshape(shape, order="F" if in_columns else "C")
    if not np.isfinite(values).all():
        raise MelanomaError(f"{path}: expected finite numbers in {name}; found others")
    return values


def _header(stream: IO[bytes]) -> tuple[Shape, bool, str, np.dtype | None]:
    """Shape, whether it is stored by columns, the name of the type, and the type of a float."""
    version = np.lib.format.read_magic(stream)
    if version != _FORMAT:
        raise ValueError(f"an array of format {version}")
    length = int.from_bytes(stream.read(2), "little")
    text = stream.read(length).decode("latin-1")
    found = _HEADER.fullmatch(text)
    if found is None:
        raise ValueError("an array whose header NumPy does not write")
    order, kind, size, in_columns, sides = found.groups()
    shape = tuple(int(side) for side in sides.split(",") if side.strip())
    is_float = f"{kind}{size}" in _FLOATS
    dtype = np.dtype(f"{order}{kind}{size}") if is_float else None
    return shape, in_columns == "True", f"{order}{kind}{size}", dtype


def _damaged(path: Path, reason: str) -> MelanomaError:
    first = reason.splitlines()[0] if reason else "other bytes"
    return MelanomaError(f"{path}: expected a whole .npz file of arrays; found {first}")
