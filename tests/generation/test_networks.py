"""The networks of Table 2 and Table 5, row by row, and their parameters worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.generation.coupled_dcgan import (
    build_coupled_discriminator,
    build_coupled_generator,
)
from melanoma_tf.generation.dcgan import build_discriminator, build_generator
from melanoma_tf.generation.layers import MinibatchDiscrimination, SpectralNormalization
from melanoma_tf.generation.settings import DiscriminatorSettings

PLAIN = DiscriminatorSettings()

GENERATOR = [(4, 256), (8, 128), (16, 64), (32, 32), (64, 16), (128, 8), (256, 3)]
DISCRIMINATOR = [(128, 16), (64, 32), (32, 64), (16, 128), (8, 256), (4, 512), (1, 1)]


def rows(model):
    """Size and channels of what every convolution gives."""
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    return [(one.output.shape[1], one.output.shape[3]) for one in model.layers
            if isinstance(one, kinds)]  # fmt: skip


def parameters(channels, *, normalized):
    """Of 4x4 convolutions between these channels: kernels, and biases or two per normalised."""
    return sum(
        16 * before * after + (2 * after if norm else after)
        for before, after, norm in zip(channels, channels[1:], normalized)
    )


def trainable(model):
    return sum(int(np.prod(one.shape)) for one in model.trainable_variables)


def test_table_2_is_followed_row_by_row():
    generator, discriminator = build_generator(256, 10), build_discriminator(256, PLAIN)
    assert rows(generator) == GENERATOR
    assert rows(discriminator) == DISCRIMINATOR
    widths = [10, *(width for _, width in GENERATOR)]
    assert trainable(generator) == parameters(widths, normalized=[True] * 6 + [False])
    widths = [3, *(width for _, width in DISCRIMINATOR)]
    assert trainable(discriminator) == parameters(widths, normalized=[False] + [True] * 5 + [False])


@pytest.mark.parametrize(("size", "dropped"), [(64, 2), (128, 1)])
def test_smaller_images_drop_the_levels_of_high_resolution(size, dropped):
    generator = GENERATOR[: -1 - dropped] + [(size, 3)]
    assert rows(build_generator(size, 10)) == generator
    assert rows(build_discriminator(size, PLAIN)) == DISCRIMINATOR[dropped:]


def test_initial_weights_are_those_of_the_dcgan():
    kernels = [one for one in build_generator(64, 10).layers if hasattr(one, "kernel")]
    values = np.concatenate([one.kernel.numpy().ravel() for one in kernels])
    assert abs(values.mean()) < 1e-3
    assert values.std() == pytest.approx(0.02, rel=0.02)


def test_images_lie_within_one_and_depend_on_the_latent_vector_alone():
    generator = build_generator(64, 10)
    latents = tf.random.stateless_normal([3, 10], [0, 1])
    images = generator(latents, training=False)
    assert images.shape == (3, 64, 64, 3)
    assert np.abs(images).max() <= 1.0
    np.testing.assert_allclose(generator(latents[1:2], training=False)[0], images[1], atol=1e-6)


@pytest.mark.parametrize("classes", [1, 7])
def test_table_5_shares_four_layers_and_has_three_of_each_class(classes):
    generator = build_coupled_generator(classes, 256, 100)
    own = 16 * (32 * 16 + 16 * 8 + 8 * 3) + 2 * (16 + 8) + 3
    shared = 16 * (100 * 256 + 256 * 128 + 128 * 64 + 64 * 32) + 2 * (256 + 128 + 64 + 32)
    assert trainable(generator) == shared + classes * own
    assert rows(generator)[:4] == GENERATOR[:4]
    assert sorted(rows(generator)[4:]) == sorted(GENERATOR[4:] * classes)
    discriminator = build_coupled_discriminator(classes, 256, PLAIN)
    own = 16 * (3 * 16 + 16 * 32 + 32 * 64) + 16 + 2 * (32 + 64)
    shared = 16 * (64 * 128 + 128 * 256 + 256 * 512 + 512) + 2 * (128 + 256 + 512) + 1
    assert trainable(discriminator) == shared + classes * own
    assert rows(discriminator)[-4:] == DISCRIMINATOR[-4:]
    logits, _ = discriminator(generator(tf.zeros([2, 100])))
    assert logits.shape == (2, classes)


@pytest.mark.parametrize("size", [64, 128])
def test_small_coupled_networks_keep_the_three_layers_of_each_class(size):
    generator = build_coupled_generator(2, size, 5)
    names = [one.name for one in generator.layers if isinstance(one, keras.layers.Conv2DTranspose)]
    assert sum(name.startswith("class0") for name in names) == 3
    assert generator(tf.zeros([1, 5])).shape == (1, 2, size, size, 3)


def test_a_logit_belongs_to_the_image_in_its_place():
    discriminator = build_coupled_discriminator(2, 64, PLAIN)
    images = tf.random.stateless_uniform([3, 2, 64, 64, 3], [0, 1], -1, 1)
    before = discriminator(images, training=False)[0].numpy()
    changed = images.numpy()
    changed[2, 0] = 0.0
    after = discriminator(changed, training=False)[0].numpy()
    assert np.argwhere(~np.isclose(before, after)).tolist() == [[2, 0]]


def test_spectral_normalization_bounds_every_kernel():
    model = build_discriminator(64, DiscriminatorSettings(spectral_normalization=True))
    assert not any(isinstance(one, keras.layers.BatchNormalization) for one in model.layers)
    wrapped = [one for one in model.layers if isinstance(one, SpectralNormalization)]
    assert len(wrapped) == 5
    first = wrapped[0]
    images = tf.random.stateless_uniform([1, 6, 6, 3], [0, 1])
    for _ in range(400):
        first(images, training=True)
    kernel = first.layer.kernel.numpy()
    largest = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
    first.bias.assign_add(tf.ones_like(first.bias))
    expected = tf.nn.conv2d(images, kernel / largest, 2, "VALID") + 1.0
    np.testing.assert_allclose(first(images), expected, rtol=1e-3, atol=1e-4)


def test_minibatch_discrimination_is_the_sum_over_the_others():
    layer = MinibatchDiscrimination(2, 3)
    rows_ = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    found = layer(rows_).numpy()
    projected = (rows_ @ layer.projection.numpy()).reshape(4, 2, 3)
    for i in range(4):
        for k in range(2):
            others = [np.exp(-np.abs(projected[i, k] - projected[j, k]).sum())
                      for j in range(4) if j != i]  # fmt: skip
            assert found[i, k] == pytest.approx(sum(others), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_generator(100, 10), "64, 128, 256 px; found 100"),
        (lambda: build_generator(64, 0), "at least 1; found 0"),
        (lambda: build_coupled_generator(0, 64, 10), "at least 1 class; found 0"),
    ],
)
def test_impossible_networks_are_refused(call, message):
    with pytest.raises(MelanomaError, match=message):
        call()
