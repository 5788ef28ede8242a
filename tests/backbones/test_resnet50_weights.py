"""Official ResNet-50 weights: a file in their layout, and their checksum."""

import h5py
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.backbones.networks import build_backbone
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras

OFFICIAL = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
SIZE_PX = 32


@pytest.fixture(scope="module")
def official():
    """Keras' own ResNet-50 without its top, random weights."""
    tf.random.set_seed(5)
    return keras.applications.ResNet50(include_top=False, weights=None)


def test_a_file_in_the_official_layout_gives_every_weight(official, tmp_path):
    path = tmp_path / "random.h5"
    official.save_weights(path)
    backbone = build_backbone("resnet50", SIZE_PX, str(path))
    by_name = {weight.name: weight.numpy() for weight in official.weights}
    assert len(backbone.weights) == len(by_name)
    for weight in backbone.weights:
        np.testing.assert_array_equal(weight.numpy(), by_name[weight.name])


def test_other_bytes_under_the_official_name_are_refused(tmp_path):
    path = tmp_path / OFFICIAL
    with h5py.File(path, "w"):
        pass
    with pytest.raises(MelanomaError, match="expected the official weights of that name, MD5 4d47"):
        build_backbone("resnet50", SIZE_PX, str(path))
