"""Records -> records: a new folder with the old examples and copies without occlusions."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.purification.on_beam import purified_on_beam
from melanoma_tf.purification.on_example import purified_image
from melanoma_tf.purification.purifier import (
    Progress,
    PurificationTools,
    in_threads,
    load_tools,
    purifier,
)
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Description, skipped_before, write_records

# Appended to the key of the image that a copy was made from.
COPY_SUFFIX = "_purified"


def purify_records(
    source: Path,
    output: Path,
    settings: PurificationSettings | None = None,
    *,
    tools: PurificationTools | None = None,
    overwrite: bool = False,
    beam: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write a record folder with purified images, in addition to or in place of their originals.

    The paper adds them (Bisla et al. 2019, Section 3.2.2). A purified example has `origin`
    `purified`, its original's key in `origin/parent`, the same mask, label and split, and a key
    of its own; where it replaces the original it keeps the key. Only real images are purified.
    The bytes depend on the source and the settings alone, not on the number
    of workers or on Beam.

    Args:
        source: a record folder.
        output: the record folder to appear, whole or not at all.
        settings: see `PurificationSettings`; those of images do not count.
        tools: what `load_tools` makes of `settings`; None loads them.
        overwrite: replace an existing folder.
        beam: options of Apache Beam, which then purifies the images, as `runner=FlinkRunner`; None
            purifies them in threads of this process.
        progress: wraps the stream of examples read, given their number.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: `source` is no record folder, is `output` or is purified already; `output`
            exists; an image cannot be decoded; or Beam fails, see `core.beam`.
    """
    settings = settings or PurificationSettings()
    source, output = Path(source), Path(output)
    refuse_existing(output, overwrite, [source])
    manifest = read_manifest(source)
    if manifest.count(origin="purified"):
        raise MelanomaError(f"expected records that are not purified yet; {source} is")
    pairs: Iterable[tuple[Example, bytes]] = (
        _purified_here(source, settings, tools)
        if beam is None
        else purified_on_beam(source, output, settings, beam)
    )
    pairs = pairs if progress is None else progress(pairs, manifest.count())
    return write_records(
        itertools.chain(skipped_before(manifest), _chosen(pairs, settings.replace)),
        output,
        Description.of_copy(manifest, purify=settings.provenance()),
        overwrite=overwrite,
    )


def _chosen(pairs: Iterable[tuple[Example, bytes]], replace: bool) -> Iterator[Example]:
    for example, image in pairs:
        if not image or not replace:
            yield example
        if image:
            copy = _copy(example, image)
            yield dataclasses.replace(copy, key=example.key) if replace else copy


def _copy(example: Example, image: bytes) -> Example:
    return dataclasses.replace(
        example,
        image=image,
        key=example.key + COPY_SUFFIX,
        origin="purified",
        parent=example.key,
    )


def _purified_here(
    source: Path, settings: PurificationSettings, tools: PurificationTools | None
) -> Iterator[tuple[Example, bytes]]:
    """Each example with its purified image, made in threads of this process."""
    tools = tools or load_tools(settings)
    apply = purifier(settings.method, tools.segment_lesion, tools.networks)
    return in_threads(
        lambda example: (example, purified_image(example, apply, settings)),
        read_examples(source),
        workers=settings.workers,
    )
