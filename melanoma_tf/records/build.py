"""Listings of raw data sets -> a record folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.datasets.lesion import Listing, taxonomy_named
from melanoma_tf.errors import MelanomaError
from melanoma_tf.files import refuse_existing
from melanoma_tf.records.encode import Encoding
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.plan import Plan, Row, make_plan
from melanoma_tf.records.prepare import ImageFiles, Prepared, Refused, prepare_all
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Sharding, write_records

# Wraps the results with a progress bar; gets them and their number.
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class BuildSettings:
    """What decides the content of a record folder, to the byte.

    Attributes:
        taxonomy: name of the taxonomy.
        image_size: short side of the stored images in pixels; smaller images keep their size.
        image_format: `jpeg` or `png`.
        quality: JPEG quality, 1 to 100.
        split: `auto`, `official` or fractions such as `0.7/0.15/0.15`.
        seed: of the division by fractions.
        shards: number of shards per split; None cuts them by size.
        skip_bad: whether images that cannot be read are known and accepted.
        require_all: whether a row without an image file is an error.
    """

    taxonomy: str
    image_size: int = 512
    image_format: str = "jpeg"
    quality: int = 95
    split: str = "auto"
    seed: int = 0
    shards: int | None = None
    skip_bad: bool = False
    require_all: bool = False

    def encoding(self) -> Encoding:
        """How the images are stored."""
        return Encoding(self.image_size, self.image_format, self.quality)


def build_records(
    listings: Sequence[Listing],
    settings: BuildSettings,
    output: Path,
    *,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Decode, scale, re-encode and write all images of some data sets.

    The bytes depend on the listings and the settings alone, not on `workers`. An image that
    cannot be read is left out and named in the manifest's `skipped`; where the settings do not
    accept that (`skip_bad`), `verify-records` reports the folder.

    Args:
        listings: what the adapters found.
        settings: what decides the content.
        output: the record folder to appear, whole or not at all.
        workers: processes that decode and encode; 1 works in this process.
        overwrite: replace an existing folder.
        progress: wraps the stream of results, given their number.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: unusable settings, no image with a class of the taxonomy, an existing
            output, or missing images under `require_all`.
    """
    output = Path(output)
    encoding = settings.encoding()
    taxonomy = taxonomy_named(settings.taxonomy)
    refuse_existing(output, overwrite)
    if settings.require_all:
        _refuse_missing(listings)
    plan = make_plan(listings, taxonomy, split=settings.split, seed=settings.seed)
    skipped: list[dict[str, str]] = []
    files = (ImageFiles(row.lesion.image_path, row.lesion.mask_path) for row in plan.rows)
    results: Iterable[Any] = prepare_all(files, encoding, workers=workers)
    if progress is not None:
        results = progress(results, len(plan.rows))
    return write_records(
        _examples(plan, results, taxonomy.classes, encoding, skipped),
        output,
        taxonomy=taxonomy.name,
        class_names=taxonomy.classes,
        settings=dataclasses.asdict(settings),
        sources={
            listing.name: {"licence": listing.licence, "attribution": listing.attribution}
            for listing in listings
        },
        sharding=Sharding(shards=settings.shards, expected=plan.expected()),
        skipped=skipped,
        findings=plan.findings,
        overwrite=overwrite,
    )


def _examples(
    plan: Plan,
    results: Iterable[Prepared | Refused],
    class_names: Sequence[str],
    encoding: Encoding,
    skipped: list[dict[str, str]],
) -> Iterator[Example]:
    for row, result in zip(plan.rows, results):
        if isinstance(result, Refused):
            # The name alone: a manifest travels with the records, local folders stay private.
            skipped.append(
                {
                    "source": row.lesion.source,
                    "key": row.lesion.key,
                    "file": result.path.name,
                    "reason": result.reason,
                }
            )
        else:
            yield _example(row, result, class_names[row.label], encoding)


def _example(row: Row, prepared: Prepared, class_name: str, encoding: Encoding) -> Example:
    lesion = row.lesion
    return Example(
        image=prepared.image,
        image_format=encoding.image_format,
        height=prepared.height,
        width=prepared.width,
        key=lesion.key,
        mask=prepared.mask,
        label=row.label,
        label_text=class_name,
        source=lesion.source,
        split=lesion.split,
        lesion_id=lesion.lesion_id or "",
        patient_id=lesion.patient_id or "",
        age=float("nan") if lesion.age is None else float(lesion.age),
        sex=lesion.sex or "",
        site=lesion.site or "",
    )


def _refuse_missing(listings: Iterable[Listing]) -> None:
    for listing in listings:
        if listing.missing:
            first = ", ".join(listing.missing[:3])
            raise MelanomaError(
                f"{listing.name}: expected an image for every row; {len(listing.missing)} have "
                f"none, the first: {first}"
            )
