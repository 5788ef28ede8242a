"""What every run writes into its `config.json`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf import __version__
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.record_set import RecordSet


def run_config(kind: str, records: Path, manifest: Manifest, settings: Any) -> dict[str, Any]:
    """The resolved settings of a training, and the data and versions that it ran on.

    Args:
        kind: what is trained, as `classifier`.
        records: the record folder.
        manifest: its manifest.
        settings: a dataclass of JSON values.
    """
    return {
        "kind": kind,
        **dataclasses.asdict(settings),
        "records": str(records),
        "shards": {shard.name: shard.sha256 for shard in manifest.shards},
        "sources": manifest.sources,
        "versions": {"melanoma_tf": __version__, "tensorflow": tf.__version__},
    }


def further_folders(records: RecordSet) -> dict[str, Any]:
    """What `config.json` says of further record folders."""
    further = list(zip(records.folders, records.manifests))[1:]
    if not further:
        return {}
    shards = [
        {"records": str(folder), "shards": {one.name: one.sha256 for one in manifest.shards}}
        for folder, manifest in further
    ]
    sources = {
        name: row for manifest in records.manifests for name, row in manifest.sources.items()
    }
    return {"further_records": shards, "sources": sources}
