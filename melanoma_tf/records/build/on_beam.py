"""Prepare images by Apache Beam: what workers send back is JSON and encoded images, and checked."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.core.beam import map_on_beam
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import parse_json
from melanoma_tf.records.build.prepare import ABSENT, ImageFiles, Prepared, Refused, prepare
from melanoma_tf.records.build.thumbnails import BLANK, THUMBNAIL_SIZE_PX
from melanoma_tf.records.encode import Encoding
from melanoma_tf.records.header import Header, UnreadableImageError, read_header

_WHERE = "result of a worker of Apache Beam"
_PREPARED = {"height": int, "width": int, "pixels": int, "signature": list, "inverted": bool}
_REFUSED = {"path": str, "reason": str, "signature": list}


def prepare_all_on_beam(
    files: Iterable[ImageFiles],
    encoding: Encoding,
    *,
    max_megapixels: float,
    folder: Path,
    options: Sequence[str],
) -> Generator[Prepared | Refused, None, None]:
    """Prepare images by Apache Beam, in order; see `core.beam` for `folder` and `options`."""
    task = functools.partial(_packed, encoding=encoding, max_megapixels=max_megapixels)
    # Workers have another working folder.
    absolute = [
        ImageFiles(
            each.image_path.absolute(),
            None if each.mask_path is None else each.mask_path.absolute(),
        )
        for each in files
    ]
    with contextlib.closing(map_on_beam(task, absolute, folder, options)) as results:
        for item, parts in zip(absolute, results):
            yield unpack(parts, item, encoding.image_format)


def _packed(files: ImageFiles, encoding: Encoding, max_megapixels: float) -> list[bytes]:
    return pack(prepare(files, encoding, max_megapixels))


def pack(result: Prepared | Refused) -> list[bytes]:
    """Turn a result into byte strings: JSON, and for a prepared image its three pictures."""
    names = _PREPARED if isinstance(result, Prepared) else _REFUSED
    values = {name: getattr(result, name) for name in names}
    if isinstance(result, Refused):
        return [json.dumps({**values, "path": str(result.path)}).encode()]
    thumbnail = b"" if result.thumbnail is None else result.thumbnail.tobytes()
    return [json.dumps(values).encode(), result.image, result.mask, thumbnail]


def unpack(parts: Sequence[bytes], files: ImageFiles, image_format: str) -> Prepared | Refused:
    """Invert `pack`, and check that the result may be one of these files.

    Raises:
        MelanomaError: it has another form, or its pictures another format or size than it says.
    """
    values: Any = parse_json(parts[0], _WHERE) if parts else None
    if len(parts) == 1 and _has_types(values, _REFUSED):
        path = Path(values["path"])
        if path not in (files.image_path, files.mask_path):
            raise _other(f"that of {values['path']!a}, not of {str(files.image_path)!a}")
        return Refused(path, values["reason"], tuple(values["signature"]))
    if len(parts) != 4 or not _has_types(values, _PREPARED):
        raise _other("other values")
    _, image, mask, thumbnail = parts
    height, width = values["height"], values["width"]
    if _header(image) != Header(image_format, height, width):
        raise _other(f"no {image_format} image of {width}x{height} pixels")
    if bool(mask) != (files.mask_path is not None) or (
        mask and _header(mask) != Header("png", height, width)
    ):
        raise _other(f"no mask of {width}x{height} pixels")
    if len(thumbnail) not in (0, len(BLANK)):
        raise _other(f"a thumbnail of {len(thumbnail)} bytes")
    size = (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX)
    return Prepared(
        image=image,
        height=height,
        width=width,
        mask=mask,
        pixels=values["pixels"],
        thumbnail=np.frombuffer(thumbnail, np.uint8).reshape(size) if thumbnail else None,
        signature=tuple(values["signature"]),
        inverted=values["inverted"],
    )


def _has_types(values: Any, types: Mapping[str, type]) -> bool:
    return (
        isinstance(values, dict)
        and values.keys() == types.keys()
        and all(type(values[name]) is kind for name, kind in types.items())
        and all(type(each) is int and each >= ABSENT[0] for each in values["signature"])
        and len(values["signature"]) == 2 * len(ABSENT)
        and values.get("pixels", 1) > 0
    )


def _header(encoded: bytes) -> Header | None:
    try:
        return read_header(encoded)
    except UnreadableImageError:
        return None


def _other(found: str) -> MelanomaError:
    return MelanomaError(
        f"{_WHERE}: expected a prepared image; found {found}: do all workers have this version of "
        "melanoma-tf?"
    )
