"""Inputs of a classifier that are purified by any method."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from melanoma_tf.classification.data import ClassifierInputs
from melanoma_tf.purification.networks import SHIPPED, GraphPurifier


def purified_inputs(
    inputs: ClassifierInputs, purify: str, method: str, network: str = SHIPPED
) -> ClassifierInputs:
    """Inputs that are purified by a method.

    Args:
        inputs: of a classifier.
        purify: when, see `ClassifierInputs`.
        method: `classical` or `network`.
        network: a finished inpainter run, or `shipped`; for `network` alone.

    Raises:
        MelanomaError: as `GraphPurifier`, or as `ClassifierInputs`.
    """
    purifier = None
    if method != "classical" and purify != "none":
        # Held in the main memory: the input pipeline runs on the CPU, whatever trains.
        with tf.device("CPU:0"):
            purifier = GraphPurifier(method, network)
    used = "classical" if purifier is None else method
    return dataclasses.replace(inputs, purify=purify, purify_method=used, purify_image=purifier)
