"""Build a record folder from listings of raw data sets."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.datasets.lesion import Listing, Taxonomy, taxonomy_named
from melanoma_tf.datasets.splits import known_links
from melanoma_tf.records.build.duplicates import find_clusters, resolve_duplicates
from melanoma_tf.records.build.plan import Plan, Row, SplitPolicy, label_rows, make_plan, parse_kept
from melanoma_tf.records.build.prepare import ImageFiles, Prepared, Refused, prepare_all
from melanoma_tf.records.build.settings import BuildSettings
from melanoma_tf.records.build.unfinished import unfinished_build
from melanoma_tf.records.encode import Encoding
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.schema import Example
from melanoma_tf.records.shards import Sharding, ShardWriter, Skipped
from melanoma_tf.records.writer import Description, fill_folder

# Wraps a stream with a progress bar, given the stream and its length.
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def build_records(
    listings: Sequence[Listing],
    settings: BuildSettings,
    output: Path | str,
    *,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    search_progress: Progress | None = None,
) -> Manifest:
    """Decode, scale, re-encode and write all images of some data sets.

    The bytes depend on the listings and the settings only, not on `workers`. An unreadable image
    is left out and listed in the manifest's `skipped`; unless the settings accept that
    (`skip_bad`), `verify-records` reports it.

    Args:
        listings: the data sets, from `datasets.catalogue.list_source`.
        settings: determine the content.
        output: the record folder to create, whole or not at all.
        workers: processes that decode and encode; 1 works in this process.
        overwrite: replace an existing folder.
        resume: continue after the finished shards of an interrupted build of `output`, if there
            is one; the result is the same to the byte.
        progress: wraps the stream of results, given their number.
        search_progress: likewise, for the search for duplicates, which reads every image first.

    Raises:
        MelanomaError: unusable settings, no image with a class of the taxonomy, an existing
            output, another running build of it, missing images under `require_all`, or settings
            or data that differ from the build to resume.

    Example:
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.records.build.settings import BuildSettings
        >>> phantoms = [mt.list_source("isic2017", "phantoms")]
        >>> mt.build_records(phantoms, BuildSettings("isic2017"), "tfrecords/again").count()
        60
    """
    output = Path(output)
    encoding = _encoding(settings)
    taxonomy = taxonomy_named(settings.taxonomy)
    refuse_existing(output, overwrite, _folders(listings))
    plan = _plan(settings, taxonomy, listings, workers, search_progress)
    header = _header(settings, plan)
    with unfinished_build(output, header, resume=resume, overwrite=overwrite) as unfinished:
        writer = ShardWriter(
            unfinished.folder,
            taxonomy.classes,
            Sharding(shards=settings.shards, expected=plan.expected()),
            finished=list(unfinished.finished),
            on_finished=unfinished.append,
        )
        rows = _remaining_rows(plan, writer)
        results = _prepared(rows, settings, workers, progress)
        items = _items(rows, results, taxonomy.classes, encoding)
        description = _description(settings, taxonomy, listings, plan)
        return fill_folder(unfinished.folder, writer, items, description, name=output.name)


def _encoding(settings: BuildSettings) -> Encoding:
    return Encoding(settings.image_size, settings.image_format, settings.quality)


def _folders(listings: Sequence[Listing]) -> set[Path]:
    """Collect the folders of the images."""
    return {lesion.image_path.parent for listing in listings for lesion in listing.lesions}


def _plan(
    settings: BuildSettings,
    taxonomy: Taxonomy,
    listings: Sequence[Listing],
    workers: int,
    progress: Progress | None,
) -> Plan:
    """Find the duplicates, then split the rows so that no picture is in two splits."""
    if settings.require_all:
        _refuse_missing(listings)
    policy = SplitPolicy(settings.split, settings.seed, parse_kept(settings.keep_split))
    labelled = label_rows(listings, taxonomy, policy)
    lesions = labelled.lesions()
    known = tuple(known_links(listings))
    clusters, pixels = find_clusters(
        lesions,
        known,
        max_megapixels=settings.max_megapixels,
        workers=workers,
        progress=progress,
    )
    resolution = resolve_duplicates(
        lesions, labelled.keeps_split, clusters, pixels, settings.duplicates
    )
    plan = make_plan(labelled.without(resolution.dropped), policy, (*known, *resolution.links))
    return Plan(plan.rows, {**plan.findings, "duplicates": resolution.findings})


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
        files, _encoding(settings), max_megapixels=settings.max_megapixels, workers=workers
    )
    return results if progress is None else progress(results, len(rows))


def _header(settings: BuildSettings, plan: Plan) -> dict[str, Any]:
    """Collect what must be equal for a build to be resumed."""
    header = dataclasses.asdict(settings)
    # Whether gaps are accepted changes no shard.
    del header["skip_bad"], header["require_all"]
    return {**header, "tool_version": __version__, "rows": plan.fingerprint()}


def _remaining_rows(plan: Plan, writer: ShardWriter) -> list[Row]:
    """List the rows that are in no finished shard."""
    seen: Counter[str] = Counter()
    remaining = []
    for row in plan.rows:
        seen[row.lesion.split] += 1
        if seen[row.lesion.split] > writer.items(row.lesion.split):
            remaining.append(row)
    return remaining


def _items(
    rows: Iterable[Row],
    results: Iterable[Prepared | Refused],
    class_names: Sequence[str],
    encoding: Encoding,
) -> Iterator[Example | Skipped]:
    for row, result in zip(rows, results):
        if isinstance(result, Refused):
            lesion = row.lesion
            # The name only: manifests travel with the records, local folders stay private.
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
