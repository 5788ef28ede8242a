import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.backbones.classifier import build_classifier
from melanoma_tf.backbones.networks import BACKBONES, CaffeNormalization, build_backbone
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.strategy import make_strategy
from melanoma_tf.training.weights import write_weights


def small(num_classes=3, **settings):
    keras.utils.set_random_seed(0)
    return build_classifier(backbone="small", num_classes=num_classes, image_size_px=32, **settings)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_maps_bytes_to_logits(backbone):
    model = build_classifier(backbone=backbone, num_classes=3, image_size_px=32)
    logits = model(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    assert logits.shape == (2, 3)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()


def test_normalization_is_that_of_keras_resnet():
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    expected = keras.applications.resnet.preprocess_input(images.copy())
    np.testing.assert_allclose(CaffeNormalization()(images), expected, atol=1e-4)


def test_weights_of_a_run_carry_over_to_other_classes(tmp_path):
    donor = small(num_classes=3)
    write_weights(donor, tmp_path / "weights.npz")
    model = small(num_classes=7, weights=str(tmp_path / "weights.npz"))
    for ours, theirs in zip(model.get_layer("small").weights, donor.get_layer("small").weights):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "vgg"}, "expected a backbone out of resnet50"),
        ({"num_classes": 1}, "at least 2 classes"),
        ({"image_size_px": 16}, "at least 32 px"),
        ({"weights": "absent.keras"}, "absent.keras does not exist"),
        ({"weights": "imagenet"}, "small has no ImageNet weights"),
    ],
)
def test_bad_settings_are_said_in_one_line(settings, message):
    valid = {"backbone": "small", "num_classes": 3, "image_size_px": 32}
    with pytest.raises(MelanomaError, match=message) as raised:
        build_classifier(**{**valid, **settings})
    assert "\n" not in str(raised.value)


def test_a_failed_download_says_what_to_do(monkeypatch):
    def unreachable(size_px, weights):
        raise Exception("URL fetch failure on https://host/w.h5: None -- no route to host")

    monkeypatch.setitem(BACKBONES, "resnet50", unreachable)
    with pytest.raises(MelanomaError, match=r"no route to host.*--backbone efficientnet-lite0"):
        build_classifier(backbone="resnet50", num_classes=3, image_size_px=32, weights="imagenet")


def test_the_random_layers_of_a_backbone_have_generators_that_can_be_seeded():
    """EfficientNet drops whole blocks: a resumed training must drop the same ones."""
    model = build_classifier(
        backbone="efficientnetv2-b0", num_classes=2, image_size_px=32, dropout=0.0
    )
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.Dropout)
    ]
    assert len(layers) > 10
    # Not shifted by others that draw in between: a layer alone tells.
    drop, ones = layers[-2], tf.ones([64, 1, 1, 1])
    masks = []
    for seed in (1, 1, 2):
        drop._random_generator._generator.reset_from_seed(seed)
        masks.append(drop(ones, training=True).numpy())
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    assert not keras.backend.experimental.is_tf_random_generator_enabled()


def tiny_application(*, include_top, weights, input_shape=None, input_tensor=None):
    """In the place of a network of Keras: a convolution and its normalisation."""
    del include_top, weights
    images = keras.Input(input_shape) if input_tensor is None else input_tensor
    features = keras.layers.Conv2D(4, 3, 2)(images)
    return keras.Model(
        keras.utils.get_source_inputs(images)[0],
        keras.layers.BatchNormalization(momentum=0.5)(features),
    )


def statistics_after_one_batch(backbone, images, strategy):
    """Moving means and variances of a backbone after a batch, which the replicas share."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = build_backbone(backbone, 32, "none")
    parts = tf.reshape(images, [strategy.num_replicas_in_sync, -1, 32, 32, 3])

    @tf.function
    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        model(tf.gather(parts, replica), training=True)

    strategy.run(step)
    return [each.numpy() for each in model.weights if "moving" in each.name]


@pytest.mark.parametrize(
    ("backbone", "application"),
    [
        ("resnet50", "ResNet50"),
        ("efficientnetv2-b0", "EfficientNetV2B0"),
        ("mobilenetv3-small", "MobileNetV3Small"),
    ],
)
def test_backbones_of_keras_normalise_by_the_global_batch(monkeypatch, backbone, application):
    monkeypatch.setattr(keras.applications, application, tiny_application)
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    images[:4] /= 4.0  # The halves differ.
    one = statistics_after_one_batch(backbone, images, tf.distribute.get_strategy())
    two = statistics_after_one_batch(backbone, images, make_strategy("mirrored", 2))
    assert len(one) == 2
    for ours, theirs in zip(one, two):
        # The kernel of a single device divides a variance by one less than the count.
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)
