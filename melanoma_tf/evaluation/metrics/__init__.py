"""Scores of a classifier by their published definitions."""

from __future__ import annotations

from melanoma_tf.evaluation.metrics.decisions import look_like_probabilities
from melanoma_tf.evaluation.metrics.delong import delong
from melanoma_tf.evaluation.metrics.scores import classification_scores
from melanoma_tf.evaluation.metrics.task import all_metrics, prepare

__all__ = [
    "all_metrics",
    "classification_scores",
    "delong",
    "look_like_probabilities",
    "prepare",
]
