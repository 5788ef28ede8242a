import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from tensorflow import keras

from melanoma_tf.errors import MelanomaError
from melanoma_tf.models.classifier import (
    BACKBONES,
    CaffeNormalization,
    MeanAUC,
    build_classifier,
    compile_classifier,
)


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


def test_a_train_step_lowers_the_loss_and_a_saved_model_answers_alike(tmp_path):
    model = compile_classifier(small(dropout=0.0), 1e-2, [True] * 3)
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2])
    losses = model.fit(images, labels, epochs=8, batch_size=6, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(again(images), model(images), rtol=1e-5, atol=1e-5)


def test_normalization_is_that_of_keras_resnet():
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    expected = keras.applications.resnet.preprocess_input(images.copy())
    np.testing.assert_allclose(CaffeNormalization()(images), expected, atol=1e-4)


def test_weights_of_a_run_carry_over_to_other_classes(tmp_path):
    donor = small(num_classes=3)
    donor.save(tmp_path / "model.keras")
    model = small(num_classes=7, weights=str(tmp_path / "model.keras"))
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
    with pytest.raises(MelanomaError, match=r"no route to host.*--weights FILE or none"):
        build_classifier(backbone="resnet50", num_classes=3, image_size_px=32, weights="imagenet")


def test_mean_auc_is_scikit_learns_over_the_classes_that_exist():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    logits = rng.normal(size=(300, 3)) + 1.5 * np.eye(3)[labels]
    metric = MeanAUC([True, True, False])
    metric.update_state(labels, logits)
    probabilities = tf.nn.softmax(logits).numpy()
    expected = np.mean([roc_auc_score(labels == c, probabilities[:, c]) for c in (0, 1)])
    assert abs(float(metric.result()) - expected) < 0.01
