"""Listings of raw data sets -> a record folder."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.datasets.lesion import Listing, Taxonomy, taxonomy_named
from melanoma_tf.datasets.splits import known_links
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.records.decode import DEFAULT_MAX_MEGAPIXELS
from melanoma_tf.records.build.duplicates import find_clusters, treat
from melanoma_tf.records.encode import Encoding
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.build.plan import Plan, Row, label_rows, make_plan, parse_kept, standing
from melanoma_tf.records.build.prepare import ImageFiles, Prepared, Refused, prepare_all
from melanoma_tf.records.schema import Example
from melanoma_tf.records.shards import Sharding, ShardWriter, Skipped
from melanoma_tf.records.build.unfinished import unfinished_build
from melanoma_tf.records.writer import Description, fill_folder

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
        duplicates: what becomes of images that show one picture: `drop`, `group` or `keep`.
        keep_split: held-out splits that stay whole, each as `test=isic2017`.
        shards: number of shards per split; None cuts them by size.
        max_megapixels: an image that claims more is not decoded, and skipped.
        skip_bad: whether images that cannot be read are known and accepted.
        require_all: whether a row without an image file is an error.
    """

    taxonomy: str
    image_size: int = 512
    image_format: str = "jpeg"
    quality: int = 95
    split: str = "auto"
    seed: int = 0
    duplicates: str = "group"
    keep_split: tuple[str, ...] = ()
    shards: int | None = None
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS
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
    resume: bool = False,
    progress: Progress | None = None,
    comparing: Progress | None = None,
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
        resume: go on after the finished shards of an interrupted build of `output`, if there is
            one; the result is the same to the byte.
        progress: wraps the stream of results, given their number.
        comparing: the same for the search for duplicates, which reads every image before.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: unusable settings, no image with a class of the taxonomy, an existing
            output, another build of it under way, missing images under `require_all`, or other
            settings or data than those of the build to resume.
    """
    output = Path(output)
    encoding = settings.encoding()
    taxonomy = taxonomy_named(settings.taxonomy)
    refuse_existing(output, overwrite, _folders(listings))
    plan = _plan(settings, taxonomy, listings, workers, comparing)
    header = _header(settings, plan)
    with unfinished_build(output, header, resume=resume, overwrite=overwrite) as unfinished:
        writer = ShardWriter(
            unfinished.folder,
            taxonomy.classes,
            Sharding(shards=settings.shards, expected=plan.expected()),
            finished=list(unfinished.finished),
            on_finished=unfinished.append,
        )
        rows = _rows_left(plan, writer)
        results = _prepared(rows, settings, workers, progress)
        items = _items(rows, results, taxonomy.classes, encoding)
        description = _description(settings, taxonomy, listings, plan)
        return fill_folder(unfinished.folder, writer, items, description, name=output.name)


def _folders(listings: Sequence[Listing]) -> set[Path]:
    """Where the images lie."""
    return {lesion.image_path.parent for listing in listings for lesion in listing.lesions}


def _plan(
    settings: BuildSettings,
    taxonomy: Taxonomy,
    listings: Sequence[Listing],
    workers: int,
    progress: Progress | None,
) -> Plan:
    """Find the duplicates, then divide the rows so that no picture stands in two splits."""
    if settings.require_all:
        _refuse_missing(listings)
    keep = parse_kept(settings.keep_split)
    lesions = [row.lesion for row in label_rows(listings, taxonomy)]
    stays = standing(lesions, settings.split, keep)
    known = tuple(known_links(listings))
    clusters, pixels = find_clusters(
        lesions,
        known,
        max_megapixels=settings.max_megapixels,
        workers=workers,
        progress=progress,
    )
    treatment = treat(lesions, stays, clusters, pixels, settings.duplicates)
    plan = make_plan(
        listings,
        taxonomy,
        split=settings.split,
        seed=settings.seed,
        links=(*known, *treatment.links),
        dropped=treatment.dropped,
        keep=keep,
    )
    return Plan(plan.rows, {**plan.findings, "duplicates": treatment.findings})


def _description(
    settings: BuildSettings, taxonomy: Taxonomy, listings: Iterable[Listing], plan: Plan
) -> Description:
    return Description(
        taxonomy=taxonomy.name,
        class_names=taxonomy.classes,
        settings=dataclasses.asdict(settings),
        sources={
            listing.name: {"licence": listing.licence, "attribution": listing.attribution}
            for listing in listings
        },
        findings=plan.findings,
    )


def _prepared(
    rows: Sequence[Row], settings: BuildSettings, workers: int, progress: Progress | None
) -> Iterable[Prepared | Refused]:
    files = (ImageFiles(row.lesion.image_path, row.lesion.mask_path) for row in rows)
    results = prepare_all(
        files, settings.encoding(), max_megapixels=settings.max_megapixels, workers=workers
    )
    return results if progress is None else progress(results, len(rows))


def _header(settings: BuildSettings, plan: Plan) -> dict[str, Any]:
    """What has to be the same for a build to be resumed."""
    header = dataclasses.asdict(settings)
    # Whether gaps are accepted changes no shard.
    del header["skip_bad"], header["require_all"]
    return {**header, "tool_version": __version__, "rows": plan.fingerprint()}


def _rows_left(plan: Plan, writer: ShardWriter) -> list[Row]:
    """The rows that no finished shard holds."""
    seen: Counter[str] = Counter()
    left = []
    for row in plan.rows:
        seen[row.lesion.split] += 1
        if seen[row.lesion.split] > writer.items(row.lesion.split):
            left.append(row)
    return left


def _items(
    rows: Iterable[Row],
    results: Iterable[Prepared | Refused],
    class_names: Sequence[str],
    encoding: Encoding,
) -> Iterator[Example | Skipped]:
    for row, result in zip(rows, results):
        if isinstance(result, Refused):
            lesion = row.lesion
            # The name alone: a manifest travels with the records, local folders stay private.
            name = result.path.name
            yield Skipped(lesion.split, lesion.source, lesion.key, name, result.reason)
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
