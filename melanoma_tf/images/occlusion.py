"""Purification: hairs, rulers, ink and bubbles taken off dermoscopic images, the lesion kept.

`purify` is a graph op of stock TensorFlow operations: it runs eagerly, inside `tf.function` and
`tf.data.map`, and in an exported SavedModel.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.errors import MelanomaError
from melanoma_tf.images.filling import fill
from melanoma_tf.images.geometry import fit_long_side, height_width, resize
from melanoma_tf.images.morphology import dilate
from melanoma_tf.images.occlusion_bisla2019 import purify_bisla2019
from melanoma_tf.images.occlusion_graph import find_occlusions
from melanoma_tf.images.occlusion_settings import (
    LEAST_SIDE_PX,
    METHODS,
    WORKING_SIZE_PX,
    OcclusionSettings,
)


def purify(
    images: tf.Tensor,
    lesion_masks: tf.Tensor | None = None,
    *,
    method: str = "classical",
    settings: OcclusionSettings | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Find what lies over the skin, and fill it from what is around it.

    `classical` looks at the image at one working size, whatever its own, so that nothing needs
    tuning to the size; pixels that it does not count as occluded come back unchanged. With a
    lesion mask it seeks ink and digits outside the lesion only; hairs it takes off everywhere.
    `bisla2019` is the method of Bisla et al. 2019, Section 3.2.2.

    Args:
        images: RGB `(batch, height, width, 3)` or `(height, width, 3)`, uint8, or floating point
            in [0, 1]. In a graph, values outside are clipped and NaN counts as 0.
        lesion_masks: not 0 on the lesion; of the images' shape with one channel or without one.
        method: one of `METHODS`.
        settings: thresholds of `classical`.

    Returns:
        The purified images, of the shape and dtype of `images`, and the occlusion masks, uint8
        `(batch, height, width, 1)` or `(height, width, 1)`, 255 on what was found, else 0. The
        filling reaches a pixel further, into the blur of an occlusion's edge.

    Raises:
        MelanomaError: no such method; another shape or dtype; eagerly, values outside [0, 1].
    """
    if method not in METHODS:
        raise MelanomaError(f"expected a method out of {', '.join(METHODS)}; found {method!r}")
    images = tf.convert_to_tensor(images)
    batch = _as_batch(images)
    lesions = None if lesion_masks is None else _as_lesions(lesion_masks, images)
    if images.shape[0] == 0:  # TensorFlow's convolution does not work on nothing
        return images, tf.zeros([*images.shape[:-1], 1], tf.uint8)
    if method == "bisla2019":
        purified, masks = purify_bisla2019(batch, lesions)
    else:
        purified, masks = _purify_classical(batch, lesions, settings or OcclusionSettings())
    masks = tf.cast(masks, tf.uint8) * tf.constant(255, tf.uint8)
    purified = _as_dtype(purified, images.dtype)
    if images.shape.rank == 3:
        purified, masks = purified[0], masks[0]
    return tf.ensure_shape(purified, images.shape), masks


def _purify_classical(
    images: tf.Tensor, lesions: tf.Tensor | None, settings: OcclusionSettings
) -> tuple[tf.Tensor, tf.Tensor]:
    own_size = height_width(images)
    working = fit_long_side(images, WORKING_SIZE_PX, LEAST_SIDE_PX)
    small_lesions = None if lesions is None else resize(lesions, *working)
    occlusions = find_occlusions(resize(images, *working), small_lesions, settings)
    # Filled is what has fewer pixels: the image, or its version of working size.
    is_large = tf.maximum(*own_size) > WORKING_SIZE_PX
    fill_size = [tf.where(is_large, one, other) for one, other in zip(working, own_size)]
    occlusions = tf.cast(resize(occlusions, *fill_size) >= 0.5, tf.float32)
    # One pixel more on each side: the blurred edge of a hair would bleed into the filling.
    holes = dilate(occlusions, 3)
    # Where everything is covered there is nothing to fill from: the image stays as it is.
    holes *= tf.cast(tf.reduce_any(holes < 0.5, axis=(1, 2, 3), keepdims=True), tf.float32)
    filled = fill(resize(images, *fill_size), holes)

    def blended() -> tf.Tensor:
        opacity = resize(holes, *own_size)
        return images + opacity * (resize(filled, *own_size) - images)

    masks = resize(occlusions * holes, *own_size) >= 0.5
    return tf.cond(is_large, blended, lambda: filled), masks


def _as_batch(images: tf.Tensor) -> tf.Tensor:
    """float32 `(batch, height, width, 3)` in [0, 1], without NaN."""
    shape = images.shape
    if shape.rank not in (3, 4) or shape[-1] != 3:
        raise MelanomaError(
            f"expected RGB images of shape (height, width, 3) or (batch, height, width, 3); "
            f"found shape {tuple(shape) if shape.rank is not None else 'unknown'}"
        )
    if 0 in shape.as_list()[-3:]:
        raise MelanomaError(f"expected images with pixels; found shape {tuple(shape)}")
    if images.dtype == tf.uint8:
        values = tf.cast(images, tf.float32) / 255.0
    elif images.dtype.is_floating:
        _check_range(images)
        values = tf.cast(images, tf.float32)
        values = tf.clip_by_value(tf.where(tf.math.is_nan(values), 0.0, values), 0.0, 1.0)
    else:
        raise MelanomaError(
            f"expected images of uint8 or floating point; found {images.dtype.name}"
        )
    return values if shape.rank == 4 else values[None]


def _check_range(images: tf.Tensor) -> None:
    """Refuse floats outside [0, 1] where values can be seen, which they cannot in a graph."""
    if not tf.executing_eagerly() or tf.size(images) == 0:
        return
    if tf.reduce_any(tf.math.is_nan(images)):
        raise MelanomaError("expected floating-point images in [0, 1]; found NaN")
    least, most = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    if least < -1e-3 or most > 1.001:
        raise MelanomaError(
            f"expected floating-point images in [0, 1]; found values from {least:g} to {most:g}"
        )


def _as_lesions(lesion_masks: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """float32 `(batch, height, width, 1)`, 0 or 1."""
    masks = tf.convert_to_tensor(lesion_masks)
    if masks.shape.rank == images.shape.rank - 1:
        masks = masks[..., None]
    expected = images.shape[:-1].concatenate([1])
    if masks.shape.rank != images.shape.rank or not masks.shape.is_compatible_with(expected):
        raise MelanomaError(
            f"expected lesion masks of shape {expected}, as the images; found {masks.shape}"
        )
    values = tf.cast(masks != tf.zeros([], masks.dtype), tf.float32)
    return values if images.shape.rank == 4 else values[None]


def _as_dtype(values: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Values in [0, 1], as both methods give them, in the dtype of the input."""
    if dtype == tf.uint8:
        return tf.cast(values * 255.0 + 0.5, tf.uint8)
    return tf.cast(values, dtype)
