"""Records -> records: a new folder with the old examples and copies without occlusions."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.purification.purifier import (
    Progress,
    PurificationTools,
    Purifier,
    in_threads,
    load_tools,
    purifier,
)
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.decode import UnreadableImageError, decode_image, decode_stored_mask
from melanoma_tf.records.encode import Encoding, encode_image
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
    progress: Progress | None = None,
) -> Manifest:
    """Write a record folder with purified images, in addition to or in place of their originals.

    The paper adds them (Bisla et al. 2019, Section 3.2.2). A purified example has `origin`
    `purified`, its original's key in `origin/parent`, the same mask, label and split, and a key
    of its own; where it replaces the original it keeps the key. Only real images are purified.
    The bytes depend on the source and the settings alone, not on the number
    of workers.

    Args:
        source: a record folder.
        output: the record folder to appear, whole or not at all.
        settings: see `PurificationSettings`; those of images do not count.
        tools: what `load_tools` makes of `settings`; None loads them.
        overwrite: replace an existing folder.
        progress: wraps the stream of examples read, given their number.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: `source` is no record folder, is `output` or is purified already; `output`
            exists; an image cannot be decoded.
    """
    settings = settings or PurificationSettings()
    source, output = Path(source), Path(output)
    refuse_existing(output, overwrite, [source])
    manifest = read_manifest(source)
    if manifest.count(origin="purified"):
        raise MelanomaError(f"expected records that are not purified yet; {source} is")
    tools = tools or load_tools(settings)
    apply = purifier(settings.method, tools.segment_lesion, tools.networks)
    pairs: Iterable[tuple[Example, Example | None]] = in_threads(
        lambda example: (example, _purified(example, apply, settings)),
        read_examples(source),
        workers=settings.workers,
    )
    pairs = pairs if progress is None else progress(pairs, manifest.count())
    return write_records(
        itertools.chain(skipped_before(manifest), _chosen(pairs, settings.replace)),
        output,
        Description.of_copy(manifest, purify=settings.provenance()),
        overwrite=overwrite,
    )


def _chosen(pairs: Iterable[tuple[Example, Example | None]], replace: bool) -> Iterator[Example]:
    for example, copy in pairs:
        if copy is None or not replace:
            yield example
        if copy is not None:
            yield dataclasses.replace(copy, key=example.key) if replace else copy


def _purified(example: Example, apply: Purifier, settings: PurificationSettings) -> Example | None:
    """The purified copy, or None where too little is occluded."""
    if example.origin != "real":
        return None
    try:
        image = decode_image(example.image)
        lesion = decode_stored_mask(example.mask) if example.mask else None
    except UnreadableImageError as error:
        raise MelanomaError(f"{example.key}: {error}") from None
    purified, occlusions = apply(image, lesion)
    if np.count_nonzero(occlusions) <= settings.min_occlusion * occlusions.size:
        return None
    encoding = Encoding(image_format=example.image_format, quality=settings.quality)
    return dataclasses.replace(
        example,
        image=encode_image(purified, encoding),
        key=example.key + COPY_SUFFIX,
        origin="purified",
        parent=example.key,
    )
