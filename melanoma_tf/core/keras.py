"""Keras 2, which every network of this package is written in.

TensorFlow 2.15 brings it as `tensorflow.keras`. From 2.16 on that name is Keras 3, and Keras 2 is
the package `tf_keras`. The choice is by TensorFlow's version, so that one stack has one answer, and
a process that uses Keras 3 too keeps it: no environment variable is set. Import it from here only:

    from melanoma_tf.core.keras import keras
"""

from __future__ import annotations

from melanoma_tf.core.stack import IS_TENSORFLOW_2_15

if IS_TENSORFLOW_2_15:
    from tensorflow import keras

    _IS_KERAS_2 = True
else:
    import tf_keras as keras

    _IS_KERAS_2 = keras.__version__.startswith("2.")  # A test puts Keras 3 in its place.

# For dropout layers: each draws from a generator of its own, as always in Keras 3, which
# `training.epochs` seeds again at every epoch.
OWN_GENERATOR = {"force_generator": True} if _IS_KERAS_2 else {}

__all__ = ["OWN_GENERATOR", "keras"]
