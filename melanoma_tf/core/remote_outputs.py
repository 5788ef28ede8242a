"""Output folders on object stores: made here, then put there, the manifest last.

A store renames no folder, so what tells a whole one is its manifest: it is removed first and put
last, when every other file is there with its size. The marker (see `ownership`) goes first, and
names what is to come: an upload that was cut off is known by it, and the next one replaces it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from melanoma_tf.core.cache import OUTGOING, entry
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import PARTIAL, partial_siblings, write_json
from melanoma_tf.core.locks import locked
from melanoma_tf.core.ownership import MARKER, mark
from melanoma_tf.core.remote import in_parallel, list_files, put_file, read_file, remove_files
from melanoma_tf.core.urls import full_url, is_remote, public_url

# Of a record folder; what lacks it is unfinished.
MANIFEST = "manifest.json"
_UPLOAD = "upload"


def staging_folder(output: Path) -> Path:
    """The local folder that stands for a remote output until it is uploaded."""
    return entry(OUTGOING, full_url(output)) / output.name


def refuse_remote(output: Path) -> None:
    """Raise `MelanomaError` where the output of images is a URL: only records can be remote."""
    if is_remote(output):
        raise MelanomaError(f"expected a local folder for images; found {public_url(output)}")


def check_remote_output(output: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise `MelanomaError` where a remote folder may not be written, as `refuse_existing` does.

    What an upload that was cut off has left counts as absent.
    """
    url, shown = full_url(output), public_url(output)
    scheme, _, place = url.partition("://")
    if scheme in ("http", "https"):
        raise MelanomaError(f"expected a local, s3:// or gs:// folder to write; found {shown}")
    if "/" not in place:
        raise MelanomaError(f"expected {scheme}://NAME/FOLDER to write; found {shown}")
    for each in inputs:
        source = full_url(each) if is_remote(each) else ""
        if source and (f"{url}/".startswith(f"{source}/") or f"{source}/".startswith(f"{url}/")):
            raise MelanomaError(
                f"expected an output apart from the input; {shown} and {source} overlap"
            )
    names = set(list_files(output)) - {MARKER}
    marker = _marker(output)
    if not names or (marker and MANIFEST not in names):
        foreign = names - set(marker.get("files", ()))
    elif not overwrite:
        raise MelanomaError(f"{shown} exists; expected a new path, or --overwrite to replace it")
    elif not marker:
        raise MelanomaError(
            f"expected a folder that melanoma-tf made; {shown} has no {MARKER} of it. Nothing was "
            "removed: choose another path, or remove the folder yourself"
        )
    else:
        foreign = names - set(marker["files"])
    if foreign:
        raise MelanomaError(
            f"expected only files that melanoma-tf made in {shown}; found {len(foreign)} others, "
            f"as {min(foreign)}. Nothing was removed: move them away, or choose another path"
        )


@contextlib.contextmanager
def uploaded_folder(
    output: Path, *, overwrite: bool = False, inputs: Iterable[Path] = ()
) -> Iterator[Path]:
    """Yield an empty local folder, and put what the body makes of it to `output` at the end.

    Args:
        output: the remote folder.
        overwrite: replace a record folder there.
        inputs: what the body reads.

    Raises:
        MelanomaError: see `check_remote_output`; or the upload fails, and the local folder stays.
    """
    check_remote_output(output, overwrite, inputs)
    folder = staging_folder(output)
    with locked(folder):
        for leftover in (folder, *partial_siblings(folder, PARTIAL)):
            shutil.rmtree(leftover, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder)
            raise
        try:
            upload_records(folder, output, overwrite)
        except MelanomaError as error:
            raise MelanomaError(f"{error}. The whole folder stays in {folder}") from None
        shutil.rmtree(folder)


def upload_records(folder: Path, output: Path, overwrite: bool) -> None:
    """Put a whole local record folder to a remote one.

    Args:
        folder: the local folder, which stays.
        output: the remote folder.
        overwrite: replace a record folder there.

    Raises:
        MelanomaError: see `check_remote_output`; a file cannot be written; or another command
            writes the same folder.
    """
    if not (folder / MANIFEST).is_file():
        raise MelanomaError(f"expected records to write to {public_url(output)}; found none")
    check_remote_output(output, overwrite)
    mark(folder)
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }
    others = sorted(set(sizes) - {MARKER, MANIFEST})
    before = set(list_files(output))
    remove_files(output, sorted({MANIFEST} & before))
    token = secrets.token_hex(16)
    final = folder / MARKER
    begun = folder.with_name(f".{folder.name}.begun.json")
    marker = json.loads(final.read_text(encoding="utf-8"))
    write_json(begun, {**marker, "files": sorted({*marker["files"], *before}), _UPLOAD: token})
    put_file(begun, output, MARKER)
    begun.unlink()
    in_parallel(lambda name: put_file(folder / name, output, name), others)
    remove_files(output, sorted(before - set(sizes)))
    found = list_files(output)
    for name in others:
        size_bytes = found[name].size_bytes if name in found else None
        if size_bytes != sizes[name]:
            raise MelanomaError(
                f"{public_url(output)}: expected {sizes[name]} bytes of {name} after the upload; "
                f"found {size_bytes}"
            )
    if _marker(output).get(_UPLOAD) != token:
        raise MelanomaError(
            f"expected no other command that writes {public_url(output)}; one is running"
        )
    put_file(final, output, MARKER)
    put_file(folder / MANIFEST, output, MANIFEST)


def _marker(output: Path) -> dict[str, Any]:
    content = read_file(output, MARKER)
    if content is None:
        return {}
    try:
        marker = json.loads(content)
    except ValueError:
        marker = None
    files = marker.get("files") if isinstance(marker, dict) else None
    if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
        raise MelanomaError(f"{public_url(output)}/{MARKER}: expected a marker of melanoma-tf")
    return dict(marker)
