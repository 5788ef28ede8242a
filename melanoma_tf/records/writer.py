"""Writing of a record folder: shards, manifest, and metadata for TensorFlow Datasets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.records.manifest import Manifest, write_manifest
from melanoma_tf.records.schema import Example
from melanoma_tf.records.shards import Sharding, ShardWriter, Skipped
from melanoma_tf.records.tfds_metadata import write_tfds_metadata


@dataclass(frozen=True)
class Description:
    """The part of a manifest that the writer cannot count; see `Manifest` for the fields."""

    taxonomy: str
    class_names: tuple[str, ...]
    settings: Mapping[str, Any]
    sources: Mapping[str, Mapping[str, str]]
    findings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_copy(cls, manifest: Manifest, **settings: Any) -> Description:
        """Describe a changed copy of a record folder, with further settings."""
        return cls(
            manifest.taxonomy,
            manifest.class_names,
            {**manifest.settings, **settings},
            manifest.sources,
            manifest.findings,
        )


def write_records(
    examples: Iterable[Example | Skipped],
    output: Path,
    description: Description,
    *,
    sharding: Sharding | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write a stream of examples as a record folder, which appears whole or not at all.

    Examples keep their order within their split, so equal streams give equal bytes. One shard per
    split is open at a time and no example is kept: memory does not grow with the stream.

    Args:
        examples: any order of splits; the manifest lists each `Skipped`.
        output: the folder to create.
        description: for the manifest; its settings and findings are JSON values.
        sharding: default: shards of about 128 MiB.
        overwrite: replace an existing folder.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: `output` exists, the stream is empty, or an example does not fit.
    """
    output = Path(output)
    with published_folder(output, overwrite=overwrite) as folder:
        writer = ShardWriter(folder, description.class_names, sharding or Sharding())
        return fill_folder(folder, writer, examples, description, name=output.name)


def fill_folder(
    folder: Path,
    writer: ShardWriter,
    items: Iterable[Example | Skipped],
    description: Description,
    *,
    name: str,
) -> Manifest:
    """Write the items, then the metadata and, last, the manifest.

    Args:
        folder: the writer's folder.
        writer: writes the items.
        items: the items that are not written yet.
        description: for the manifest.
        name: name of the record folder, for TensorFlow Datasets.

    Raises:
        MelanomaError: the stream has no example, or one does not fit.
    """
    try:
        for item in items:
            writer.add(item)
        shards, counts, skipped = writer.finish()
    finally:
        writer.abandon()
    if not shards:
        refused = [f"; refused: {row.file}: {row.reason}" for row in skipped[:1]]
        raise MelanomaError(f"expected an example to write; found none{''.join(refused)}")
    manifest = Manifest(
        taxonomy=description.taxonomy,
        class_names=description.class_names,
        counts=counts,
        shards=shards,
        settings=dict(description.settings),
        sources={source: dict(row) for source, row in description.sources.items()},
        skipped=tuple(dataclasses.asdict(row) for row in skipped),
        findings=dict(description.findings),
        tool_version=__version__,
    )
    write_tfds_metadata(folder, manifest, name=name)
    write_manifest(folder, manifest)
    return manifest


def skipped_before(manifest: Manifest) -> Iterator[Skipped]:
    """Yield the images that a record folder left out, for the stream of a copy of it."""
    return (Skipped(**row) for row in manifest.skipped)
