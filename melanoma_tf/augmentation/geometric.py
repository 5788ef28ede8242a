"""Geometric augmentation of an image and its lesion mask: flips, rotation, scale, shift, warp.

Graph ops for training; every draw is a pure function of a seed. `augmentation.photometric` changes
colours and textures. `augmentation.classifier_augmentation` has its own distribution of parameters
and uses the transforms of this module.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
import tensorflow as tf

from melanoma_tf.augmentation.settings import GeometricAugmentation
from melanoma_tf.core.addons import dense_image_warp
from melanoma_tf.core.random_streams import Stream

_ELASTIC_GRID = 5
_BLUR_GRID = 8
# Below this scale the image has too few pixels to show a lesion.
_LEAST_SCALE = 0.15


def augment(
    image: tf.Tensor,
    mask: tf.Tensor,
    size_px: int,
    settings: GeometricAugmentation,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Cut a randomly placed, turned and scaled square out of an image, and warp it.

    The whole image, squeezed to a square, fills the result at scale 1. Where the result reaches
    beyond the image, its border's colours and texture are continued. A lesion that touches the
    border would end there without a visible reason, so such images are never made smaller.

    Args:
        image: float32 `(height, width, 3)`.
        mask: float32 `(height, width, 1)`, 0 skin, 1 lesion.
        size_px: side of the result.
        settings: the ranges.
        seed: int `(2,)`; the same seed moves the same way.

    Returns:
        float32 `(size_px, size_px, 4)`: the moved image, and the mask, which stays 0 or 1.
    """
    transform = _drawn_transform(image, mask, size_px, settings, seed)

    def sampled(pixels: tf.Tensor, interpolation: str, fill: str) -> tf.Tensor:
        return resample(pixels, transform, size_px, interpolation=interpolation, fill=fill)

    # Beyond the border: its blurred colours drawn out, and the texture of the skin (not of the
    # lesion, of which there is one) mirrored.
    coarse = tf.image.resize(tf.concat([image, mask], -1), [_BLUR_GRID] * 2, method="area")
    blurred = tf.image.resize(coarse, tf.shape(image)[:2])
    blurred, near_lesion = blurred[..., :3], tf.minimum(4.0 * blurred[..., 3:], 1.0)
    texture = (image - blurred) * (1.0 - near_lesion)
    beyond = sampled(blurred, "BILINEAR", "NEAREST") + sampled(texture, "BILINEAR", "REFLECT")
    within = sampled(_feathered(image), "BILINEAR", "CONSTANT")
    pixels = within * sampled(image, "BILINEAR", "NEAREST") + (1.0 - within) * beyond
    lesion = sampled(mask, "NEAREST", "CONSTANT")
    moved = tf.concat([pixels, lesion], -1)
    if settings.elastic:
        flow_seed = Stream("geometric.elastic_flow")(seed)
        warped = warp(moved, elastic_flow(size_px, settings.elastic, flow_seed))
        moved = tf.concat([warped[..., :3], tf.round(warped[..., 3:])], -1)
    return moved


def projective_transform(
    *, angle: tf.Tensor, flips: tf.Tensor, step_px: tf.Tensor, centre: tf.Tensor, size_px: int
) -> tf.Tensor:
    """Return the transform from a square's pixels to those of the image it is cut from.

    The image is flipped, then turned, then scaled.

    Args:
        angle: radians, counter-clockwise.
        flips: bool `(2,)`: top to bottom, left to right.
        step_px: float32 `(2,)`, pixels of the image to one of the square, along rows and columns;
            2 shows the image at half its size.
        centre: float32 `(2,)`, row and column of the image that the square's middle shows.
        size_px: side of the square.

    Returns:
        float32 `(8,)`, as `resample` takes it.
    """
    steps = tf.where(flips, -step_px, step_px)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    a0, a1 = steps[1] * cosine, -steps[1] * sine
    b0, b1 = steps[0] * sine, steps[0] * cosine
    middle = (size_px - 1) / 2.0
    a2 = centre[1] - (a0 + a1) * middle
    b2 = centre[0] - (b0 + b1) * middle
    zero = tf.zeros([])
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero])


def resample(
    image: tf.Tensor,
    transform: tf.Tensor,
    size_px: int,
    *,
    interpolation: str = "BILINEAR",
    fill: str = "REFLECT",
) -> tf.Tensor:
    """Cut a square out of an image by a projective transform.

    Args:
        image: float32 `(height, width, channels)`.
        transform: see `projective_transform`.
        size_px: side of the square.
        interpolation: `BILINEAR` or `NEAREST`.
        fill: what lies beyond the image: `REFLECT` (its mirror image), `NEAREST` (its border drawn
            out) or `CONSTANT` (0).

    Returns:
        float32 `(size_px, size_px, channels)`.
    """
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=transform[tf.newaxis],
        output_shape=[size_px, size_px],
        interpolation=interpolation,
        fill_mode=fill,
        fill_value=0.0,
    )[0]
    return tf.ensure_shape(moved, [size_px, size_px, image.shape[-1]])


def coarse_flow(size_px: int, deviation: float, seed: tf.Tensor) -> tf.Tensor:
    """Random displacements on a coarse grid, see `elastic_flow`; float32 `(5, 5, 2)`, in pixels."""
    return tf.random.stateless_normal([_ELASTIC_GRID, _ELASTIC_GRID, 2], seed) * deviation * size_px


def elastic_flow(size_px: int, deviation: float, seed: tf.Tensor) -> tf.Tensor:
    """A smooth random displacement of every pixel.

    Args:
        size_px: side of the square.
        deviation: its standard deviation, as a fraction of the side.
        seed: int `(2,)`, of a random stream; the same seed draws the same.

    Returns:
        float32 `(size_px, size_px, 2)`, in pixels along rows and columns.
    """
    coarse = coarse_flow(size_px, deviation, seed)
    return tf.image.resize(coarse, [size_px, size_px], method="bicubic")


def resample_warped(
    image: tf.Tensor, transform: tf.Tensor, flow: tf.Tensor | None, size_px: int
) -> tf.Tensor:
    """Cut a square out of an image by a transform and a displacement, in one interpolation.

    The same as `resample` of an affine transform and then `warp`, but pixels are interpolated once,
    and none is drawn out from the square's border. Beyond the image its mirror image goes on. A
    call of OpenCV, which takes a fourth of the time of TensorFlow's operations and rounds places to
    1/32 of a pixel; for input pipelines, not for graphs that are exported.

    Args:
        image: uint8 or float32 `(height, width, channels)`.
        transform: affine, see `projective_transform`.
        flow: displacements on a coarse grid, see `coarse_flow`; None for none.
        size_px: side of the square.

    Returns:
        `(size_px, size_px, channels)` of the image's dtype.
    """
    image = tf.convert_to_tensor(image)
    flow = tf.zeros([_ELASTIC_GRID, _ELASTIC_GRID, 2]) if flow is None else flow
    remap = functools.partial(_remap, enlarge=_enlargement(size_px))
    moved = tf.numpy_function(remap, [image, transform, flow], image.dtype, stateful=False)
    return tf.ensure_shape(moved, [size_px, size_px, image.shape[-1]])


def _remap(
    image: np.ndarray, transform: np.ndarray, flow: np.ndarray, *, enlarge: np.ndarray
) -> np.ndarray:
    """Evaluate `resample_warped`; `enlarge` is the matrix by which the flow is enlarged."""
    size_px = len(enlarge)
    places = np.arange(size_px, dtype=np.float32)
    # Displacement, first coordinate of a line, and steps along it: one product of matrices.
    of_columns = np.vstack([enlarge.T, np.ones_like(places), places])

    def source(across: np.float32, down: np.float32, start: np.float32) -> np.ndarray:
        # The displacement is turned and scaled on the coarse grid, where that costs nothing.
        displaced = enlarge @ -(across * flow[..., 1] + down * flow[..., 0])
        lines = [displaced.T, down * places + start, np.full_like(places, across)]
        return np.vstack(lines).T @ of_columns

    columns, rows = source(*transform[:3]), source(*transform[3:6])
    moved = cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return moved.reshape(size_px, size_px, -1)


@functools.cache
def _enlargement(size_px: int) -> np.ndarray:
    """Make the matrix `(size_px, 5)` by which `elastic_flow` enlarges rows and columns."""
    with tf.init_scope():
        identity = tf.eye(_ELASTIC_GRID)[..., tf.newaxis]
        enlarged = tf.image.resize(identity, [size_px, _ELASTIC_GRID], method="bicubic")
        return enlarged[..., 0].numpy()


def warp(image: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Displace an image's pixels: the result at `p` is the image at `p - flow[p]`, bilinearly.

    Args:
        image: float32 `(size, size, channels)`; beyond it its border is drawn out.
        flow: float32 `(size, size, 2)`, in pixels along rows and columns.

    Returns:
        float32 of the image's shape.
    """
    return tf.ensure_shape(dense_image_warp(image[tf.newaxis], flow[tf.newaxis])[0], image.shape)


def _feathered(image: tf.Tensor) -> tf.Tensor:
    """1 in the image, falling to 0 at its border within 4 % of its sides; `(height, width, 1)`."""
    shape = tf.shape(image)

    def ramp(side: tf.Tensor) -> tf.Tensor:
        place = tf.linspace(0.0, 1.0, side)
        return tf.clip_by_value(tf.minimum(place, 1.0 - place) / 0.04, 0.0, 1.0)

    return (ramp(shape[0])[:, tf.newaxis] * ramp(shape[1]))[..., tf.newaxis]


def _drawn_transform(
    image: tf.Tensor,
    mask: tf.Tensor,
    size_px: int,
    settings: GeometricAugmentation,
    seed: tf.Tensor,
) -> tf.Tensor:
    """From the result's pixels to the image's: 8 numbers, as the projective transform takes."""
    drawn = Stream("geometric.transform").uniform(seed, [6], -1.0, 1.0)
    angle = drawn[0] * (settings.rotation_degrees * math.pi / 180.0)
    low, high = tf.unstack(tf.math.log(_scale_range(mask, settings)))
    zoom = tf.exp(low + (high - low) * (drawn[1] + 1.0) / 2.0)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    # Columns were drawn before rows.
    flips = tf.reverse(drawn[4:], [0]) < 0.0 if settings.flips else tf.zeros([2], tf.bool)
    # A fraction of the result's side, at every scale.
    shift = drawn[2:4] * settings.shift * sides / zoom
    steps = sides / (size_px * zoom)
    if settings.aspect > 1.0:
        widest = math.log(settings.aspect)
        stretch = Stream("geometric.aspect").uniform(seed, [], -widest, widest)
        # Only ever larger: a lesion that touches the border must not end there.
        steps *= tf.exp(tf.minimum(tf.stack([stretch, -stretch]), 0.0))
    return projective_transform(
        angle=angle,
        flips=flips,
        step_px=steps,
        centre=(sides - 1.0) / 2.0 + shift,
        size_px=size_px,
    )


def _scale_range(mask: tf.Tensor, settings: GeometricAugmentation) -> tf.Tensor:
    """Smallest and largest scale, `(2,)`."""
    diameter = tf.sqrt(tf.maximum(tf.reduce_mean(mask), 1e-4))
    for_lesion = tf.maximum(settings.smallest_lesion / diameter, _LEAST_SCALE)
    smallest = tf.minimum(settings.smallest_scale, for_lesion)
    smallest = tf.where(_touches_border(mask), 1.0, smallest)
    return tf.stack([smallest, tf.maximum(smallest, settings.largest_scale)])


def _touches_border(mask: tf.Tensor) -> tf.Tensor:
    edges = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
    return tf.reduce_any([tf.reduce_any(edge > 0.5) for edge in edges])
