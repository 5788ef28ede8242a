"""Table 1 to the letter; the seven channels against OpenCV and scikit formulas; bad settings."""

import colorsys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.segmentation.network import (
    SevenChannels,
    build_segmenter,
    shades_of_grey,
    skin_white_balance,
)

# Bisla et al. 2019, Table 1, without the pooling rows: kind, channels, side, dilation.
TABLE_1 = [
    ("Conv", 64, 378, 1), ("Conv", 64, 376, 1),
    ("Conv", 128, 186, 1), ("Conv", 128, 184, 1),
    ("Conv", 256, 90, 1), ("Conv", 256, 88, 1),
    ("Conv", 512, 40, 2), ("Conv", 512, 36, 2),
    ("Conv", 1024, 28, 4), ("Conv", 1024, 20, 4),
    ("Trans-Conv", 1024, 28, 4), ("Trans-Conv", 512, 36, 4),
    ("Trans-Conv", 512, 40, 2), ("Trans-Conv", 512, 44, 2),
    ("Conv", 256, 88, 1), ("Trans-Conv", 256, 90, 1), ("Trans-Conv", 256, 92, 1),
    ("Conv", 128, 184, 1), ("Trans-Conv", 128, 186, 1), ("Trans-Conv", 128, 188, 1),
    ("Conv", 64, 376, 1), ("Trans-Conv", 64, 378, 1), ("Trans-Conv", 64, 380, 1),
    ("Conv", 1, 380, 1),
]  # fmt: skip
POOLED = [188, 92, 44]


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


@pytest.fixture(scope="module")
def published():
    """The network of Table 1 in its own size."""
    return build_segmenter()


def test_every_row_of_table_1(published):
    rows = [
        (
            "Trans-Conv" if isinstance(layer, keras.layers.Conv2DTranspose) else "Conv",
            layer.output_shape[-1],
            layer.output_shape[1],
            layer.dilation_rate[0],
        )
        for layer in convolutions(published)
    ]
    assert rows == TABLE_1
    assert [layer.kernel_size for layer in convolutions(published)] == [(3, 3)] * 23 + [(1, 1)]
    assert all(layer.strides == (1, 1) for layer in convolutions(published))
    pools = [layer for layer in published.layers if isinstance(layer, keras.layers.MaxPool2D)]
    assert [layer.output_shape[1] for layer in pools] == POOLED
    assert published.output_shape == (None, 380, 380, 1)


def test_the_parameters_of_table_1_with_the_skips_of_figure_4(published):
    channels, expected = 7, 0
    for index, (_, filters, _, _) in enumerate(TABLE_1):
        # After each Up-Conv the skip of the same size and width is beside its output.
        doubled = 2 if index in (15, 18, 21) else 1
        taps = 1 if index == len(TABLE_1) - 1 else 9
        expected += taps * channels * doubled * filters + filters
        channels = filters
    assert published.count_params() == expected


def test_transposed_convolutions_are_full_convolutions():
    model = build_segmenter(228, 2)
    layer = model.get_layer("bottom_trans1")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 3, 4, layer.input_shape[-1])).astype(np.float32)
    kernel = layer.kernel.numpy()  # (3, 3, outputs, inputs)
    # Every input pixel adds its value times the kernel to the output, 4 pixels between the taps.
    expected = np.zeros((1, 3 + 8, 4 + 8, layer.filters), np.float64)
    for row, column, i, j in np.ndindex(3, 4, 3, 3):
        expected[0, row + 4 * i, column + 4 * j] += kernel[i, j] @ features[0, row, column]
    np.testing.assert_allclose(layer(features), expected, atol=1e-5)


def test_a_train_step_reaches_every_weight():
    model = build_segmenter(228, 2, normalization="batch", dropout=0.1)
    images = tf.random.stateless_uniform((2, 228, 228, 3), (1, 2), 0, 255)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.math.log(model(images, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.abs(gradient.numpy()).max() > 0 for gradient in gradients)


def test_instance_normalization_leaves_an_image_its_own_statistics():
    """Per image and feature map: mean 0 and deviation 1, whatever else is in the batch."""
    model = build_segmenter(64, 2, padding="same", normalization="instance")
    layer = model.get_layer("down1_conv1_normalized")
    inner = keras.Model(model.input, layer.output)
    images = tf.random.stateless_uniform((3, 64, 64, 3), (5, 6), 0, 255)
    maps = inner(images).numpy()
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose(maps.std(axis=(1, 2)), 1.0, atol=0.02)
    np.testing.assert_allclose(inner(images[1:2])[0], maps[1], atol=1e-4)


def test_saved_and_loaded_it_answers_the_same(tmp_path):
    options = {"skin_white_balance": True, "chroma": True}
    model = build_segmenter(64, 2, padding="same", normalization="batch", **options)
    images = tf.random.stateless_uniform((1, 64, 64, 3), (3, 4), 0, 255)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "nearest"), [(381, "380 and 388"), (227, "228"), (0, "228"), (229, "228 and 236")]
)
def test_other_sizes_are_refused_with_the_nearest_valid_ones(size, nearest):
    with pytest.raises(MelanomaError, match=f"found {size}, nearest: {nearest}$"):
        build_segmenter(size, 2)


@pytest.mark.parametrize(
    "options", [{"base_filters": 0}, {"padding": "full"}, {"normalization": "layer"}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(MelanomaError, match=r"expected .*; found "):
        build_segmenter(**{"input_size": 228, "base_filters": 2, **options})


def test_padded_it_keeps_the_size_and_has_the_same_weights():
    padded, unpadded = build_segmenter(72, 2, padding="same"), build_segmenter(228, 2)
    assert padded.output_shape == (None, 72, 72, 1)
    assert [w.shape for w in padded.weights] == [w.shape for w in unpadded.weights]
    with pytest.raises(MelanomaError, match="nearest: 72 and 80"):
        build_segmenter(74, 2, padding="same")


def test_the_seven_channels_are_rgb_hsv_and_lightness():
    rng = np.random.default_rng(1)
    rgb = np.concatenate([rng.integers(0, 256, (62, 3)), [[0, 0, 0], [255, 255, 255]]])
    image = rgb.reshape(1, 8, 8, 3).astype(np.uint8)
    channels = SevenChannels()(image).numpy().reshape(-1, 7)
    np.testing.assert_allclose(channels[:, :3], rgb / 127.5 - 1, atol=1e-6)
    hsv = np.array([colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in rgb])
    np.testing.assert_allclose(channels[:, 3:6], 2 * hsv - 1, atol=1e-5)
    lab = cv2.cvtColor(image[0].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(channels[:, 6], 2 * lab[..., 0].ravel() / 100 - 1, atol=5e-3)


def test_colour_constancy_undoes_a_coloured_light():
    rng = np.random.default_rng(2)
    scene = rng.uniform(0.1, 0.5, (1, 16, 16, 3)).astype(np.float32)
    lit = scene * np.array([1.5, 0.8, 0.6], np.float32)
    np.testing.assert_allclose(shades_of_grey(lit), shades_of_grey(scene), rtol=1e-4)
    norm = np.mean(shades_of_grey(scene).numpy().astype(np.float64) ** 6, axis=(1, 2)) ** (1 / 6)
    np.testing.assert_allclose(norm, 0.75, rtol=0.02)
    assert (shades_of_grey(np.zeros((1, 4, 4, 3), np.float32)).numpy() == 0).all()


def test_with_the_skin_as_reference_light_glare_stickers_and_lesions_do_not_matter():
    skin = np.full((1, 64, 64, 3), [0.8, 0.6, 0.5], np.float32)
    covered = skin.copy()
    covered[0, 20:44, 20:44] = [0.3, 0.2, 0.1]
    covered[0, :8, :40] = 1.0
    covered[0, -8:] = 0.0
    for image in (skin, covered, covered * np.array([0.9, 0.7, 0.6], np.float32)):
        found = skin_white_balance(image).numpy()
        np.testing.assert_allclose(found[0, 48, 2], 0.75, atol=1e-5)
        assert found.max() <= 1.0
    lesion = np.array([0.3, 0.2, 0.1]) / [0.8, 0.6, 0.5] * 0.75
    np.testing.assert_allclose(skin_white_balance(covered)[0, 30, 30], lesion, atol=1e-5)
    assert (skin_white_balance(np.zeros((1, 8, 8, 3), np.float32)).numpy() == 0).all()


def test_chroma_has_no_jump_at_red_and_is_the_middle_at_grey():
    reds = np.array([[[[200, 101, 100], [200, 100, 101], [120, 120, 120]]]], np.float32)
    found = SevenChannels(chroma=True)(reds).numpy()[0, 0]
    assert np.abs(found[0] - found[1]).max() < 0.03
    assert np.abs(SevenChannels()(reds).numpy()[0, 0, 0] - found[1])[3] > 0.1
    np.testing.assert_allclose(found[2, 3:5], 0.0, atol=1e-6)
    hue, saturation, _ = colorsys.rgb_to_hsv(40, 90, 200)
    point = SevenChannels(chroma=True)(np.array([[[[40, 90, 200]]]], np.float32)).numpy()[0, 0, 0]
    angle = 2 * np.pi * hue
    np.testing.assert_allclose(
        point[3:5], [saturation * np.cos(angle), saturation * np.sin(angle)], atol=1e-5
    )
