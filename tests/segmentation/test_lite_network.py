"""The segmenter on an encoder: shapes, size, ImageNet weights in place, bad settings."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.backbones.efficientnet_lite import imagenet_weights
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.segmentation.lite_network import build_lite_segmenter, load_encoder
from melanoma_tf.segmentation.losses import SegmentationLoss

LARGEST_BYTES = 12 * 10**6


@pytest.fixture(scope="module")
def network():
    return build_lite_segmenter(image_size_px=64)


@pytest.mark.parametrize("encoder", ["efficientnet-lite0", "efficientnet-lite2"])
def test_it_is_small_as_float16_and_as_large_as_its_input(encoder):
    model = build_lite_segmenter(encoder, 96)
    assert 2 * model.count_params() <= LARGEST_BYTES
    assert model.input_shape == (None, 96, 96, 3)
    assert model.output_shape == (None, 96, 96, 1)


@pytest.mark.parametrize("normalization", ["none", "batch", "instance"])
def test_normalization_is_that_of_the_decoder(normalization):
    model = build_lite_segmenter(image_size_px=64, normalization=normalization, dropout=0.1)
    norms = [layer for layer in model.layers if layer.name.endswith("_normalized")]
    kind = {"batch": keras.layers.BatchNormalization, "instance": keras.layers.GroupNormalization}
    assert bool(norms) == (normalization != "none")
    assert all(isinstance(layer, kind[normalization]) for layer in norms)
    probability = model(tf.random.stateless_uniform([2, 64, 64, 3], [0, 1], 0.0, 255.0))
    assert probability.dtype == tf.float32
    assert 0.0 < float(tf.reduce_min(probability)) < float(tf.reduce_max(probability)) < 1.0


def test_encoder_and_decoder_both_learn(network):
    images = tf.random.stateless_uniform([2, 64, 64, 3], [0, 1], 0.0, 255.0)
    layers = ("stem_conv", "block3b_dwconv", "bottom", "up2_conv1", "logits")
    kernels = [network.get_layer(name).trainable_weights[0] for name in layers]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(SegmentationLoss("jaccard")(images[..., :1] / 255.0, network(images)))
    for gradient in tape.gradient(loss, kernels):
        assert float(tf.reduce_max(tf.abs(gradient))) > 0.0


def test_saved_and_loaded_it_answers_the_same(network, tmp_path):
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(loaded(images), network(images), atol=1e-5)


def test_the_encoder_gets_the_weights_that_ship(network):
    load_encoder(network, "efficientnet-lite0")
    with np.load(imagenet_weights("lite0")) as stored:
        for layer, name in (("stem_conv", "kernel"), ("block7a_project_bn", "moving_variance")):
            values = {each.name.split("/")[-1].split(":")[0]: each.numpy()
                      for each in network.get_layer(layer).weights}  # fmt: skip
            np.testing.assert_array_equal(values[name], stored[f"{layer}/{name}"])


def test_a_file_of_another_encoder_is_refused(network):
    with pytest.raises(MelanomaError, match="lite2 do not ship"):
        load_encoder(network, "efficientnet-lite2")
    with pytest.raises(MelanomaError, match="expected the weights of efficientnet_lite1"):
        load_encoder(network, "efficientnet-lite1", imagenet_weights("lite0"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet50"}, "expected an encoder out of .*; found resnet50"),
        ({"image_size_px": 100}, "found 100, nearest: 96 and 128"),
        ({"image_size_px": 32}, "found 32, nearest: 64 and 96"),
        ({"normalization": "layer"}, "found layer"),
    ],
)
def test_bad_settings_are_one_clear_line(options, message):
    with pytest.raises(MelanomaError, match=message) as raised:
        build_lite_segmenter(**options)
    assert len(str(raised.value).splitlines()) == 1
