"""Write the functions of a module as a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf


def save_signatures(
    module: tf.Module, functions: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Write functions as the signatures of a SavedModel, with the variables that they read.

    Nothing else of the module is written. `tf.saved_model.save` would trace every function that it
    finds in it a second time, and several functions for each layer of its Keras models, which
    nobody calls: for small networks that takes most of the time of an export.

    Args:
        module: holds all variables that the functions read.
        functions: `tf.function`s with an input signature, by name of the signature.
        folder: to write to.

    Returns:
        The functions as they were traced, by name.
    """
    traced = {name: each.get_concrete_function() for name, each in functions.items()}
    saved = tf.Module()
    saved.held = list(module.variables)
    tf.saved_model.save(saved, str(folder), signatures=traced)
    return traced
