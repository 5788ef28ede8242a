"""VisualBackProp against loops in NumPy, and its enlargement against the gradient of a sum."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.backbones.classifier import build_classifier
from melanoma_tf.backbones.networks import BACKBONES
from melanoma_tf.classification.saliency import (
    Step,
    average,
    back_project,
    enlarge,
    reducing_steps,
    visual_backprop,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras


def convolved(features, kernel, stride, before, length):
    """Plain loops; `before` zeros above and to the left, and as many as needed below."""
    size = kernel.shape[0]
    padded = np.zeros((length * stride + size, length * stride + size, features.shape[-1]))
    rows, columns = features.shape[:2]
    padded[before : before + rows, before : before + columns] = features
    result = np.zeros((length, length, kernel.shape[-1]))
    for row in range(length):
        for column in range(length):
            top, left = row * stride, column * stride
            window = padded[top : top + size, left : left + size]
            result[row, column] = np.tensordot(window, kernel, 3)
    return result


def spread(small, size, stride, before, length):
    """The transposed convolution with ones, as a loop over what each pixel spreads to."""
    result = np.zeros((length, length))
    for row in range(small.shape[0]):
        for column in range(small.shape[1]):
            for down in range(size):
                for right in range(size):
                    y, x = row * stride + down - before, column * stride + right - before
                    if 0 <= y < length and 0 <= x < length:
                        result[y, x] += small[row, column]
    return result


def tiny_classifier():
    """12 -> 12 -> 6 (a residual block with a 1x1 shortcut) -> 2 (a padded 4x4 of stride 3)."""
    keras.utils.set_random_seed(3)
    images = keras.Input((12, 12, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    branch = keras.layers.Conv2D(5, 3, 2, padding="same", use_bias=False)(first)
    shortcut = keras.layers.Conv2D(5, 1, 2, padding="same", use_bias=False)(first)
    second = keras.layers.ReLU()(keras.layers.Add()([branch, shortcut]))
    padded = keras.layers.ZeroPadding2D(1)(second)
    third = keras.layers.Conv2D(6, 4, 3, activation="relu", use_bias=False)(padded)
    backbone = keras.Model(images, third, name="tiny")
    outer = keras.Input((12, 12, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(backbone(outer))
    return keras.Model(outer, keras.layers.Dense(3)(pooled))


def test_it_is_what_loops_in_numpy_compute():
    model = tiny_classifier()
    images = np.random.default_rng(0).uniform(0, 1, (2, 12, 12, 3)).astype(np.float32)
    saliency, logits = tf.function(visual_backprop(model))(images)
    np.testing.assert_allclose(logits, model(images), rtol=1e-5, atol=1e-6)
    first, branch, shortcut, third = (
        layer.get_weights()[0]
        for layer in model.layers[1].layers
        if isinstance(layer, keras.layers.Conv2D)
    )
    if branch.shape[0] == 1:
        branch, shortcut = shortcut, branch
    for image, found in zip(images, saliency):
        one = np.maximum(convolved(image, first, 1, 1, 12), 0)
        # An even side with stride 2 is padded below and to the right only.
        two = np.maximum(convolved(one, branch, 2, 0, 6) + convolved(one, shortcut, 2, 0, 6), 0)
        three = np.maximum(convolved(two, third, 3, 1, 2), 0)
        mask = spread(three.mean(-1), 4, 3, 1, 6) * two.mean(-1)
        mask = spread(mask, 3, 2, 0, 12) * one.mean(-1)
        expected = (mask - mask.min()) / (mask.max() - mask.min())
        assert np.ptp(mask) > 0
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "size_px"), [*((name, 75) for name in BACKBONES), ("small", 64)]
)
def test_every_backbone_is_undone_resolution_by_resolution(backbone, size_px):
    """The enlargement is the gradient of sums over the windows of the layer that it undoes."""
    network = BACKBONES[backbone](size_px, None)
    steps, maps = reducing_steps(network)
    assert [step.strides for step in steps] == [(2, 2)] * 5
    assert [tuple(each.shape[1:3]) for each in maps] == [step.finer for step in steps[1:]]
    assert steps[0].finer == (size_px, size_px)
    rng = np.random.default_rng(0)
    for step in steps:
        layer = network.get_layer(step.layer)
        small = rng.uniform(size=(1, *step.coarser, 1)).astype(np.float32)
        raised = enlarge(small, step)
        assert raised.shape == (1, *step.finer, 1)
        assert np.all(raised > 0), "a hole would hide what is there"
        padding = layer.padding
        window = getattr(layer, "kernel_size", None) or layer.pool_size
        if step.kernel != tuple(window):
            assert window == (1, 1)
            continue
        fine = tf.Variable(rng.uniform(size=(1, *step.finer, 1)).astype(np.float32))
        with tf.GradientTape() as tape:
            padded = fine
            source = layer.input.node.layer
            if isinstance(source, keras.layers.ZeroPadding2D):
                padded = source(fine)
            ones = tf.ones([*step.kernel, 1, 1])
            sums = tf.nn.conv2d(padded, ones, step.strides, padding.upper())
            total = tf.reduce_sum(sums * small)
        np.testing.assert_allclose(raised, tape.gradient(total, fine), rtol=1e-5)


def test_the_first_features_of_an_image_are_not_the_image():
    """The image's own brightness must not decide what is salient."""
    model = build_classifier(backbone="small", num_classes=3, image_size_px=32)
    explain = visual_backprop(model)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    saliency, logits = explain(images)
    assert saliency.shape == (2, 32, 32)
    assert saliency.dtype == tf.float32
    np.testing.assert_allclose(np.min(saliency, axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.max(saliency, axis=(1, 2)), 1, atol=1e-6)
    np.testing.assert_allclose(logits, model(images, training=False), rtol=1e-3, atol=1e-3)
    # An image's map does not depend on the others of its batch.
    np.testing.assert_allclose(explain(images[1:])[0][0], saliency[1], atol=1e-4)


def test_it_finds_the_only_thing_there_is():
    """A network that sees edges looks at the square, wherever it stands."""
    images = np.zeros((2, 32, 32, 3), np.float32)
    images[0, 4:8, 4:8] = images[1, 20:24, 16:20] = 255
    inner = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(2, 3, 2, padding="same", activation="relu", use_bias=False)
    pooled = keras.layers.MaxPooling2D(2)(features(inner))
    backbone = keras.Model(inner, pooled, name="edges")
    features.set_weights([np.ones((3, 3, 3, 2))])
    outer = keras.Input((32, 32, 3))
    vector = keras.layers.GlobalAveragePooling2D()(backbone(outer))
    saliency, _ = visual_backprop(keras.Model(outer, keras.layers.Dense(2)(vector)))(images)
    for found, (row, column) in zip(saliency.numpy(), [(4, 4), (20, 16)]):
        assert found[row : row + 4, column : column + 4].min() > 0
        around = found[max(0, row - 4) : row + 8, max(0, column - 4) : column + 8].sum()
        assert around == pytest.approx(found.sum())


def test_even_maps_have_no_mesh():
    """A kernel of 3 with stride 2 reads every other pixel twice."""
    step = Step("none", (3, 3), (2, 2), (1, 1), (7, 7), (4, 4))
    ones = tf.ones([1, 4, 4, 1])
    line = np.array([1, 2, 1, 2, 1, 2, 1])
    np.testing.assert_array_equal(enlarge(ones, step)[0, ..., 0], np.outer(line, line))
    np.testing.assert_allclose(enlarge(ones, step, even=True), np.ones((1, 7, 7, 1)))


def test_negative_features_count_as_absent_and_nothing_at_all_as_zero():
    features = tf.constant([[[[-3.0, 1.0]]]], tf.float16)
    np.testing.assert_array_equal(average(features), [[[[0.5]]]])
    step = Step("none", (2, 2), (2, 2), (0, 0), (4, 4), (2, 2))
    np.testing.assert_array_equal(
        back_project([tf.zeros([1, 2, 2, 1])], [step]), np.zeros((1, 4, 4))
    )


def test_tiny_and_huge_features_do_not_leave_the_range_of_float32():
    step = Step("none", (2, 2), (2, 2), (0, 0), (4, 4), (2, 2))
    deep = tf.constant([[1.0, 2.0], [3.0, 4.0]])[tf.newaxis, ..., tf.newaxis]
    fine = tf.ones([1, 4, 4, 1])
    expected = back_project([fine, deep], [step])
    for scale in (1e-30, 1e30):
        found = back_project([fine * scale, deep * scale], [step])
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_other_models_are_refused():
    flat = keras.Sequential([keras.layers.Dense(2, input_shape=(3,)), keras.layers.Dense(2)])
    with pytest.raises(MelanomaError, match="expected a backbone"):
        visual_backprop(flat)
    images = keras.Input((8, 8, 3))
    cropped = keras.layers.Cropping2D(1)(keras.layers.Conv2D(2, 3, 2, padding="same")(images))
    with pytest.raises(MelanomaError, match="nothing leads from 4x4 to 2x2"):
        reducing_steps(keras.Model(images, cropped))
