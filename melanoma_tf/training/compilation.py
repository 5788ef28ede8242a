"""Training steps compiled by XLA (`--jit-compile`)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError, reason_of
from melanoma_tf.core.keras import keras

# In TensorFlow's words for what XLA cannot compile: operations, or shapes that depend on values.
_REFUSED = re.compile(r"XLA|tf2xla|compile-time constant|jit_compile")
_OPERATIONS = re.compile(r"(\w+) \(No registered")


def check_compilable(wanted: bool, strategy: tf.distribute.Strategy) -> None:
    """Refuse to compile the steps of several replicas, which exchange gradients within a step.

    Args:
        wanted: whether steps are to be compiled.
        strategy: of the training.

    Raises:
        MelanomaError: they are, and there are several replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if wanted and replicas > 1:
        raise MelanomaError(
            f"expected a single device with --jit-compile, as by --strategy single; found "
            f"{replicas} replicas"
        )


@contextlib.contextmanager
def compilation_errors_named(model: keras.Model) -> Iterator[None]:
    """Turn TensorFlow's words for a network that XLA cannot compile into a `MelanomaError`.

    XLA compiles the first step before it is taken: nothing has been trained then.

    Args:
        model: whose steps run in the body.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        if not model.jit_compile or not _REFUSED.search(str(error.message)):
            raise
        names = sorted(set(_OPERATIONS.findall(str(error.message))))
        reason = f"it has no {', '.join(names)}" if names else reason_of(error)
        raise MelanomaError(
            f"expected a network that XLA can compile, with --jit-compile; {reason}. Train it "
            "without --jit-compile"
        ) from error
