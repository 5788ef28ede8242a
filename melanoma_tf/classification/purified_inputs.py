"""Inputs of a classifier that are purified by any method."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf.classification.data import ClassifierInputs
from melanoma_tf.purification.networks import SHIPPED, GraphPurifier

# How images are purified before the network sees them -> what the pipeline calls it.
PURIFICATIONS = {"none": "none", "classical": "test", "network": "test"}


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
            purifier = GraphPurifier(method, None if network == SHIPPED else Path(network))
    used = "classical" if purifier is None else method
    return dataclasses.replace(inputs, purify=purify, purify_method=used, purify_image=purifier)


def purified_by(
    inputs: ClassifierInputs, config: Mapping[str, Any], method: str
) -> ClassifierInputs:
    """Return a run's inputs, purified outside training by one of `PURIFICATIONS`.

    The network is the one that the run was trained with, if any, else the one that ships.
    """
    network = config.get("purify_network", SHIPPED)
    used = "classical" if method == "none" else method
    return purified_inputs(inputs, PURIFICATIONS[method], used, network)
