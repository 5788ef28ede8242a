"""Purification: remove hairs, rulers, ink and bubbles from dermoscopic images, keep the lesion.

`purify` is a graph op of stock TensorFlow operations: it runs eagerly, inside `tf.function` and
`tf.data.map`, and in an exported SavedModel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.images.filling import fill
from melanoma_tf.images.geometry import fit_long_side, height_width, resize
from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.bisla2019 import purify_bisla2019
from melanoma_tf.purification.classical.graph import find_occlusions
from melanoma_tf.purification.classical.settings import (
    LEAST_SIDE_PX,
    METHODS,
    WORKING_SIZE_PX,
    OcclusionSettings,
)

# (RGB `(batch, height, width, 3)` in [0, 1], holes `(batch, height, width, 1)`, 0 or 1) -> the
# same images with something else in the holes; all float32, any size.
FillHoles = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# RGB `(batch, height, width, 3)` in [0, 1], of working size -> what lies over the skin,
# `(batch, height, width, 1)`, 0 or 1; all float32. An optional method `for_size` takes the long
# side of the images themselves, and gives the working size for them and the function to call.
FindOcclusions = Callable[[tf.Tensor], tf.Tensor]


class Networks(NamedTuple):
    """Both functions of `purify_by`.

    Attributes:
        fill: fills holes.
        find: finds what lies over the skin; None takes the classical detector.
    """

    fill: FillHoles
    find: FindOcclusions | None = None


def purify(
    images: tf.Tensor,
    lesion_masks: tf.Tensor | None = None,
    *,
    method: str = "classical",
    settings: OcclusionSettings | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Find what lies over the skin, and fill it from what is around it.

    `classical` examines images of all sizes at one working size, so that no setting depends on the
    size; pixels that it does not count as occluded come back unchanged. With a
    lesion mask it seeks ink and digits outside the lesion only; hairs it removes everywhere.
    `bisla2019` is the method of Bisla et al. 2019, Section 3.2.2.

    Args:
        images: RGB `(batch, height, width, 3)` or `(height, width, 3)`, uint8, or floating point
            in [0, 1]. In a graph, values outside are clipped and NaN counts as 0.
        lesion_masks: not 0 on the lesion; of the images' shape with one channel or without one.
        method: one of `METHODS`; `purify_by` takes a network.
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
    lesions = None if lesion_masks is None else _as_masks(lesion_masks, images, "lesion")
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


def purify_by(
    fill_holes: FillHoles,
    images: tf.Tensor,
    lesion_masks: tf.Tensor | None = None,
    *,
    occlusion_masks: tf.Tensor | None = None,
    find: FindOcclusions | None = None,
    settings: OcclusionSettings | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Purify with a given function that fills holes, as `purification.inpainter.inference`.

    Occlusions are found as `classical` does or by a given function, as
    `purification.detector.inference`, and widened by one pixel on each side; or they are given.
    An image of more than the working size is filled at that size; where nothing is occluded, no
    filling is computed.

    Args:
        fill_holes: fills holes.
        images: as for `purify`.
        lesion_masks: as for `purify`; not used with `occlusion_masks` or `find`.
        occlusion_masks: not 0 on what to replace; of the images' shape with one channel or
            without one. None finds occlusions.
        find: finds occlusions in images of working size; None takes the classical detector.
        settings: thresholds of the classical detector.

    Returns:
        The purified images, of the shape and dtype of `images`, and masks of all pixels that were
        replaced, uint8 `(batch, height, width, 1)` or `(height, width, 1)`, 255 or 0. All other
        pixels have the values of `images`, bit for bit.

    Raises:
        MelanomaError: as `purify`; eagerly, an occlusion mask that covers a whole image. In a
            graph such an image comes back unchanged, and so does one whose mask leaves no whole
            pixel at the working size.
    """
    images = tf.convert_to_tensor(images)
    batch = _as_batch(images)
    lesions = None if lesion_masks is None else _as_masks(lesion_masks, images, "lesion")
    given = None
    if occlusion_masks is not None:
        given = _as_masks(occlusion_masks, images, "occlusion")
        _refuse_full(given)
    if images.shape[0] == 0:
        return images, tf.zeros([*images.shape[:-1], 1], tf.uint8)
    if given is None:
        find = find or _classical_detector(batch, lesions, settings)
        purified, holes = _purify_found(batch, find, fill_holes)
    else:
        purified, holes = _purify_given(batch, given, fill_holes)
    if images.shape.rank == 3:
        purified, holes = purified[0], holes[0]
    purified = tf.where(
        holes, _as_dtype(tf.clip_by_value(purified, 0.0, 1.0), images.dtype), images
    )
    masks = tf.cast(holes, tf.uint8) * tf.constant(255, tf.uint8)
    return tf.ensure_shape(purified, images.shape), masks


def _purify_found(
    images: tf.Tensor, find: FindOcclusions, fill_holes: FillHoles
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images with what was found filled, and bool masks of what was replaced."""
    own_size = height_width(images)
    small, holes, _ = _found(images, find)
    opacity = resize(holes, *own_size)
    filled = resize(_filled(small, holes, fill_holes), *own_size)
    return images + opacity * (filled - images), opacity > 0.0


def _purify_given(
    images: tf.Tensor, given: tf.Tensor, fill_holes: FillHoles
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images with given holes filled, and bool masks of what was replaced."""
    own_size = height_width(images)
    size = _fill_size(images, fit_long_side(images, WORKING_SIZE_PX, LEAST_SIDE_PX))
    # A pixel of which any part is to go is filled whole.
    holes = tf.cast(resize(given, *size) > 0.0, tf.float32)
    is_known = _where_anything_is_known(holes)
    holes, given = holes * is_known, given * is_known
    filled = _filled(resize(images, *size), holes, fill_holes)
    return resize(filled, *own_size), given > 0.5


def _filled(images: tf.Tensor, holes: tf.Tensor, fill_holes: FillHoles) -> tf.Tensor:
    def by_network() -> tf.Tensor:
        return tf.ensure_shape(fill_holes(images, holes), images.shape)

    return tf.cond(tf.reduce_any(holes > 0.5), by_network, lambda: tf.identity(images))


def _where_anything_is_known(holes: tf.Tensor) -> tf.Tensor:
    """1 per image, `(batch, 1, 1, 1)`; 0 where holes cover all of it."""
    return tf.cast(tf.reduce_any(holes < 0.5, axis=(1, 2, 3), keepdims=True), tf.float32)


def _refuse_full(masks: tf.Tensor) -> None:
    """Refuse masks that cover a whole image; eagerly only, since a graph has no values yet."""
    if not tf.executing_eagerly() or tf.size(masks) == 0:
        return
    if not tf.reduce_all(tf.reduce_any(masks < 0.5, axis=(1, 2, 3))):
        raise MelanomaError(
            "expected an occlusion mask that leaves some skin to fill from; "
            "found one that covers the whole image"
        )


def _fill_size(images: tf.Tensor, working: tuple[tf.Tensor, tf.Tensor]) -> list[tf.Tensor]:
    """The smaller of two sizes: the image's own, or the working size."""
    own_size = height_width(images)
    is_large = tf.maximum(*own_size) > WORKING_SIZE_PX
    return [tf.where(is_large, one, other) for one, other in zip(working, own_size)]


def _classical_detector(
    images: tf.Tensor, lesions: tf.Tensor | None, settings: OcclusionSettings | None
) -> FindOcclusions:
    working = fit_long_side(images, WORKING_SIZE_PX, LEAST_SIDE_PX)
    small_lesions = None if lesions is None else resize(lesions, *working)
    return lambda small: find_occlusions(small, small_lesions, settings or OcclusionSettings())


def _found(images: tf.Tensor, find: FindOcclusions) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Images of the size to fill at, their holes, and the holes without margin."""
    working_size_px: int | tf.Tensor = WORKING_SIZE_PX
    if hasattr(find, "for_size"):
        working_size_px, find = find.for_size(tf.maximum(*height_width(images)))
    working = fit_long_side(images, working_size_px, LEAST_SIDE_PX)
    small = resize(images, *working)
    occlusions = tf.ensure_shape(find(small), [*small.shape[:-1], 1])
    size = _fill_size(images, working)
    occlusions = tf.cast(resize(occlusions, *size) >= 0.5, tf.float32)
    # One pixel more on each side: the blurred edge of a hair would bleed into the filling.
    holes = dilate(occlusions, 3)
    holes *= _where_anything_is_known(holes)
    return resize(images, *size), holes, occlusions * holes


def _purify_classical(
    images: tf.Tensor, lesions: tf.Tensor | None, settings: OcclusionSettings
) -> tuple[tf.Tensor, tf.Tensor]:
    own_size = height_width(images)
    find = _classical_detector(images, lesions, settings)
    small, holes, occlusions = _found(images, find)
    filled = fill(small, holes)

    def blended() -> tf.Tensor:
        opacity = resize(holes, *own_size)
        return images + opacity * (resize(filled, *own_size) - images)

    masks = resize(occlusions, *own_size) >= 0.5
    return tf.cond(tf.maximum(*own_size) > WORKING_SIZE_PX, blended, lambda: filled), masks


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
    """Refuse floats outside [0, 1]; eagerly only, since a graph has no values yet."""
    if not tf.executing_eagerly() or tf.size(images) == 0:
        return
    if tf.reduce_any(tf.math.is_nan(images)):
        raise MelanomaError("expected floating-point images in [0, 1]; found NaN")
    least, most = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    if least < -1e-3 or most > 1.001:
        raise MelanomaError(
            f"expected floating-point images in [0, 1]; found values from {least:g} to {most:g}"
        )


def _as_masks(masks: tf.Tensor, images: tf.Tensor, what: str) -> tf.Tensor:
    """float32 `(batch, height, width, 1)`, 0 or 1."""
    masks = tf.convert_to_tensor(masks)
    if masks.shape.rank == images.shape.rank - 1:
        masks = masks[..., None]
    expected = images.shape[:-1].concatenate([1])
    if masks.shape.rank != images.shape.rank or not masks.shape.is_compatible_with(expected):
        raise MelanomaError(
            f"expected {what} masks of shape {expected}, as the images; found {masks.shape}"
        )
    values = tf.cast(masks != tf.zeros([], masks.dtype), tf.float32)
    return values if images.shape.rank == 4 else values[None]


def _as_dtype(values: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Values in [0, 1], as both methods give them, in the dtype of the input."""
    if dtype == tf.uint8:
        return tf.cast(values * 255.0 + 0.5, tf.uint8)
    return tf.cast(values, dtype)
