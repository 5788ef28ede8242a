"""URLs of folders on object stores and web servers, and what of them may be shown.

A folder is named by a `Path` everywhere in this package, and `Path("s3://bucket/records")` is
`s3:/bucket/records`: so both forms mean the same here.
"""

from __future__ import annotations

import re
from pathlib import Path

SCHEMES = ("s3", "gs", "http", "https")
_URL = re.compile(rf"({'|'.join(SCHEMES)}):/+([^\s]*)", re.IGNORECASE)
# In any text. What stands before an @ or behind a ? may be a password or a signature.
_IN_TEXT = re.compile(
    rf"\b({'|'.join(SCHEMES)}):/+(?:[^\s/@?#]*@)?([^\s?#'\"]*)(?:[?#][^\s'\")]*)?", re.IGNORECASE
)


def is_remote(path: Path | str) -> bool:
    """Tell whether a path is the URL of an object store or a web server.

    Example:
        >>> is_remote(Path("s3://bucket/records")), is_remote("tfrecords/isic2017")
        (True, False)
    """
    return _URL.match(str(path)) is not None


def full_url(path: Path | str, name: str = "") -> str:
    """The URL of a folder, or of a file in it, with all that it takes to open it.

    Args:
        path: the folder, see `is_remote`.
        name: of the file, relative to the folder; it goes before a query.

    Raises:
        MelanomaError: the path of the folder has spaces.

    Example:
        >>> full_url(Path("http://host/records?signature=x"), "manifest.json")
        'http://host/records/manifest.json?signature=x'
    """
    found = _URL.match(str(path))
    assert found is not None, path
    if found.end() < len(str(path)):
        from melanoma_tf.core.errors import MelanomaError  # It imports this module.

        # What follows might be a query with a signature, so no more of it is shown.
        raise MelanomaError(
            f"expected a URL without spaces; found one after {without_secrets(found[0])}"
        )
    place, mark, query = found[2].partition("?")
    place = "/".join(part for part in (place.rstrip("/"), name) if part)
    return f"{found[1].lower()}://{place}{mark}{query}"


def public_url(path: Path | str) -> str:
    """The URL of a folder without user, password and query."""
    return without_secrets(full_url(path))


def without_secrets(text: str) -> str:
    """A text with the user, password and query of each URL left out.

    Example:
        >>> without_secrets("http://me:secret@host/file?X-Amz-Signature=ab was not found")
        'http://host/file was not found'
        >>> without_secrets("s3:/bucket/records has no manifest.json")
        's3://bucket/records has no manifest.json'
    """
    return _IN_TEXT.sub(lambda found: f"{found[1].lower()}://{found[2]}", text)
