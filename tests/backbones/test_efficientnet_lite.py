"""EfficientNet-Lite: shapes against the paper's table, stages by stride, and bad weight files."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.backbones.efficientnet_lite import (
    VARIANTS,
    blocks,
    build_efficientnet_lite,
    imagenet_weights,
    load_weights,
    named_variables,
    stage_outputs,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras


@pytest.fixture(scope="module")
def network():
    return build_efficientnet_lite("lite0", image_size_px=64)


@pytest.fixture
def weight_file(network, tmp_path):
    """A function that writes the network's weights with some arrays replaced; None drops one."""

    def write(**changes):
        arrays = {name: each.numpy() for name, each in named_variables(network).items()}
        arrays.update({name.replace("__", "/"): value for name, value in changes.items()})
        path = tmp_path / "weights.npz"
        np.savez(path, **{name: each for name, each in arrays.items() if each is not None})
        return path

    return write


# Published parameter counts: 4.7, 5.4 and 6.1 million.
@pytest.mark.parametrize(
    ("variant", "parameters", "count"), [("lite0", 4.7, 16), ("lite1", 5.4, 21), ("lite2", 6.1, 21)]
)
def test_sizes_as_published(variant, parameters, count):
    assert len(blocks(variant)) == count
    whole = build_efficientnet_lite(
        variant, image_size_px=VARIANTS[variant].image_size_px, include_top=True
    )
    trainable = sum(int(np.prod(each.shape)) for each in whole.trainable_weights)
    assert trainable / 1e6 == pytest.approx(parameters, abs=0.05)
    assert whole.output_shape == (None, 1000)


def test_there_is_no_squeeze_and_every_activation_is_relu6(network):
    kinds = {type(layer).__name__ for layer in network.layers}
    assert kinds == {
        "InputLayer", "Rescaling", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "Add",
    }  # fmt: skip
    assert all(e.max_value == 6.0 for e in network.layers if isinstance(e, keras.layers.ReLU))


def test_stages_have_their_stride_and_channels(network):
    stages = stage_outputs(network, "lite0")
    shapes = {stride: tuple(each.shape[1:]) for stride, each in stages.items()}
    assert shapes == {
        2: (32, 32, 16), 4: (16, 16, 24), 8: (8, 8, 40), 16: (4, 4, 112), 32: (2, 2, 320),
    }  # fmt: skip


def test_builds_on_a_tensor_and_on_images_of_any_size():
    images = keras.Input((48, 80, 3))
    assert build_efficientnet_lite(input_tensor=images).output_shape == (None, 2, 3, 1280)
    assert build_efficientnet_lite().output_shape == (None, None, None, 1280)


def test_grey_127_is_zero_inside(network):
    rescaled = network.get_layer("rescaling")(tf.constant([127.0, 255.0]))
    np.testing.assert_allclose(rescaled, [0.0, 1.0], atol=1e-6)


def test_written_and_read_weights_are_the_same(network, weight_file):
    other = build_efficientnet_lite("lite0", image_size_px=64)
    load_weights(other, weight_file())
    for ours, theirs in zip(network.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_the_top_of_a_file_is_optional_but_has_to_fit(weight_file):
    file = weight_file(logits__kernel=np.zeros((1280, 7)), logits__bias=np.zeros(7))
    load_weights(build_efficientnet_lite(), file)
    load_weights(build_efficientnet_lite(include_top=True, num_classes=7), file)
    with pytest.raises(MelanomaError, match=r"expected logits/kernel of the shape \(1280, 3\)"):
        load_weights(build_efficientnet_lite(include_top=True, num_classes=3), file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top_conv__kernel": None}, "found no top_conv/kernel"),
        ({"block9a_dwconv__kernel": np.zeros(3)}, "found block9a_dwconv/kernel too"),
        ({"stem_bn__beta": np.full(32, np.nan)}, "expected finite numbers in stem_bn/beta"),
        ({"stem_bn__beta": np.full(32, "a")}, "expected floating-point numbers in stem_bn/beta"),
        (
            {"stem_bn__beta": np.full(32, None)},
            r"numbers in stem_bn/beta; found \|O",
        ),  # Needs a pickle.
    ],
)
def test_weights_of_another_network_are_one_clear_line(network, weight_file, changes, message):
    before = network.get_weights()
    with pytest.raises(MelanomaError, match=message) as raised:
        load_weights(network, weight_file(**changes))
    assert len(str(raised.value).splitlines()) == 1
    for ours, theirs in zip(before, network.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kept", [0, 10, 1000, 100_000, -10])
def test_a_truncated_file_is_one_clear_line(network, weight_file, kept):
    path = weight_file()
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(MelanomaError, match=r"weights\.npz: expected a whole \.npz file"):
        load_weights(network, path)


def test_a_missing_file_an_unknown_variant_and_a_tiny_image(network, tmp_path):
    with pytest.raises(MelanomaError, match="does not exist"):
        load_weights(network, tmp_path / "none.npz")
    with pytest.raises(MelanomaError, match="lite0, lite1, lite2; found lite9"):
        build_efficientnet_lite("lite9")
    with pytest.raises(MelanomaError, match="at least 32 px; found 16"):
        build_efficientnet_lite(image_size_px=16)


def test_only_lite0_ships():
    assert imagenet_weights("lite0").is_file()
    with pytest.raises(MelanomaError, match="lite1 do not ship"):
        imagenet_weights("lite1")
