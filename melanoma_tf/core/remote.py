"""Files of `s3://`, `gs://` and `http://` folders: listed, fetched and put, with repetition.

The one module that opens a connection to such a folder, by fsspec. Credentials come from where the
libraries look for them (environment, `~/.aws`, application default credentials) and appear in no
message. A connection that drops is tried again with back-off; a file arrives whole or not at all.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import PARTIAL, hidden_sibling
from melanoma_tf.core.files import sha256 as file_sha256
from melanoma_tf.core.urls import full_url, public_url, without_secrets

Result = TypeVar("Result")
# The library behind fsspec for each scheme.
_LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
_ATTEMPTS = 5
_FIRST_DELAY_SECONDS = 0.5
_CONNECT_SECONDS, _READ_SECONDS = 20.0, 60.0
_AT_ONCE = 8
_REQUEST_TIMEOUT, _TOO_MANY = 408, 429


@dataclass(frozen=True)
class RemoteFile:
    """A file of a remote folder.

    Attributes:
        name: relative to the folder.
        size_bytes: None where the server does not tell.
        version: differs between versions of a file, as far as the server tells.
    """

    name: str
    size_bytes: int | None
    version: str = ""


class _IncompleteError(OSError):
    """A transfer that ended too early, or brought something else."""


def list_files(folder: Path | str) -> dict[str, RemoteFile]:
    """List the files of a remote folder and its sub-folders by name; an absent one has none.

    Raises:
        MelanomaError: the folder cannot be listed.
    """
    url = full_url(folder)
    system = _file_system(url)
    root = system._strip_protocol(url).rstrip("/") + "/"

    def listed() -> dict[str, Any]:
        system.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            return dict(system.find(url.rstrip("/") + "/", detail=True))
        return {}

    web = urlsplit(url).scheme in ("http", "https")
    found = {}
    for path, details in _repeated(listed, f"list {public_url(folder)}").items():
        name = path[len(root) :]
        name = unquote(name) if web else name
        # A web server's page also links to other orders of itself; and no name may lead out.
        if name and not name.startswith("?") and details["type"] == "file":
            _refuse_outside(name, folder)
            found[name] = RemoteFile(name, details.get("size"), _version(details))
    return found


def describe_files(folder: Path | str, names: Iterable[str]) -> list[RemoteFile]:
    """Ask for size and version of files, where a list has none of them.

    Raises:
        MelanomaError: a file does not exist, or the server does not answer.
    """
    system = _file_system(full_url(folder))

    def described(name: str) -> RemoteFile:
        url = full_url(folder, name)
        details = _repeated(lambda: system.info(url), f"find {without_secrets(url)}")
        return RemoteFile(name, details.get("size"), _version(details))

    return in_parallel(described, list(names))


def read_file(folder: Path | str, name: str) -> bytes | None:
    """Read a small file of a remote folder; None where it does not exist.

    Raises:
        MelanomaError: it cannot be read.
    """
    url = full_url(folder, name)
    system = _file_system(url)

    def read() -> bytes | None:
        try:
            return bytes(system.cat_file(url))
        except FileNotFoundError:
            return None

    return _repeated(read, f"read {without_secrets(url)}")


def fetch_file(
    folder: Path | str,
    name: str,
    target: Path,
    *,
    size_bytes: int | None = None,
    sha256: str | None = None,
) -> None:
    """Fetch a file of a remote folder; `target` appears whole or not at all.

    Args:
        folder: the remote folder.
        name: of the file in it.
        target: the local file; its folder exists.
        size_bytes: what it must have, if known.
        sha256: likewise, in hexadecimal.

    Raises:
        MelanomaError: it cannot be fetched, or does not have this size or checksum.
    """
    url = full_url(folder, name)
    system = _file_system(url)
    partial = hidden_sibling(target, secrets.token_hex(4) + PARTIAL)

    def fetch() -> None:
        system.get_file(url, str(partial))
        found = partial.stat().st_size
        if size_bytes is not None and found != size_bytes:
            raise _IncompleteError(f"expected {size_bytes} bytes; found {found}")
        if sha256 is not None and file_sha256(partial) != sha256:
            raise _IncompleteError("its SHA-256 is not the expected one")

    try:
        _repeated(fetch, f"fetch {without_secrets(url)}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def put_file(source: Path, folder: Path | str, name: str) -> None:
    """Copy a local file into a remote folder, where it appears whole or not at all.

    Raises:
        MelanomaError: it cannot be written.
    """
    url = full_url(folder, name)
    system = _file_system(url)
    _repeated(lambda: system.put_file(str(source), url), f"write {without_secrets(url)}")


def remove_files(folder: Path | str, names: Sequence[str]) -> None:
    """Remove files of a remote folder; one that is gone already is no error.

    Raises:
        MelanomaError: one cannot be removed.
    """
    system = _file_system(full_url(folder))

    def remove(name: str) -> None:
        url = full_url(folder, name)

        def remove_once() -> None:
            # Inside, since `_repeated` makes an error of it. Google's store alone tells.
            with contextlib.suppress(FileNotFoundError):
                system.rm_file(url)

        _repeated(remove_once, f"remove {without_secrets(url)}")

    in_parallel(remove, names)


def in_parallel(task: Callable[[Any], Result], items: Sequence[Any]) -> list[Result]:
    """Do something that waits for a network with several items at once.

    The first error is raised; what was not begun by then is left out.
    """
    executor = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="remote")
    futures = [executor.submit(task, item) for item in items]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((each for each in futures if each.done() and each.exception()), None)
        if failed is not None:
            failed.result()
        return [each.result() for each in futures]
    finally:
        executor.shutdown(cancel_futures=True)


def _repeated(action: Callable[[], Result], what: str) -> Result:
    """Do something with a server, again after a pause where that may help."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return action()
        except FileNotFoundError:
            raise MelanomaError(f"cannot {what}: it does not exist") from None
        except _failures() as error:
            if not _may_pass(error) or attempt == _ATTEMPTS:
                tried = f" after {attempt} attempts" if attempt > 1 else ""
                raise MelanomaError(f"cannot {what}{tried}: {_reason(error)}") from None
            pause = _FIRST_DELAY_SECONDS * 2 ** (attempt - 1)
            # Workers that lost one server together do not come back together.
            time.sleep(pause * random.uniform(0.5, 1.0))
    raise AssertionError("unreachable")


def _failures() -> tuple[type[BaseException], ...]:
    """What the libraries that are in use raise where a server or the network is at fault."""
    found: list[type[BaseException]] = [OSError]
    for module, name in (
        ("asyncio", "TimeoutError"),
        ("aiohttp", "ClientError"),
        ("botocore.exceptions", "BotoCoreError"),
        ("botocore.exceptions", "ClientError"),
        ("gcsfs.retry", "HttpError"),
        ("google.auth.exceptions", "GoogleAuthError"),
        ("fsspec.exceptions", "FSTimeoutError"),
    ):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


def _may_pass(error: BaseException) -> bool:
    """Tell whether an error may be gone at the next attempt."""
    # Of aiohttp `status`, of gcsfs `code`.
    status = getattr(error, "status", None) or getattr(error, "code", None)
    if isinstance(status, int) and 400 <= status < 500:
        return status in (_REQUEST_TIMEOUT, _TOO_MANY)
    is_refusal = isinstance(error, (PermissionError, IsADirectoryError))
    return not is_refusal and "Credential" not in type(error).__name__


def _reason(error: BaseException) -> str:
    text = " ".join(without_secrets(str(error)).split()) or type(error).__name__
    if "Credential" in type(error).__name__:
        text += " (expected credentials in the environment or the store's own configuration)"
    return text


def _file_system(url: str) -> Any:
    scheme = urlsplit(url).scheme
    library = _LIBRARIES[scheme]
    # Else gcsfs asks at every file what kind of bucket it is in, which without credentials waits
    # for a server that is absent, and prints a warning. What is done here is the same in all kinds.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        importlib.import_module(library)
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        raise MelanomaError(
            f"expected {library} for {scheme}:// folders; it is not installed: "
            "pip install 'melanoma-tf[remote]'"
        ) from None
    if not urlsplit(url).netloc:
        raise MelanomaError(f"expected {scheme}://NAME/FOLDER; found {public_url(url)}")
    return fsspec.filesystem(scheme, **_options(scheme))


@functools.cache
def _options(scheme: str) -> dict[str, Any]:
    if scheme == "s3":
        limits = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS}
        return {"config_kwargs": limits, "use_listings_cache": False}
    if scheme == "gs":
        return {"use_listings_cache": False}
    timeout = importlib.import_module("aiohttp").ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS
    )
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def _version(details: dict[str, Any]) -> str:
    names = ("ETag", "etag", "LastModified", "updated", "Last-Modified", "Content-MD5")
    return " ".join(str(details[name]) for name in names if details.get(name))


def _refuse_outside(name: str, folder: Path | str) -> None:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or not name.isprintable():
        raise MelanomaError(f"{public_url(folder)}: expected names of files in it; found {name!a}")
