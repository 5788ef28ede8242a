"""Image files as exported models take them. Free of TensorFlow, but for DICOM files."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.records.decode import read_portable
from melanoma_tf.records.exif import orientation_of
from melanoma_tf.records.header import (
    DEFAULT_MAX_MEGAPIXELS,
    UnreadableImageError,
    check_shape,
    check_size,
    read_header,
)

_TURNED_BY_THE_MODEL = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def encoded_for_model(path: Path) -> bytes | UnreadableImageError:
    """The bytes to send to a model: the file's own where the model reads them, else PNG.

    Returns:
        The bytes; or why the file cannot be read.
    """
    try:
        if path.is_file() and (content := path.read_bytes()).startswith(_TURNED_BY_THE_MODEL):
            header = read_header(content)
            check_size(header.height, header.width, DEFAULT_MAX_MEGAPIXELS)
            check_shape(header.height, header.width)
            # A phone's photograph is many times larger as PNG, and models turn it themselves.
            if orientation_of(content) != 1:
                return content
        return read_portable(path)
    except UnreadableImageError as error:
        return error
    except OSError as error:
        return UnreadableImageError(f"cannot be read: {error.strerror or error}")
