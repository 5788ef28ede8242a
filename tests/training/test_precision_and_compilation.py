"""`--jit-compile` and `--mixed-precision` for each kind of network, in the small."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.backbones.classifier import build_classifier, load_classifier
from melanoma_tf.classification.settings import NetworkSettings
from melanoma_tf.classification.train import CLASSIFIER, classifier_job, train_classifier
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.generation.settings import StabiliserSettings
from melanoma_tf.generation.train import (
    COUPLED_GAN,
    GAN,
    coupled_gan_job,
    gan_job,
    train_coupled_gan,
    train_gan,
)
from melanoma_tf.purification.detector.inference import DETECTOR
from melanoma_tf.purification.detector.train import detector_job, train_occlusion_detector
from melanoma_tf.purification.inpainter.inference import INPAINTER
from melanoma_tf.purification.inpainter.train import inpainter_job, train_inpainter
from melanoma_tf.records.parts import WHOLE
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.segmentation.train import SEGMENTER, segmenter_job, train_segmenter
from melanoma_tf.training.compilation import compilation_errors_named
from melanoma_tf.training.run import Run, load_model
from melanoma_tf.training.run_record import describe_run
from melanoma_tf.training.upsampling import NearestUpsampling2D
from tests.conftest import ONE_CONVOLUTION, few_occlusions
from tests.generation.test_train import SIZE_PX, make_small
from tests.training.test_training import KIND, Settings, train

CLASSES = ("melanoma", "nevus")
# XLA draws other random numbers: nothing is drawn in a step here.
OF_GAN = {
    "image_size_px": SIZE_PX, "latent_size": 4, "batch_size": 4, "steps_per_epoch": 2,
    "stabilisers": StabiliserSettings(differentiable_augmentation=False),
}  # fmt: skip
# How each network is trained, of which kind its runs are, and with which settings.
NETWORKS = {
    "classifier": (
        train_classifier, classifier_job, CLASSIFIER, {
            "batch_size": 18,
            "network": NetworkSettings(ONE_CONVOLUTION, "none", image_size_px=32),
        },
    ),
    "segmenter": (
        train_segmenter, segmenter_job, SEGMENTER, {
            "image_size_px": 64, "base_filters": 2, "padding": "same", "batch_size": 18,
            "augment": "none", "normalization": "batch", "dropout": 0.0, "learning_rate": 1e-3,
        },
    ),
    "inpainter": (
        train_inpainter, inpainter_job, INPAINTER, {
            "image_size_px": 32, "base_filters": 2, "levels": 1, "full_size": True,
            "features": "none", "batch_size": 18, "frozen_epochs": 0,
        },
    ),
    "occlusion-detector": (
        train_occlusion_detector, detector_job, DETECTOR, {
            "image_size_px": 32, "base_filters": 2, "levels": 1, "batch_size": 18,
            "schedule": "constant",
        },
    ),
    "gan": (train_gan, gan_job, GAN, {"class_names": CLASSES[:1], **OF_GAN}),
    "coupled-gan": (
        train_coupled_gan, coupled_gan_job, COUPLED_GAN, {"class_names": CLASSES, **OF_GAN},
    ),
}  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """Networks and drawings that are quickly traced, without dropout."""
    make_small(monkeypatch)
    # Within two rounds comes one with the extra updates of the generator.
    monkeypatch.setattr("melanoma_tf.generation.adversarial.ROUNDS", 2)
    monkeypatch.setattr(
        "melanoma_tf.classification.train.build_classifier",
        functools.partial(build_classifier, dropout=0.0),
    )
    strip = tf.constant(np.eye(32, dtype=np.float32)[..., np.newaxis])
    for module in ("detector", "inpainter"):
        monkeypatch.setattr(
            f"melanoma_tf.purification.{module}.data.detected_occlusions", lambda _: strip
        )
    with few_occlusions():
        yield


def trained(name, records, run_dir, *, epochs=1, resume=False, **changes):
    train_network, _, kind, settings = NETWORKS[name]
    settings = kind.settings(epochs=epochs, **settings, **changes)
    return train_network(records, run_dir, settings, log=lambda line: None, resume=resume)


def fitted(job, batches, compiled):
    """The history of one epoch of a network with the initial weights of the seed."""
    keras.utils.set_random_seed(0)
    model = job.compile(job.build())
    model.jit_compile = compiled
    return model.fit(batches, verbose=0).history


@pytest.mark.experiments
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_steps_train_as_others_do(name, phantom_records):
    _, make_job, kind, settings = NETWORKS[name]
    records = RecordSet.read(phantom_records)
    job = make_job(records, kind.settings(epochs=1, **settings), lambda line: None)
    # Cached, since the graphs of the input take longer than all else.
    batches = job.training_batches(0, WHOLE).take(2).cache()
    plain, compiled = (fitted(job, batches, choice) for choice in (False, True))
    assert plain.keys() == compiled.keys()
    for metric, values in plain.items():
        # Others than losses count what lies beyond a threshold.
        tolerance = 1e-3 if "loss" in metric else 1e-2
        assert compiled[metric] == pytest.approx(values, rel=tolerance, abs=1e-3), metric


def test_a_run_may_go_on_compiled(phantom_records, tmp_path):
    records = RecordSet.read(phantom_records)
    plain, compiled = (
        describe_run(KIND, Settings(jit_compile=choice), records) for choice in (False, True)
    )
    Run(tmp_path / "run", plain).begin()
    Run(tmp_path / "run", compiled, resume=True).check()


def test_mixed_precision_leaves_the_policy_as_it_was(phantom_records, tmp_path):
    history = train(phantom_records, tmp_path / "run", epochs=1, mixed_precision=True)
    assert math.isfinite(history["loss"][0])
    assert keras.mixed_precision.global_policy().name == "float32"


@pytest.mark.experiments
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", NETWORKS)
def test_mixed_precision_trains_resumes_and_answers_in_float32(name, phantom_records, tmp_path):
    run_dir = tmp_path / "run"
    trained(name, phantom_records, run_dir, mixed_precision=True)
    history = trained(name, phantom_records, run_dir, mixed_precision=True, epochs=2, resume=True)
    assert len(history["loss"]) == 2
    assert all(math.isfinite(value) for values in history.values() for value in values)
    kind = NETWORKS[name][2]
    model = load_classifier(run_dir) if name == "classifier" else load_model(run_dir, kind)
    assert {variable.dtype for variable in model.variables} <= {tf.float32, tf.int64}
    assert {layer.compute_dtype for layer in model._flatten_layers()} == {"float32"}


def test_steps_of_several_replicas_are_not_compiled(phantom_records, tmp_path):
    several = {"strategy": "mirrored", "replicas": 2, "jit_compile": True}
    with pytest.raises(
        MelanomaError, match=r"a single device with --jit-compile.* found 2 replicas"
    ):
        train(phantom_records, tmp_path / "run", **several)
    assert not (tmp_path / "run").exists()


def network_with(layer):
    images = keras.Input((4, 4, 2))
    return keras.Model(images, layer(keras.layers.Conv2D(2, 1)(images)))


def test_a_network_that_xla_cannot_compile_is_one_line_and_is_not_trained():
    model = network_with(keras.layers.UpSampling2D(2))
    before = [weight.numpy() for weight in model.weights]
    model.compile("sgd", "mse", jit_compile=True)
    with (
        pytest.raises(
            MelanomaError, match=r"it has no ResizeNearestNeighborGrad. Train it without"
        ),
        compilation_errors_named(model),
    ):
        model.fit(np.ones([2, 4, 4, 2]), np.ones([2, 8, 8, 2]), verbose=0)
    for one, other in zip(before, model.weights):
        np.testing.assert_array_equal(one, other.numpy())


def test_other_errors_of_a_step_keep_their_words():
    model = network_with(keras.layers.UpSampling2D(2))
    model.compile("sgd", "mse")
    error = tf.errors.InvalidArgumentError(None, None, "expected something else of XLA")
    with pytest.raises(tf.errors.InvalidArgumentError), compilation_errors_named(model):
        raise error


def test_upsampling_is_that_of_keras_with_its_gradient():
    images = tf.random.stateless_normal([2, 3, 5, 4], (1, 2))
    weights = tf.random.stateless_normal([2, 6, 10, 4], (3, 4))
    found = []
    for layer in (NearestUpsampling2D(), keras.layers.UpSampling2D(2)):

        def doubled_and_gradient(layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(images)
                doubled = layer(images, training=True)
                loss = tf.reduce_sum(weights * doubled)
            return doubled, layer(images, training=False), tape.gradient(loss, images)

        found.append(doubled_and_gradient())
        if isinstance(layer, NearestUpsampling2D):
            found.append(tf.function(doubled_and_gradient, jit_compile=True)())
    ours, compiled, theirs = found
    for one in (ours, compiled):
        for value, expected in zip(one, theirs):
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
