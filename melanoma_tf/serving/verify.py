"""Tell whether an exported model gives on this machine the answers that it gave when exported."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from melanoma_tf.serving.exported import ExportedModel, read_exported
from melanoma_tf.serving.golden import answers_of, read_golden
from melanoma_tf.serving.settings import VerificationSettings
from melanoma_tf.serving.signatures import STATUS
from melanoma_tf.serving.warmup import read_warmup


@dataclass(frozen=True)
class Comparison:
    """An output of a signature on the golden inputs.

    Attributes:
        signature, output: its names.
        difference: the largest difference from the stored answer; 0 of texts that are equal;
            infinite where the output is absent, or texts or shapes differ.
    """

    signature: str
    output: str
    difference: float


@dataclass(frozen=True)
class Verification:
    """The result of `verify_model`.

    Attributes:
        version: the version folder.
        comparisons: of each output.
        warmup_requests: how many warm-up requests were answered.
        failures: one line for each thing that does not agree.
    """

    version: Path
    comparisons: tuple[Comparison, ...]
    warmup_requests: int
    failures: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result for JSON; an infinite difference is None there."""
        comparisons = [
            {**asdict(each), "difference": each.difference if isfinite(each.difference) else None}
            for each in self.comparisons
        ]
        return {
            "version": str(self.version),
            "comparisons": comparisons,
            "warmup_requests": self.warmup_requests,
            "failures": list(self.failures),
        }


def verify_model(folder: Path, settings: VerificationSettings | None = None) -> Verification:
    """Replay the golden inputs and the warm-up requests of an exported model.

    Args:
        folder: `saved_models/NAME`, or a version folder in it.
        settings: see `VerificationSettings`.

    Raises:
        MelanomaError: the folder has no exported model, or a file of it is absent or damaged.
    """
    settings = settings or VerificationSettings()
    exported = read_exported(folder)
    images, stored = read_golden(exported.version)
    now = answers_of(exported.signatures, images)
    comparisons = tuple(
        Comparison(signature, output, _difference(now.get(signature, {}).get(output), values))
        for signature, outputs in stored.items()
        for output, values in outputs.items()
    )
    failures = [
        f"{each.signature}: {each.output} differs by {each.difference:.2g}; expected at most "
        f"{settings.tolerance:g}"
        for each in comparisons
        if not each.difference <= settings.tolerance
    ]
    answered, unanswered = _replay_warmup(exported)
    return Verification(exported.version, comparisons, answered, (*failures, *unanswered))


def _replay_warmup(exported: ExportedModel) -> tuple[int, list[str]]:
    failures, requests = [], read_warmup(exported.version)
    for request in requests:
        if request.signature not in exported.signatures:
            failures.append(f"warm-up: no signature {request.signature}")
            continue
        inputs = {name: tf.constant(value) for name, value in request.inputs.items()}
        status = exported.signatures[request.signature](**inputs)[STATUS].numpy()
        if status.any():
            failures.append(f"warm-up: {request.signature} refuses an image, status {status.max()}")
    return len(requests) - len(failures), failures


def _difference(found: Any, expected: Any) -> float:
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        return max((_difference(*pair) for pair in zip(found, expected)), default=0.0)
    if _is_number(expected) and _is_number(found):
        return float(np.abs(found - expected))
    return 0.0 if found == expected else float("inf")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
