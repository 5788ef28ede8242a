"""Batches of encoded photographs in the graph, of which a bad one spoils no other.

A decoder that fails ends the whole call. Inside a stream of `tf.data` an error ends one element
only, and may be passed over: all of it stock ops, which exported models carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from melanoma_tf.images.orientation import read_orientation
from melanoma_tf.images.photographs import OK, UNREADABLE, check_photograph, messages

# Decoded at once: more would use more memory without being faster on most machines.
_AT_ONCE = 4
# (encoded image, orientation) -> what is made of it, tensors of fixed or unknown sizes
Read = Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]]


def graph_function(signature: Sequence[tf.TensorSpec]) -> Callable[[Callable[..., Any]], Any]:
    """Make a graph of a function; without AutoGraph, which takes most of the time of tracing."""
    return lambda function: tf.function(function, input_signature=signature, autograph=False)


@dataclass(frozen=True)
class Batch:
    """What was read of a batch of encoded images.

    Attributes:
        status: int32 `(n,)`, 0 or why an image was not read, see `images.photographs`.
        rows: int64 `(k,)`, places of the images that were read, in order.
        values: for each tensor that was read, `(k, ...)`.
    """

    status: tf.Tensor
    rows: tf.Tensor
    values: tuple[tf.Tensor, ...]

    def spread(self, values: tf.Tensor) -> tf.Tensor:
        """Put `(k, ...)` into the places of `(n, ...)`; 0, or an empty string, elsewhere."""
        length = tf.shape(self.status, tf.int64)
        shape = tf.concat([length, tf.shape(values, tf.int64)[1:]], 0)
        spread = tf.scatter_nd(self.rows[:, tf.newaxis], values, shape)
        return tf.ensure_shape(spread, [None, *values.shape[1:]])


class PhotographReader(tf.Module):
    """Reads encoded photographs: checked, upright, one bad image alone.

    Args:
        max_megapixels: an image that claims more is not decoded.
    """

    def __init__(self, max_megapixels: float):
        super().__init__(name="photograph_reader")
        self._max_megapixels = max_megapixels
        self._messages = tf.constant(messages(max_megapixels))

    def read(
        self,
        images: tf.Tensor,
        read: Read,
        specs: Sequence[tf.TensorSpec],
        *,
        at_once: int = _AT_ONCE,
    ) -> Batch:
        """Apply a function to each image that can be decoded.

        Args:
            images: string `(n,)`, any bytes; `n` may be 0.
            read: applied to each image.
            specs: of what `read` returns; of fixed shapes.
            at_once: images in memory at a time.
        """
        count = tf.size(images, tf.int64)

        def empty() -> list[tf.Tensor]:
            return [tf.zeros(spec.shape, spec.dtype) for spec in specs]

        @tf.autograph.experimental.do_not_convert
        def one(row: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
            status = check_photograph(encoded, self._max_megapixels)

            def good() -> list[tf.Tensor]:
                values = read(encoded, read_orientation(encoded))
                return [tf.ensure_shape(each, spec.shape) for each, spec in zip(values, specs)]

            return (row, status, *tf.cond(status == OK, good, empty))

        rows = tf.data.Dataset.from_tensor_slices((tf.range(count), images))
        found = rows.map(one, num_parallel_calls=at_once, deterministic=True).ignore_errors()
        # An element more, so that there is one where no image can be read.
        last = tf.data.Dataset.from_tensors((count, tf.constant(UNREADABLE), *empty()))
        found = found.concatenate(last).batch(count + 1).with_options(_options())
        rows_read, status_read, *values = found.get_single_element()
        rows_read, status_read = rows_read[:-1], status_read[:-1]
        is_good = status_read == OK
        status = tf.tensor_scatter_nd_update(
            tf.fill([count], UNREADABLE), rows_read[:, tf.newaxis], status_read
        )
        return Batch(
            status,
            tf.boolean_mask(rows_read, is_good),
            tuple(tf.boolean_mask(value[:-1], is_good) for value in values),
        )

    def message(self, status: tf.Tensor) -> tf.Tensor:
        """One line for each status, string `(n,)`; empty where it is 0."""
        return tf.gather(self._messages, status)


def _options() -> tf.data.Options:
    """No tuning: a stream of one batch ends before it has taught anything."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return options
