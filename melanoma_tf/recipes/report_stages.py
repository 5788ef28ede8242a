"""How a run's training set grew: real images, purified copies, generated ones, an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from melanoma_tf.evaluation.report_content import DataFolder, Stage
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.schema import ORIGINS

_NAMES = {"real": "real images", "purified": "+ purified", "generated": "+ generated"}


def growth_stages(config: Mapping[str, Any], folders: Sequence[DataFolder]) -> tuple[Stage, ...]:
    """The stages of Bisla et al. 2019, Figure 7, as far as the run has them.

    Args:
        config: of the run.
        folders: that it was trained on.

    Returns:
        Stages with each origin that the records have added in turn, then the examples of an epoch
        where they are other ones; nothing where a manifest is missing.
    """
    manifests = [folder.manifest for folder in folders if folder.manifest is not None]
    if len(manifests) < len(folders) or not manifests:
        return ()
    counts = {
        name: {origin: _count(manifests, name, origin) for origin in ORIGINS}
        for name in config["class_names"]
    }
    stages = []
    for index, origin in enumerate(ORIGINS):
        if origin == "real" or any(row[origin] for row in counts.values()):
            kept = {
                name: {each: row[each] for each in ORIGINS[: index + 1]}
                for name, row in counts.items()
            }
            stages.append(Stage(_NAMES[origin], "images", kept))
    if config.get("balance") == "batch":
        seen = _balanced(counts, config["batch_size"])
        stages.append(Stage("an epoch of balanced batches", "examples", seen))
    return tuple(stages)


def _count(manifests: Sequence[Manifest], class_name: str, origin: str) -> int:
    return sum(
        manifest.count(split="train", class_name=class_name, origin=origin)
        for manifest in manifests
    )


def _balanced(
    counts: Mapping[str, Mapping[str, int]], batch_size: int
) -> dict[str, dict[str, int]]:
    """Examples of an epoch: equally many of each class, its origins in proportion."""
    total = sum(sum(row.values()) for row in counts.values())
    present = [name for name, row in counts.items() if sum(row.values())]
    examples = math.ceil(total / batch_size) * batch_size
    seen = {}
    for name, row in counts.items():
        size = sum(row.values())
        share = examples / len(present) / size if size else 0.0
        seen[name] = {origin: round(count * share) for origin, count in row.items()}
    return seen
