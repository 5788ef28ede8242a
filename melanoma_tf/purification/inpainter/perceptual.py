"""Fixed feature networks for the perceptual and the style loss, behind one interface.

Each is a model from RGB `(batch, height, width, 3)` in [0, 255] of any size to a list of three
feature maps, whose weights no training changes.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melanoma_tf.backbones.efficientnet_lite import (
    build_efficientnet_lite,
    imagenet_weights,
    load_weights,
    stage_outputs,
)
from melanoma_tf.backbones.networks import CaffeNormalization
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.purification.inpainter.settings import IMAGENET
from melanoma_tf.training.weights import refuse_linked_hdf5

_MAPS = 3  # As many as Liu et al. take: after each of the first three poolings.
_POOLS = ("block1_pool", "block2_pool", "block3_pool")
# Liu et al. weight features of images standardised by ImageNet's deviation, 0.225 of the range.
# Keras' VGG-16 takes them with the mean removed only, and its maps are larger by this factor.
_PIXEL_DEVIATION = 0.225 * 255.0


def vgg16(weights: str = IMAGENET) -> keras.Model:
    """VGG-16 up to its third pooling, as Liu et al. 2018 use it.

    The maps are divided by what one standard deviation of pixels is, 57, so that the weights of
    the paper's loss count as they do there: the style loss grows with the square of the scale.

    Args:
        weights: `imagenet`, or the path of Keras' `.h5` file of VGG-16 without its top.

    Raises:
        MelanomaError: the weights cannot be downloaded, or the file has other ones.
    """
    images = keras.Input((None, None, 3))
    normalized = CaffeNormalization(dtype="float32")(images)
    try:
        network = keras.applications.VGG16(
            include_top=False, weights=_source(weights), input_tensor=normalized
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise MelanomaError(f"{weights}: no weights of VGG-16 without its top: {error}") from None
    except Exception as error:  # Keras wraps every failed download in a bare Exception.
        if "fetch failure" not in str(error):
            raise
        raise MelanomaError(
            "the ImageNet weights of VGG-16 could not be downloaded; expected network access, or "
            "them in ~/.keras/models; or give --features a FILE, a classifier's RUN, or none"
        ) from error
    scaled = keras.layers.Rescaling(1.0 / _PIXEL_DEVIATION, dtype="float32")
    return _fixed(images, [scaled(network.get_layer(name).output) for name in _POOLS])


def _source(weights: str) -> str:
    if weights != IMAGENET and not Path(weights).is_file():
        raise MelanomaError(
            "expected --features imagenet, efficientnet-lite0, none, a FILE or a RUN; "
            f"found {weights}"
        )
    if weights != IMAGENET:
        refuse_linked_hdf5(Path(weights))
    return weights


def lite(name: str) -> keras.Model:
    """EfficientNet-Lite up to its maps at strides 2, 4 and 8, with ImageNet weights.

    Args:
        name: `efficientnet-lite0`, whose weights ship.

    Raises:
        MelanomaError: the weights of this size do not ship.
    """
    variant = name.rsplit("-", 1)[-1]
    network = build_efficientnet_lite(variant)
    load_weights(network, imagenet_weights(variant))
    maps = stage_outputs(network, variant)
    return _fixed(network.input, [maps[stride] for stride in sorted(maps)[:_MAPS]])


def backbone_layers(classifier: keras.Model) -> tuple[keras.Model, list[str]]:
    """The first layers of a classifier's backbone, as a feature network.

    Taken are the last maps of each of the three largest sizes below the image's.

    Args:
        classifier: what `backbones.classifier.build_classifier` returned, trained.

    Returns:
        The network, and the names of the layers taken.

    Raises:
        MelanomaError: the model has no backbone, or one of fewer sizes.
    """
    inner = [layer for layer in classifier.layers if isinstance(layer, keras.Model)]
    if not inner:
        raise MelanomaError("expected a classifier with a backbone to take features from")
    backbone = inner[0]
    whole = backbone.input_shape[1]
    last: dict[int, keras.layers.Layer] = {}
    for layer in backbone.layers:
        shape = layer.output_shape
        if isinstance(shape, tuple) and len(shape) == 4 and shape[1] < whole:
            last[shape[1]] = layer
    taken = [last[size] for size in sorted(last, reverse=True)[:_MAPS]]
    if len(taken) < _MAPS:
        raise MelanomaError(
            f"expected a backbone with feature maps of {_MAPS} sizes; found {len(taken)}"
        )
    # Cloned for images of any size: a backbone's input has that of its classifier.
    clone = keras.models.clone_model(backbone, keras.Input((None, None, 3)))
    clone.set_weights(backbone.get_weights())
    outputs = [clone.get_layer(layer.name).output for layer in taken]
    return _fixed(clone.input, outputs), [layer.name for layer in taken]


def _fixed(images: tf.Tensor, outputs: list[tf.Tensor]) -> keras.Model:
    network = keras.Model(images, outputs, name="features")
    network.trainable = False
    return network
