"""Records -> records: a new folder with the old examples and copies without occlusions."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.purification.purifier import (
    Progress,
    Purifier,
    SegmentLesion,
    in_threads,
    purifier,
)
from melanoma_tf.records.decode import UnreadableImageError, decode_image, decode_stored_mask
from melanoma_tf.records.encode import Encoding, encode_image
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Description, skipped_before, write_records

# Appended to the key of the image that a copy was made from.
COPY_SUFFIX = "_purified"


@dataclass(frozen=True)
class PurifySettings:
    """What decides the content of a purified record folder.

    Attributes:
        method: out of `purification.classical.settings.METHODS`, or `network`.
        min_occlusion: an image is purified where more than this share of its pixels is occluded. At
            the default that is a quarter of ISIC 2017 images, as in the paper.
        replace: put the purified image in its original's place instead of adding a copy.
        quality: JPEG quality of purified images, 1 to 100; PNG records stay PNG.
        segmenter: what outlines lesions in examples without a mask, by name; for the manifest.
        network: what fills holes with the method `network`, by name; for the manifest.
        detector: what finds these holes, likewise.

    Raises:
        MelanomaError: the share is out of [0, 1], or the quality out of its range.
    """

    method: str = "classical"
    min_occlusion: float = 0.006
    replace: bool = False
    quality: int = 95
    segmenter: str = "none"
    network: str = "none"
    detector: str = "none"

    def __post_init__(self) -> None:
        if not 0 <= self.min_occlusion <= 1:
            raise MelanomaError(
                f"expected a share of occluded pixels within [0, 1]; found {self.min_occlusion}"
            )
        Encoding(quality=self.quality)


def purify_records(
    source: Path,
    output: Path,
    settings: PurifySettings | None = None,
    *,
    segment_lesion: SegmentLesion | None = None,
    networks: Any = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write a record folder that holds purified images beside, or in place of, their originals.

    The paper adds them (Bisla et al. 2019, Section 3.2.2). A purified example has `origin`
    `purified`, its original's key in `origin/parent`, the same mask, label and split, and a key
    of its own; where it replaces the original it keeps the key. Only real images are purified.
    The bytes depend on the source and the settings alone, not on `workers`.

    Args:
        source: a record folder.
        output: the record folder to appear, whole or not at all.
        settings: method and threshold.
        segment_lesion: outlines the lesion in an example that has no mask; name it in `settings`.
        networks: a `purification.purify.Networks`, of the method `network`; name them in
            `settings`.
        workers: number of threads.
        overwrite: replace an existing folder.
        progress: wraps the stream of examples read, given their number.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: `source` is no record folder, is `output` or is purified already; `output`
            exists; an image cannot be decoded.
    """
    settings = settings or PurifySettings()
    source, output = Path(source), Path(output)
    refuse_existing(output, overwrite, [source])
    manifest = read_manifest(source)
    if manifest.count(origin="purified"):
        raise MelanomaError(f"expected records that are not purified yet; {source} is")
    apply = purifier(settings.method, segment_lesion, networks)
    pairs: Iterable[tuple[Example, Example | None]] = in_threads(
        lambda example: (example, _purified(example, apply, settings)),
        read_examples(source),
        workers=workers,
    )
    pairs = pairs if progress is None else progress(pairs, manifest.count())
    return write_records(
        itertools.chain(skipped_before(manifest), _chosen(pairs, settings.replace)),
        output,
        Description.of_copy(manifest, purify=dataclasses.asdict(settings)),
        overwrite=overwrite,
    )


def _chosen(pairs: Iterable[tuple[Example, Example | None]], replace: bool) -> Iterator[Example]:
    for example, copy in pairs:
        if copy is None or not replace:
            yield example
        if copy is not None:
            yield dataclasses.replace(copy, key=example.key) if replace else copy


def _purified(example: Example, apply: Purifier, settings: PurifySettings) -> Example | None:
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
