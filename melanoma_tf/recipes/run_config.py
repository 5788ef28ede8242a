"""What every run writes into its `config.json`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf import __version__
from melanoma_tf.records.manifest import Manifest


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
