"""Export of a finished run, whatever it trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from melanoma_tf import training
from melanoma_tf.errors import MelanomaError
from melanoma_tf.recipes import classifier, segmentation, segmenter

_EXPORTS: dict[str, Callable[..., None]] = {
    classifier.KIND: classifier.export_run,
    segmenter.KIND: segmentation.export_run,
}


def export_run(run_dir: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write a finished run as a SavedModel, see the modules of `serving`.

    Raises:
        MelanomaError: no run, one that has not finished or of which no export is known, or
            `output` exists.
    """
    kind = training.run_kind(run_dir)
    if kind not in _EXPORTS:
        raise MelanomaError(f"{run_dir}: expected a {' or '.join(_EXPORTS)} run; found {kind}")
    _EXPORTS[kind](run_dir, output, overwrite=overwrite)
