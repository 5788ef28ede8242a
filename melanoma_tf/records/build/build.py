"""Build a record folder from listings of raw data sets."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.lesion import Listing, Taxonomy, taxonomy_named
from melanoma_tf.datasets.splits import known_links
from melanoma_tf.records.build.duplicates import (
    find_clusters,
    resolve_duplicates,
    split_clusters,
)
from melanoma_tf.records.build.on_beam import prepare_all_on_beam
from melanoma_tf.records.build.pictures import RecordFolders, joined
from melanoma_tf.records.build.plan import (
    LabelledRows,
    Plan,
    Row,
    SplitPolicy,
    check_fractions,
    first_of,
    label_rows,
    make_plan,
    order_of,
    parse_kept,
)
from melanoma_tf.records.build.prepare import (
    ImageFiles,
    Prepared,
    Refused,
    prepare_all,
)
from melanoma_tf.records.build.settings import BuildSettings
from melanoma_tf.records.build.spool import PrepareAll, Spool, fill_spool
from melanoma_tf.records.build.threads import check_workers
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
    against: Sequence[Path] = (),
    beam: Sequence[str] | None = None,
    progress: Progress | None = None,
    write_progress: Progress | None = None,
) -> Manifest:
    """Decode, scale, re-encode and write all images of some data sets.

    The bytes depend on the listings and the settings only, not on `workers`. An unreadable image is
    left out and listed in the manifest's `skipped`; unless the settings accept that (`skip_bad`),
    `verify-records` reports it.

    Args:
        listings: the data sets, from `datasets.catalogue.list_source`.
        settings: determine the content.
        output: the record folder to create, whole or not at all.
        workers: threads that decode and encode.
        overwrite: replace an existing folder.
        resume: continue after the last image of an interrupted build of `output`, if there is one;
            the result is the same to the byte.
        against: record folders whose pictures, patients and lesions this one must not divide.
        beam: options of Apache Beam, which then prepares the images, as `runner=FlinkRunner`; None
            prepares them in threads of this process.
        progress: wraps the stream of prepared images, given their number.
        write_progress: likewise, for the writing of the records.

    Raises:
        MelanomaError: unusable settings, no image with a class of the taxonomy, an existing
            output, another running build of it, missing images under `require_all`, too little
            free space, or settings or data that differ from the build to resume.

    Example:
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.records.build.settings import BuildSettings
        >>> phantoms = [mt.list_source("isic2017", "phantoms")]
        >>> mt.build_records(phantoms, BuildSettings("isic2017"), "tfrecords/again").count()
        60
    """
    output = Path(output)
    check_workers(workers)
    work = _Work.of(listings, settings, against)
    with (
        unfinished_build(
            output, _header(work), resume=resume, overwrite=overwrite, inputs=work.folders()
        ) as unfinished,
        contextlib.closing(Spool(unfinished.folder, work.files())) as spool,
    ):
        prepare = work.preparation(workers, unfinished.folder, beam)
        fill_spool(spool, prepare, progress)
        return _write(work, spool, unfinished.records, output.name, workers, write_progress)


def _write(
    work: _Work,
    spool: Spool,
    folder: Path,
    name: str,
    workers: int,
    progress: Progress | None,
) -> Manifest:
    """Decide what becomes of the prepared images, and write the records."""
    plan = _plan(work, spool, workers)
    sharding = Sharding(shards=work.settings.shards, expected=plan.expected())
    writer = ShardWriter(folder, work.taxonomy.classes, sharding)
    items: Iterable[Any] = _items(plan, work, spool)
    if progress is not None:
        items = progress(items, len(plan.rows))
    return fill_folder(folder, writer, items, _description(work, plan), name=name)


@dataclass(frozen=True)
class _Work:
    """What to build.

    Attributes:
        labelled: the rows, in the order of the listings.
        order: indices of the rows in the order of the spool, which is that of each split.
        against: other record folders.
    """

    listings: Sequence[Listing]
    settings: BuildSettings
    taxonomy: Taxonomy
    encoding: Encoding
    policy: SplitPolicy
    labelled: LabelledRows
    order: Sequence[int]
    against: RecordFolders

    @classmethod
    def of(
        cls, listings: Sequence[Listing], settings: BuildSettings, against: Sequence[Path]
    ) -> _Work:
        encoding = Encoding(settings.image_size, settings.image_format, settings.quality)
        taxonomy = taxonomy_named(settings.taxonomy)
        if settings.require_all:
            _refuse_missing(listings)
        policy = SplitPolicy(settings.split, settings.seed, parse_kept(settings.keep_split))
        check_fractions(policy)
        labelled = label_rows(listings, taxonomy, policy)
        order = sorted(range(len(labelled.rows)), key=lambda index: order_of(labelled.rows[index]))
        others = RecordFolders.read(against)
        return cls(listings, settings, taxonomy, encoding, policy, labelled, order, others)

    def folders(self) -> set[Path]:
        """Collect the folders that are read."""
        images = {
            lesion.image_path.parent for listing in self.listings for lesion in listing.lesions
        }
        return images | set(self.against.paths)

    def files(self) -> list[ImageFiles]:
        """List the files in the order of the spool."""
        lesions = (self.labelled.rows[index].lesion for index in self.order)
        return [ImageFiles(lesion.image_path, lesion.mask_path) for lesion in lesions]

    def preparation(self, workers: int, folder: Path, beam: Sequence[str] | None) -> PrepareAll:
        """Return the function that prepares images: in threads, or by Beam with these options."""
        how: dict[str, Any] = {
            "encoding": self.encoding,
            "max_megapixels": self.settings.max_megapixels,
        }
        if beam is None:
            return functools.partial(prepare_all, **how, workers=workers)
        return functools.partial(prepare_all_on_beam, **how, folder=folder, options=beam)


def _plan(work: _Work, spool: Spool, workers: int) -> Plan:
    """Find the duplicates, then split the rows so that no picture is in two splits."""
    labelled, others = work.labelled, work.against.pictures(workers)
    lesions = labelled.lesions()
    known = tuple(known_links([*work.listings, Listing("", tuple(others.lesions))]))
    clusters = find_clusters(
        [*lesions, *others.lesions],
        joined(spool.thumbnails, others.thumbnails),
        known,
        order=[*work.order, *range(len(lesions), len(lesions) + len(others.lesions))],
        workers=workers,
    )
    own, shared = split_clusters(clusters, len(lesions))
    pixels = [0] * len(lesions)
    for index, count in zip(work.order, spool.pixels):
        pixels[index] = count
    resolution = resolve_duplicates(
        lesions, labelled.keeps_split, own, pixels, work.settings.duplicates
    )
    keeps_shared = work.settings.duplicates == "keep"
    dropped = resolution.dropped | {lesions[each].name for each in shared if not keeps_shared}
    links = (*known, *resolution.links)
    plan = make_plan(labelled.without(dropped), work.policy, links, others.lesions)
    findings = {
        **plan.findings,
        "inverted_masks": _inverted_masks(work, spool),
        "duplicates": resolution.findings,
    }
    if work.against.paths:
        findings["against"] = {
            "folders": [path.name for path in work.against.paths],
            "left_out": not keeps_shared,
            **first_of([lesions[each].name for each in shared]),
        }
    return Plan(plan.rows, findings)


def _inverted_masks(work: _Work, spool: Spool) -> dict[str, dict[str, Any]]:
    """Count the masks that seem inverted, by source."""
    found: dict[str, list[str]] = {}
    for place in sorted(spool.inverted):
        lesion = work.labelled.rows[work.order[place]].lesion
        found.setdefault(lesion.source, []).append(lesion.key)
    return {source: first_of(keys) for source, keys in found.items()}


def _description(work: _Work, plan: Plan) -> Description:
    return Description(
        taxonomy=work.taxonomy.name,
        class_names=work.taxonomy.classes,
        settings=dataclasses.asdict(work.settings),
        sources={
            listing.name: {"licence": listing.licence, "attribution": listing.attribution}
            for listing in work.listings
        },
        findings=plan.findings,
    )


def _header(work: _Work) -> dict[str, Any]:
    """Collect what must be equal for a build to be resumed."""
    header = dataclasses.asdict(work.settings)
    # Whether gaps are accepted changes no shard.
    del header["skip_bad"], header["require_all"]
    return {
        **header,
        "tool_version": __version__,
        "rows": work.labelled.fingerprint(),
        "against": work.against.fingerprint(),
    }


def _items(plan: Plan, work: _Work, spool: Spool) -> Iterator[Example | Skipped]:
    """Yield the plan's rows in the order of the spool."""
    rows = {row.lesion.name: row for row in plan.rows}
    for place, index in enumerate(work.order):
        row = rows.get(work.labelled.rows[index].lesion.name)
        if row is None:
            continue
        result = spool.read(place)
        if isinstance(result, Refused):
            lesion = row.lesion
            # The name only: manifests travel with the records, local folders stay private.
            name = result.path.name
            yield Skipped(lesion.split, lesion.source, lesion.key, name, result.reason)
        else:
            yield _example(row, result, work.taxonomy.classes[row.label], work.encoding)


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
