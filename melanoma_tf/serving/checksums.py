"""Checksums of an exported model: a damaged one is refused before TensorFlow reads its graph.

A graph has no checksum of its own, so that a damaged one can give other answers, or end the
process.
"""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, write_json
from melanoma_tf.records.shards import sha256
from melanoma_tf.serving.signatures import METADATA, SAVED_MODEL

CHECKSUMS = "checksums.json"
# What answers depend on; cards may be edited, and golden answers are compared anyway.
_COVERED = (SAVED_MODEL, METADATA, "variables/*", "assets/*")


def write_checksums(version: Path) -> None:
    """Write `checksums.json` of a version folder: path in the folder -> SHA-256."""
    write_json(version / CHECKSUMS, _checksums(version))


def check_checksums(version: Path) -> None:
    """Refuse a version whose files are not those that were exported.

    Versions of before, which have no `checksums.json`, pass.

    Raises:
        MelanomaError: a file is another one, missing, or new.
    """
    if not (version / CHECKSUMS).is_file():
        return
    stored, found = read_json(version / CHECKSUMS), _checksums(version)
    if not isinstance(stored, dict):
        raise MelanomaError(f"{version / CHECKSUMS}: expected a JSON object; found other JSON")
    changed = sorted(name for name in {*stored, *found} if stored.get(name) != found.get(name))
    if changed:
        raise MelanomaError(
            f"{version}: expected a whole SavedModel; found that {changed[0]:.200} is not the file "
            f"that was exported ({CHECKSUMS})"
        )


def _checksums(version: Path) -> dict[str, str]:
    files = [path for pattern in _COVERED for path in version.glob(pattern) if path.is_file()]
    return {path.relative_to(version).as_posix(): sha256(path) for path in sorted(files)}
