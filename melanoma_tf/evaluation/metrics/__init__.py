"""Scores of a classifier by their published definitions; NumPy only."""

from __future__ import annotations

from melanoma_tf.evaluation.metrics.scores import classification_scores

__all__ = ["classification_scores"]
