"""Classify image files with finished runs, one or an ensemble, view by view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification.data import central_view
from melanoma_tf.classification.ensemble import (
    Member,
    applies_calibration,
    member_scale,
    prevalence_of,
    read_members,
)
from melanoma_tf.classification.evaluation_settings import FilePredictionSettings
from melanoma_tf.classification.predict_views import view_function
from melanoma_tf.evaluation.temperature import LogitScale, probabilities
from melanoma_tf.pretrained import classifier_run
from melanoma_tf.records.decode import UnreadableImageError, read_portable


class RunClassifier:
    """Finished classifier runs that classify image files as `evaluate` does records.

    Probabilities are averaged over views, then over runs.

    Args:
        run_dirs: finished classifier runs of the same classes; `shipped` is the one that ships
            with the package.
        settings: see `FilePredictionSettings`.

    Raises:
        MelanomaError: as `ensemble.read_members`; a calibration is wanted and absent;
            as `ensemble.prevalence_of`.
    """

    def __init__(self, run_dirs: Sequence[Path], settings: FilePredictionSettings):
        members = read_members([classifier_run(run_dir) for run_dir in run_dirs], settings)
        apply = applies_calibration(members, settings.calibrated)
        prevalence = prevalence_of(members, settings.prevalence)
        self.class_names: tuple[str, ...] = members[0].record.class_names
        self._members = [
            _Classifier(member, member_scale(member, apply, prevalence), settings.tta)
            for member in members
        ]

    def probabilities(self, paths: Sequence[Path], batch_size: int) -> Iterator[np.ndarray | str]:
        """Classify files in batches.

        Yields:
            For each file, in order, float64 `(classes,)`, or why it cannot be read.
        """
        for first in range(0, len(paths), batch_size):
            read = [_read(path) for path in paths[first : first + batch_size]]
            views = [each if isinstance(each, str) else self._views(each) for each in read]
            good = [each for each in views if not isinstance(each, str)]
            answers = iter(self._mean(good)) if good else iter(())
            for each in views:
                yield each if isinstance(each, str) else next(answers)

    def _views(self, encoded: bytes) -> list[tf.Tensor] | str:
        try:
            return [member.prepare(tf.constant(encoded)) for member in self._members]
        except tf.errors.InvalidArgumentError:
            return "cannot be decoded: broken data"

    def _mean(self, images: list[list[tf.Tensor]]) -> np.ndarray:
        batches = [tf.stack(pixels) for pixels in zip(*images)]
        each = [member.classify(batch) for member, batch in zip(self._members, batches)]
        mean: np.ndarray = np.mean(each, axis=0)
        return mean


class _Classifier:
    """A run: from encoded bytes to what its network sees, and on to probabilities."""

    def __init__(self, member: Member, scale: LogitScale, views: int):
        self._scale = scale
        self._logits = view_function(load_classifier(member.run_dir), views)
        signature = [tf.TensorSpec([], tf.string)]
        inputs = member.inputs
        self.prepare = tf.function(lambda encoded: central_view(encoded, inputs), signature)

    def classify(self, images: tf.Tensor) -> np.ndarray:
        """Probabilities, float64 `(images, classes)`, averaged over views."""
        return probabilities(self._logits(images).numpy(), self._scale)


def _read(path: Path) -> bytes | str:
    try:
        return read_portable(path)
    except UnreadableImageError as error:
        return str(error)
