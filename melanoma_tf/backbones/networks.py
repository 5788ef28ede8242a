"""Backbones by name: convolutional networks without a head, and where their weights come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import tensorflow as tf

from melanoma_tf.backbones import EFFICIENTNET_LITE, Build, backbone_names, registered
from melanoma_tf.backbones.efficientnet_lite import (
    build_efficientnet_lite,
    imagenet_weights,
    load_weights,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.weights import is_of_run, read_backbone_weights, refuse_linked_hdf5

# Of the files that Keras publishes, without their top.
_OFFICIAL_MD5 = {
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5": "4d473c1dd8becc155b73f8504c6f6626",
}
_SMALL_FILTERS = 32
_SMALL_STAGES = 4
_BLOCKS_PER_STAGE = 2


def build_backbone(name: str, size_px: int, weights: str) -> keras.Model:
    """A network without its head, from RGB in [0, 255] to feature maps.

    Args:
        name: one of `backbones.backbone_names()`.
        size_px: side of the square input in pixels.
        weights: see `backbones.classifier.build_classifier`.

    Raises:
        MelanomaError: unknown backbone, or weights that cannot be had.
    """
    build = BACKBONES.get(name) or registered(name)
    if build is None:
        names = ", ".join(backbone_names())
        raise MelanomaError(f"expected a backbone out of {names}; found {name}")
    if weights == "imagenet":
        return _with_imagenet(name, build, size_px)
    network = build(size_px, None)
    if weights != "none":
        _load_weights(network, Path(weights))
    return network


def _with_imagenet(name: str, build: Build, size_px: int) -> keras.Model:
    if name == "small":
        raise MelanomaError(
            "the backbone small has no ImageNet weights; expected --weights none or a FILE"
        )
    try:
        return build(size_px, "imagenet")
    except Exception as error:  # Keras wraps every failed download in a bare Exception.
        if "fetch failure" not in str(error):
            raise
        raise MelanomaError(
            f"the ImageNet weights of {name} could not be downloaded ({_last_line(error)}); "
            "expected network access, or them in ~/.keras/models; or give --weights FILE or none, "
            "or --backbone efficientnet-lite0, whose weights ship"
        ) from error


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].split(": ", 1)[-1]


def _load_weights(network: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise MelanomaError(f"expected --weights none, imagenet or a file; {path} does not exist")
    if path.suffix == ".npz" and is_of_run(path):
        read_backbone_weights(network, path)
        return
    if path.suffix == ".npz":
        load_weights(network, path)
        return
    refuse_linked_hdf5(path)
    _check_official(path)
    try:
        network.load_weights(path)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise MelanomaError(f"{path}: no weights of the backbone {network.name}: {error}") from None


def _check_official(path: Path) -> None:
    """Compare a file under the name of official weights with their checksum."""
    expected = _OFFICIAL_MD5.get(path.name)
    if expected is None:
        return
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != expected:
        raise MelanomaError(
            f"{path}: expected the official weights of that name, MD5 {expected}; found {found}: "
            "a damaged copy, or other weights, which need another name"
        )


@keras.saving.register_keras_serializable(package="melanoma_tf")
class CaffeNormalization(keras.layers.Layer):
    """RGB in [0, 255] -> BGR minus the ImageNet mean: what Keras' ResNet-50 weights expect."""

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Normalise `(batch, height, width, 3)`; the result has the layer's compute dtype."""
        mean = tf.constant([103.939, 116.779, 123.68], tf.float32)
        bgr = tf.reverse(tf.cast(images, tf.float32), [-1])
        return tf.cast(bgr - mean, self.compute_dtype)


def _resnet50(size_px: int, weights: str | None) -> keras.Model:
    images = keras.Input((size_px, size_px, 3))
    network = keras.applications.ResNet50(
        include_top=False, weights=weights, input_tensor=CaffeNormalization()(images)
    )
    return _synchronized(keras.Model(images, network.output, name="resnet50"))


def _efficientnetv2_b0(size_px: int, weights: str | None) -> keras.Model:
    network = keras.applications.EfficientNetV2B0(
        include_top=False, weights=weights, input_shape=(size_px, size_px, 3)
    )
    return _synchronized(keras.Model(network.input, network.output, name="efficientnetv2-b0"))


def _mobilenetv3_small(size_px: int, weights: str | None) -> keras.Model:
    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=weights, input_shape=(size_px, size_px, 3)
    )
    return _synchronized(keras.Model(network.input, network.output, name="mobilenetv3-small"))


def _synchronized(network: keras.Model) -> keras.Model:
    """Over several replicas, normalise by the global batch, as `_convolution` does."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return network

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = True
        return type(layer)(**config)

    copy = keras.models.clone_model(network, clone_function=copied)
    copy.set_weights(network.get_weights())
    return copy


def _efficientnet_lite(name: str) -> Build:
    variant = name.rsplit("-", 1)[-1]

    def build(size_px: int, weights: str | None) -> keras.Model:
        network = build_efficientnet_lite(variant, image_size_px=size_px)
        if weights is not None:
            load_weights(network, imagenet_weights(variant))
        return keras.Model(network.input, network.output, name=name)

    return build


def _small(size_px: int, weights: str | None) -> keras.Model:
    """ResNet-18 at half its width: trains from scratch on a CPU."""
    images = keras.Input((size_px, size_px, 3))
    features = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(images)
    features = _convolution(features, _SMALL_FILTERS, kernel=5, strides=2)
    features = keras.layers.MaxPooling2D(3, 2, padding="same")(features)
    for stage in range(_SMALL_STAGES):
        for block in range(_BLOCKS_PER_STAGE):
            strides = 2 if stage and not block else 1
            features = _residual_block(features, _SMALL_FILTERS * 2**stage, strides)
    return keras.Model(images, features, name="small")


def _residual_block(inputs: tf.Tensor, filters: int, strides: int) -> tf.Tensor:
    shortcut = inputs
    if strides > 1 or inputs.shape[-1] != filters:
        shortcut = _convolution(inputs, filters, kernel=1, strides=strides, activate=False)
    features = _convolution(inputs, filters, strides=strides)
    features = _convolution(features, filters, activate=False)
    return keras.layers.ReLU()(keras.layers.Add()([features, shortcut]))


def _convolution(
    inputs: tf.Tensor, filters: int, *, kernel: int = 3, strides: int = 1, activate: bool = True
) -> tf.Tensor:
    features = keras.layers.Conv2D(
        filters, kernel, strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(inputs)
    # Over several replicas the statistics are those of the global batch, so that their number does
    # not change the training; on one, the fused kernel is several times as fast. The momentum is
    # short since a small data set has few steps in an epoch.
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    features = keras.layers.BatchNormalization(momentum=0.9, synchronized=several)(features)
    return keras.layers.ReLU()(features) if activate else features


BACKBONES: dict[str, Build] = {
    "resnet50": _resnet50,
    "efficientnetv2-b0": _efficientnetv2_b0,
    "mobilenetv3-small": _mobilenetv3_small,
    **{name: _efficientnet_lite(name) for name in EFFICIENTNET_LITE},
    "small": _small,
}
