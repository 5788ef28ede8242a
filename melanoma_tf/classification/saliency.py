"""VisualBackProp: the regions of an image that a convolutional network responds to.

Bojarski et al. 2016, "VisualBackProp: visualizing CNNs for autonomous driving", used in Bisla et
al. 2019, Section 3.2.1, Figures 2 and 8. One forward pass and no gradients: the feature maps of a
resolution are averaged; the deepest average is enlarged by a transposed convolution with a kernel
of ones and the stride of the layer that had reduced it, multiplied with the average that it meets
there, and so on up to the image. In a deep network, residual ones included, every resolution
counts once, with the features that are handed on to the next coarser one.

The map belongs to the features as a whole, not to one class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras

# From images to saliency and logits.
Explain = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class Step:
    """A layer that reduces the resolution, as its transposed convolution needs it.

    Attributes:
        layer: its name.
        kernel: rows and columns of the ones; never less than the stride, so that there are no
            holes: a 1x1 convolution of stride 2 (ResNet-50) stands for the 2x2 pixels that its
            output represents.
        strides: rows and columns.
        before: rows and columns of padding above and to the left of its input.
        finer: height and width of its input without padding.
        coarser: height and width of its output.
    """

    layer: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    before: tuple[int, int]
    finer: tuple[int, int]
    coarser: tuple[int, int]


def visual_backprop(model: keras.Model, *, even: bool = False) -> Explain:
    """The saliency of a classifier, as a graph op.

    Args:
        model: a classifier as `backbones.classifier.build_classifier` makes it.
        even: see `enlarge`; the published method is not.

    Returns:
        A function from RGB in [0, 255], `(batch, size, size, 3)`, to the saliency, float32
        `(batch, size, size)`, and the logits, float32 `(batch, classes)`, by one forward pass.
        A saliency map reaches from 0 to 1; where all of it is alike, as in a network whose
        features are all 0, it is 0.

    Raises:
        MelanomaError: the model is no such classifier.

    Example:
        >>> import tensorflow as tf
        >>> import melanoma_tf as mt
        >>> model = mt.build_classifier(backbone="small", num_classes=3, image_size_px=32)
        >>> saliency, logits = mt.visual_backprop(model)(tf.zeros([1, 32, 32, 3]))
        >>> tuple(saliency.shape), tuple(logits.shape)
        ((1, 32, 32), (1, 3))
    """
    network, head = _parts(model)
    steps, maps = reducing_steps(network)
    features = keras.Model(network.inputs, [*maps, network.output])

    def explain(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = features(images, training=False)
        found = found if isinstance(found, (list, tuple)) else [found]
        saliency = back_project([average(each) for each in found], steps, even=even)
        return saliency, tf.cast(head(found[-1], training=False), tf.float32)

    return explain


def average(features: tf.Tensor) -> tf.Tensor:
    """The mean of the positive parts over the channels.

    Activations of ReLU networks have no other parts; of others, such as swish, negative values
    count as absent, since a product of them would count as present.

    Args:
        features: floating point `(batch, height, width, channels)`.

    Returns:
        float32 `(batch, height, width, 1)`.
    """
    return tf.reduce_mean(tf.nn.relu(tf.cast(features, tf.float32)), axis=-1, keepdims=True)


def back_project(
    averages: Sequence[tf.Tensor], steps: Sequence[Step], *, even: bool = False
) -> tf.Tensor:
    """Multiply averaged maps from the deepest up to the image.

    Args:
        averages: float32 `(batch, height, width, 1)`, not negative, from the finest on; one more
            than `steps` where the image's own resolution has features, else as many.
        steps: from the finest on.
        even: see `enlarge`.

    Returns:
        float32 `(batch, height, width)` in [0, 1], of the first step's finer size.
    """
    remaining = list(averages)
    saliency = _scaled(remaining.pop())
    for step in reversed(steps):
        saliency = _scaled(enlarge(saliency, step, even=even))
        if remaining:
            saliency *= _scaled(remaining.pop())
    least, most = (of(saliency, [1, 2], keepdims=True) for of in (tf.reduce_min, tf.reduce_max))
    return tf.math.divide_no_nan(saliency - least, most - least)[..., 0]


def _scaled(maps: tf.Tensor) -> tf.Tensor:
    """Divided by the largest value, which the final scaling undoes: products stay in range."""
    return tf.math.divide_no_nan(maps, tf.reduce_max(maps, [1, 2], keepdims=True))


def enlarge(maps: tf.Tensor, step: Step, *, even: bool = False) -> tf.Tensor:
    """The transposed convolution of a step with ones: the adjoint of summing over its windows.

    Args:
        maps: float32 `(batch, *step.coarser, 1)`.
        step: the step to undo.
        even: divide by the number of windows over each pixel. Where the kernel is no multiple of
            the stride, that number changes from pixel to pixel and lays a mesh over the map.

    Returns:
        float32 `(batch, *step.finer, 1)`; pixels that the step never read are 0.
    """
    if even:
        windows = enlarge(tf.ones([1, *step.coarser, 1]), step)
        return tf.math.divide_no_nan(enlarge(maps, step), windows)
    whole = [
        (count - 1) * stride + kernel
        for count, stride, kernel in zip(step.coarser, step.strides, step.kernel)
    ]
    enlarged = tf.nn.conv2d_transpose(
        maps,
        tf.ones([*step.kernel, 1, 1]),
        [tf.shape(maps)[0], *whole, 1],
        step.strides,
        padding="VALID",
    )
    missing = [
        max(0, before + finer - length)
        for before, finer, length in zip(step.before, step.finer, whole)
    ]
    enlarged = tf.pad(enlarged, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])
    top, left = step.before
    height, width = step.finer
    return enlarged[:, top : top + height, left : left + width]


def _parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The backbone, and what comes after it."""
    for layer, following in zip(model.layers, model.layers[1:]):
        if isinstance(layer, keras.Model) and layer.output.shape.rank == 4:
            return layer, keras.Model(following.input, model.output)
    raise MelanomaError(f"expected a backbone in the classifier; {model.name} has none")


def reducing_steps(network: keras.Model) -> tuple[list[Step], list[tf.Tensor]]:
    """The layers that reduce the resolution, and the features that they read.

    Where several lead from one resolution to the next, as in a residual block with a shortcut,
    the one with the largest kernel counts.

    Args:
        network: a functional model from images of a fixed size to features.

    Returns:
        The steps from the finest on, and the Keras tensors that they read. The image itself is
        none of them: where the first step reads it, there is one tensor less.

    Raises:
        MelanomaError: the network reduces its input by other means than convolution and pooling.
    """
    largest: dict[tuple[int, int], tuple[Step, tf.Tensor]] = {}
    for layer in network.layers:
        if not (hasattr(layer, "kernel_size") or hasattr(layer, "pool_size")):
            continue
        source, padding = _without_padding(layer.input)
        step = _step(layer, _size(source), padding)
        if step.finer == step.coarser:
            continue
        found = largest.get(step.finer)
        if found is None or step.kernel > found[0].kernel:
            largest[step.finer] = step, source
    chosen = [largest[size] for size in sorted(largest, reverse=True)]
    steps, maps = [step for step, _ in chosen], [source for _, source in chosen]
    _require_chain(network, steps)
    if steps and not _has_features_of(network, steps[0].finer):
        maps = maps[1:]
    return steps, maps


def _without_padding(tensor: tf.Tensor) -> tuple[tf.Tensor, tuple[int, int]]:
    """The input of layers of zero padding, and their rows above and columns to the left."""
    top = left = 0
    while isinstance(tensor.node.layer, keras.layers.ZeroPadding2D):
        (above, _), (leftmost, _) = tensor.node.layer.padding
        top, left = top + above, left + leftmost
        tensor = tensor.node.layer.input
    return tensor, (top, left)


def _step(layer: keras.layers.Layer, finer: tuple[int, int], padding: tuple[int, int]) -> Step:
    window = getattr(layer, "kernel_size", None) or layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    kernel = [(size - 1) * rate + 1 for size, rate in zip(window, dilation)]
    before = list(padding)
    if layer.padding == "same":
        for axis, (size, stride) in enumerate(zip(kernel, layer.strides)):
            length = finer[axis]
            needed = (-(-length // stride) - 1) * stride + size - length
            before[axis] += max(0, needed) // 2
    return Step(
        layer.name,
        (max(kernel[0], layer.strides[0]), max(kernel[1], layer.strides[1])),
        tuple(layer.strides),
        (before[0], before[1]),
        finer,
        _size(layer.output),
    )


def _size(tensor: tf.Tensor) -> tuple[int, int]:
    return int(tensor.shape[1]), int(tensor.shape[2])


def _require_chain(network: keras.Model, steps: Sequence[Step]) -> None:
    sizes = [_size(network.input), *(step.coarser for step in steps)]
    expected = [*(step.finer for step in steps), _size(network.output)]
    for found, wanted in zip(sizes, expected):
        if found != wanted:
            raise MelanomaError(
                f"expected {network.name} to reduce its input by convolution and pooling; "
                f"nothing leads from {found[0]}x{found[1]} to {wanted[0]}x{wanted[1]}"
            )


def _has_features_of(network: keras.Model, size: tuple[int, int]) -> bool:
    """Tell whether a convolution gives features of this size."""
    return any(
        hasattr(layer, "kernel_size") and _size(layer.output) == size for layer in network.layers
    )
