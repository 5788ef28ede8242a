"""Partial convolutions against a loop in NumPy, and what a user relies on."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.purification.inpainter.partial_convolution import PartialConv2D


def reference(features, mask, kernel, bias, strides, padding, border):
    """Liu et al. 2018, Equations 1 and 2, pixel by pixel, in float64."""
    side, _, channels, filters = kernel.shape
    mask = np.broadcast_to(mask, features.shape)
    batch, *size, _ = features.shape
    if padding == "same":
        new = [-(-length // strides) for length in size]
        more = [max((n - 1) * strides + side - length, 0) for n, length in zip(new, size)]
        around = [(0, 0), *((m // 2, m - m // 2) for m in more), (0, 0)]
        features = np.pad(features, around)
        mask = np.pad(mask, around, constant_values=float(border == "valid"))
    else:
        new = [(length - side) // strides + 1 for length in size]
    out, known = np.zeros((batch, *new, filters)), np.zeros((batch, *new, 1))
    for b, row, column in np.ndindex(batch, *new):
        rows, columns = (slice(at * strides, at * strides + side) for at in (row, column))
        window, seen = features[b, rows, columns], mask[b, rows, columns]
        if seen.sum() > 0:
            scale = side * side * channels / seen.sum()
            total = np.einsum("ijc,ijcf->f", window * seen, kernel)
            out[b, row, column] = total * scale + bias
            known[b, row, column] = 1
    return out, known


CASES = [
    (3, 1, "same", "hole", 1),
    (3, 2, "same", "hole", 4),
    (5, 2, "same", "valid", 1),
    (3, 1, "same", "valid", 4),
    (2, 3, "valid", "hole", 4),
    (3, 1, "valid", "hole", 1),
]


def example(mask_channels, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, 9, 8, 4))
    mask = (rng.random((2, 9, 8, mask_channels)) < 0.4).astype(np.float64)
    mask[0, 2:8, 1:7] = 0  # Windows that are all hole.
    return features, mask


def layer_for(kernel_size, strides, padding, border, seed=0, **options):
    layer = PartialConv2D(
        5, kernel_size, strides=strides, padding=padding, border=border, **options
    )
    layer.build(((None, None, None, 4), (None, None, None, 1)))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


@pytest.mark.parametrize(("kernel", "strides", "padding", "border", "channels"), CASES)
def test_forward_equals_a_loop_over_windows(kernel, strides, padding, border, channels):
    features, mask = example(channels)
    layer = layer_for(kernel, strides, padding, border)
    out, known = layer((tf.constant(features, tf.float32), tf.constant(mask, tf.float32)))
    weights = [weight.numpy().astype(np.float64) for weight in layer.weights]
    expected, expected_known = reference(features, mask, *weights, strides, padding, border)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(known, expected_known)
    if padding == "same" and kernel == 3 and border == "hole":
        assert 0 < known.numpy().mean() < 1


@pytest.mark.parametrize(("kernel", "strides", "padding", "border", "channels"), CASES)
def test_gradient_equals_finite_differences_of_the_loop(kernel, strides, padding, border, channels):
    features, mask = example(channels, seed=1)
    layer = layer_for(kernel, strides, padding, border, seed=1)
    weights = [weight.numpy().astype(np.float64) for weight in layer.weights]
    given, known = tf.constant(features, tf.float32), tf.constant(mask, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([given, known])
        out, _ = layer((given, known))
        direction = np.random.default_rng(2).normal(size=out.shape)
        loss = tf.reduce_sum(out * tf.constant(direction, tf.float32))
    variables = [given, *layer.trainable_variables, known]
    *gradients, of_mask = tape.gradient(loss, variables)
    assert of_mask is None  # A mask is no weight.

    # The layer is linear in each of them, so one step of any length gives the exact slope.
    def along(changes):
        moved = [value + change for value, change in zip([features, *weights], changes)]
        values = [
            (reference(x, mask, k, b, strides, padding, border)[0] * direction).sum()
            for x, k, b in ((features, *weights), moved)
        ]
        return values[1] - values[0]

    rng = np.random.default_rng(3)
    for which, gradient in enumerate(gradients):
        changes = [np.zeros_like(value) for value in (features, *weights)]
        changes[which] = rng.normal(size=changes[which].shape)
        slope = float((gradient.numpy().astype(np.float64) * changes[which]).sum())
        assert slope == pytest.approx(along(changes), rel=1e-3, abs=1e-3)


def test_a_known_image_is_convolved_plainly():
    features, _ = example(1)
    layer = layer_for(3, 2, "same", "valid")
    out, known = layer((tf.constant(features, tf.float32), tf.ones([2, 9, 8, 1])))
    plain = tf.nn.conv2d(tf.constant(features, tf.float32), layer.kernel, 2, "SAME") + layer.bias
    np.testing.assert_allclose(out, plain, rtol=1e-4, atol=1e-4)
    assert known.numpy().all()


def test_what_lies_in_a_hole_is_not_looked_at():
    features, mask = example(1)
    layer = layer_for(3, 1, "same", "hole")
    known = tf.constant(mask, tf.float32)
    other = np.where(mask > 0, features, 77.0)
    for one, two in zip(layer((tf.constant(features, tf.float32), known)),
                        layer((tf.constant(other, tf.float32), known))):  # fmt: skip
        np.testing.assert_array_equal(one, two)


def test_float16_counts_large_windows_exactly():
    """7 x 7 x 64 values: float16 would round such counts, and with them the scale."""
    layer = PartialConv2D(3, 7, dtype="mixed_float16", kernel_initializer="ones")
    features = tf.fill([1, 9, 9, 64], 1.0)
    mask = tf.tensor_scatter_nd_update(tf.ones([1, 9, 9, 1]), [[0, 4, 4, 0]], [0.0])
    out, known = layer((features, mask))
    assert out.dtype == tf.float16
    assert known.dtype == tf.float32
    np.testing.assert_allclose(out[0, 4, 4], 7 * 7 * 64, rtol=1e-3)
    np.testing.assert_allclose(out[0, 0, 0], 7 * 7 * 64, rtol=1e-3)


def test_saved_and_loaded_it_answers_the_same(tmp_path):
    features, mask = keras.Input((None, None, 4)), keras.Input((None, None, 1))
    made = PartialConv2D(5, 3, strides=2, border="valid", use_bias=False)((features, mask))
    model = keras.Model([features, mask], made)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    given = [tf.constant(value, tf.float32) for value in example(1)]
    for one, other in zip(model(given), loaded(given)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "reflect"}, "expected a padding out of same, valid; found reflect"),
        ({"border": "edge"}, "expected a border out of hole, valid; found edge"),
        ({"strides": 0}, "at least 1; found 4, 3 and 0"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(MelanomaError, match=message):
        PartialConv2D(4, 3, **options)


def test_a_mask_of_other_channels_is_refused():
    with pytest.raises(MelanomaError, match="a mask of 1 or 4 channels, as the features; found 3"):
        PartialConv2D(4, 3)((tf.zeros([1, 4, 4, 4]), tf.ones([1, 4, 4, 3])))
