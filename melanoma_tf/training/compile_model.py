"""How a network is compiled."""

from __future__ import annotations

from typing import Any

from melanoma_tf.core.keras import keras


def compile_model(
    model: keras.Model, *, optimizer: keras.optimizers.Optimizer, **options: Any
) -> keras.Model:
    """Compile a model, and make the variables of its optimiser at once.

    Keras makes them in the first step, which TensorFlow then traces a second time: a second for a
    small network, much longer for a large one.

    Args:
        model: all of whose variables exist.
        optimizer: gets a variable for each that is trained.
        options: loss and metrics, as `keras.Model.compile` takes them.

    Returns:
        `model`.
    """
    model.compile(optimizer=optimizer, **options)
    # For mixed precision the model wraps its optimiser.
    model.optimizer.build(model.trainable_variables)
    return model
