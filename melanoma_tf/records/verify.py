"""Verification of a record folder against its manifest, and of its splits against leakage."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import sha256
from melanoma_tf.core.remote import list_files
from melanoma_tf.core.urls import is_remote
from melanoma_tf.records.decode import decode_image, decode_stored_mask
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.records.leakage import Leakage
from melanoma_tf.records.manifest import Count, Manifest, Shard, local_paths, read_manifest
from melanoma_tf.records.read import read_shard
from melanoma_tf.records.schema import ORIGINS, Example


def verify_records(
    folder: Path, *, progress: Callable[[Iterable[Any], int], Iterable[Any]] | None = None
) -> list[str]:
    """Verify a record folder: every checksum, count, image, mask and label, and leakage.

    Args:
        folder: the record folder.
        progress: wraps the shards, given their number.

    Returns:
        One line per problem; empty for a sound folder.

    Raises:
        MelanomaError: the folder is absent, unfinished, or lacks a shard.
    """
    folder = Path(folder)
    manifest = read_manifest(folder, check_sizes=False)
    problems = [*_stray_files(folder, manifest), *_unaccepted(manifest)]
    counted: Counter[tuple[str, str, str, str]] = Counter()
    leakage = Leakage()
    shards: Iterable[Any] = manifest.shards
    if progress is not None:
        shards = progress(shards, len(manifest.shards))
    for shard in shards:
        problems += _verify_shard(folder, shard, manifest, counted, leakage)
    problems += _wrong_counts(manifest.counts, counted)
    problems += leakage.problems()
    return problems


def _stray_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    known = {shard.name for shard in manifest.shards}
    if is_remote(folder):
        # A web server may list nothing; then there is nothing to compare.
        found = [name for name in list_files(folder) if ".tfrecord" in name]
    else:
        found = [path.name for path in folder.glob("*.tfrecord*")]
    for name in sorted(found):
        if name not in known:
            yield f"{name}: a shard that the manifest does not list"


def _unaccepted(manifest: Manifest) -> Iterator[str]:
    if manifest.skipped and not manifest.settings.get("skip_bad", True):
        names = ", ".join(row.get("file", "?") for row in manifest.skipped[:3])
        yield (
            f"{len(manifest.skipped)} images could not be read and were not accepted with "
            f"--skip-bad; the first: {names}"
        )


def _verify_shard(
    folder: Path,
    shard: Shard,
    manifest: Manifest,
    counted: Counter[tuple[str, str, str, str]],
    leakage: Leakage,
) -> list[str]:
    try:
        (path,) = local_paths(folder, manifest, [shard])
    except MelanomaError as error:
        return [f"{shard.name}: {error}"]
    problems = []
    size_bytes = path.stat().st_size
    if size_bytes != shard.size_bytes:
        problems.append(f"{shard.name}: expected {shard.size_bytes} bytes, found {size_bytes}")
    if sha256(path) != shard.sha256:
        problems.append(f"{shard.name}: SHA-256 differs from the manifest's: the file has changed")
    # One line per kind of problem, not per record: a wrong setting affects thousands of them.
    kinds: dict[str, list[str]] = {}
    count = 0
    try:
        for example in read_shard(path):
            count += 1
            counted[(example.split, example.label_text, example.source, example.origin)] += 1
            leakage.add(example)
            for kind in _example_problems(example, shard, manifest, leakage):
                kinds.setdefault(kind, []).append(example.key)
    except MelanomaError as error:
        problems.append(f"{shard.name}: {str(error).partition(': ')[2]}")
    else:
        if count != shard.count:
            problems.append(f"{shard.name}: expected {shard.count} examples, found {count}")
    problems += [
        f"{shard.name}: {kind} ({len(keys)} examples, the first {keys[0]})"
        for kind, keys in kinds.items()
    ]
    return problems


def _example_problems(
    example: Example, shard: Shard, manifest: Manifest, leakage: Leakage
) -> Iterator[str]:
    names = manifest.class_names
    if not 0 <= example.label < len(names) or names[example.label] != example.label_text:
        yield f"label {example.label} {example.label_text!r} is not among the manifest's classes"
    if example.split != shard.split:
        yield f"split {example.split!r} in a shard of {shard.split!r}"
    if example.origin not in ORIGINS:
        yield f"unknown origin {example.origin!r}"
    if example.origin == "generated" and example.split != "train":
        yield f"a generated image in {example.split}, which may contain real ones only"
    if not math.isnan(example.age) and example.age < 0:
        yield "a negative age"
    yield from _pixel_problems(example, leakage)


def _pixel_problems(example: Example, leakage: Leakage) -> Iterator[str]:
    stated = (example.height, example.width)
    magic = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}.get(example.image_format)
    if magic is None or not example.image.startswith(magic):
        yield f"the image does not have the stated format {example.image_format!r}"
    try:
        image = decode_image(example.image)
        leakage.add_picture(example, image)
        if image.shape[:2] != stated:
            yield "the size of the image differs from the stated one"
    except UnreadableImageError as error:
        yield f"the image: {error}"
    if not example.mask:
        return
    try:
        mask = decode_stored_mask(example.mask)
    except UnreadableImageError as error:
        yield f"the mask: {error}"
        return
    if mask.shape != stated:
        yield "the size of the mask differs from its image's"
    if not np.isin(mask, (0, 255)).all():
        yield "the mask has values other than 0 and 255"


def _wrong_counts(
    expected: Iterable[Count], found: Counter[tuple[str, str, str, str]]
) -> Iterator[str]:
    cells = Counter(
        {(row.split, row.class_name, row.source, row.origin): row.count for row in expected}
    )
    for cell in sorted(cells | found):
        if cells[cell] != found[cell]:
            yield f"{' / '.join(cell)}: expected {cells[cell]} examples, found {found[cell]}"
