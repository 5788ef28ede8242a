"""Learning rates by epoch, what is frozen when, and what does not go together."""

import numpy as np
import pytest

from melanoma_tf.backbones.classifier import build_classifier
from melanoma_tf.classification.optimization import compile_classifier
from melanoma_tf.classification.settings import OptimizationSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras

STEPS = 4


def network(seed=0):
    keras.utils.set_random_seed(seed)
    images = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(4, 3, activation="relu")(images)
    features = keras.layers.BatchNormalization()(features)
    backbone = keras.Model(images, features, name="backbone")
    features = keras.layers.GlobalAveragePooling2D()(backbone(images))
    return keras.Model(images, keras.layers.Dense(3, dtype="float32")(features))


def compiled(model=None, epochs=6, **changes):
    settings = OptimizationSettings(**changes)
    return compile_classifier(
        model or network(), settings, counts=[5, 5, 5], steps_per_epoch=STEPS, epochs=epochs
    )


def rates(model, epochs):
    rate = model.optimizer._learning_rate
    if not callable(rate):
        return [float(rate.numpy())] * (epochs * STEPS)
    return [float(rate(step)) for step in range(epochs * STEPS)]


def test_the_papers_rate_is_divided_by_ten_every_thirty_epochs():
    found = rates(compiled(epochs=90, optimizer="sgd", schedule="step"), 90)
    assert found[: 30 * STEPS] == pytest.approx([1e-3] * 30 * STEPS)
    assert found[30 * STEPS : 60 * STEPS] == pytest.approx([1e-4] * 30 * STEPS)
    assert found[60 * STEPS :] == pytest.approx([1e-5] * 30 * STEPS)
    assert rates(compiled(epochs=20, schedule="step"), 20)[-1] == pytest.approx(1e-3)


def test_the_cosine_rises_and_falls_to_nothing():
    found = rates(compiled(epochs=10, schedule="cosine", warm_up_epochs=2), 10)
    peak = int(np.argmax(found))
    assert peak == 2 * STEPS
    assert found[peak] == pytest.approx(1e-3)
    assert (np.diff(found[: peak + 1]) > 0).all()
    assert (np.diff(found[peak:]) < 0).all()
    share = (len(found) - 1 - peak) / (len(found) - peak)
    assert found[-1] == pytest.approx(1e-3 * (1 + np.cos(np.pi * share)) / 2, rel=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_backbone_rests_for_the_frozen_epochs_and_learns_after_them(optimizer, mixed):
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if mixed else "float32")
    try:
        decay = 0.0 if optimizer == "adam" else 1e-2
        model = compiled(optimizer=optimizer, weight_decay=decay, frozen_epochs=2)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (8, 16, 16, 3)).astype(np.float32)
        labels = rng.integers(0, 3, 8)
        backbone = model.get_layer("backbone")

        def after_epochs(first, last):
            model.fit(images, labels, batch_size=2, initial_epoch=first, epochs=last, verbose=0)
            return [*backbone.get_weights()], [*model.layers[-1].get_weights()]

        start = backbone.get_weights(), model.layers[-1].get_weights()
        frozen = after_epochs(0, 2)
        for before, now in zip(start[0], frozen[0]):
            np.testing.assert_array_equal(before, now)
        assert not np.array_equal(start[1][0], frozen[1][0])
        whole = after_epochs(2, 3)
        for before, now in zip(frozen[0], whole[0]):
            assert not np.array_equal(before, now)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_weight_decay_spares_biases_and_batch_normalisation():
    model = compiled(optimizer="adamw", weight_decay=0.1)
    model.optimizer.build(model.trainable_variables)
    decayed = [
        variable.name
        for variable in model.trainable_variables
        if model.optimizer._use_weight_decay(variable)
    ]
    assert len(decayed) == 2
    assert all("kernel" in name for name in decayed)


def test_a_train_step_lowers_the_loss_and_a_saved_model_answers_alike(tmp_path):
    keras.utils.set_random_seed(0)
    model = build_classifier(backbone="small", num_classes=3, image_size_px=32, dropout=0.0)
    model = compiled(model, learning_rate=1e-2)
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2])
    losses = model.fit(images, labels, epochs=8, batch_size=6, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(again(images), model(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "lion"}, "expected optimizer out of adam, adamw, sgd; found lion"),
        ({"schedule": "linear"}, "expected schedule out of"),
        ({"loss": "hinge"}, "expected loss out of"),
        ({"class_weights": "mine"}, "expected class_weights out of"),
        ({"weight_decay": 0.1}, "adamw or sgd with weight_decay; found adam"),
        ({"warm_up_epochs": 2}, "expected schedule cosine with warm_up_epochs; found constant"),
        ({"warm_up_epochs": -1}, r"expected warm_up_epochs within \[0, inf\); found -1"),
        ({"learning_rate": 0.0}, r"expected learning_rate within \(0, inf\); found 0.0"),
        ({"frozen_epochs": 6}, "expected fewer frozen_epochs than epochs, 6; found 6"),
        ({"schedule": "cosine", "warm_up_epochs": 9}, "expected fewer warm_up_epochs than epochs"),
    ],
)
def test_what_does_not_go_together_is_said(settings, message):
    with pytest.raises(MelanomaError, match=message):
        compiled(**settings)
