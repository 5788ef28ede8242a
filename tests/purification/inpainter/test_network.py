"""The data purification network: shapes, holes, phases, and its loss against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.images.filling import fill
from melanoma_tf.purification.inpainter import perceptual
from melanoma_tf.purification.inpainter.losses import HolePSNR, InpaintingLoss, LossWeights, pack
from melanoma_tf.purification.inpainter.network import RefinedFilling, build_inpainter
from melanoma_tf.purification.inpainter.two_phases import AdamThenSGD, TwoRates
from melanoma_tf.training.freezable import FreezableBatchNormalization, freeze
from melanoma_tf.training.strategy import make_strategy

SMALL = {"base_filters": 4, "levels": 1}


def example(height=20, width=27, seed=0):
    rng = np.random.default_rng(seed)
    images = tf.constant(rng.uniform(0, 255, (2, height, width, 3)), tf.float32)
    known = np.ones((2, height, width, 1), np.float32)
    known[0, 5:9, 4:20] = 0
    known[1, :, 12:15] = 0
    return images, tf.constant(known)


@pytest.mark.parametrize(
    "options",
    [{}, {"normalization": "none", "start": "filling", "full_size": True}],
    ids=["paper", "small"],
)
def test_any_size_comes_back_and_holes_are_not_looked_at(options, tmp_path):
    keras.utils.set_random_seed(1)
    model = build_inpainter(**SMALL, **options)
    model.get_layer("output").set_weights(
        [
            np.random.default_rng(0).normal(0, 0.3, w.shape)
            for w in model.get_layer("output").weights
        ]
    )
    for size in ((20, 27), (1, 3)):
        images, known = example(*size) if size[0] > 15 else (tf.ones([1, *size, 3]),) * 2
        known = known[..., :1]
        output = model([images, known])
        assert output.shape == images.shape
        assert output.dtype == tf.float32
        other = tf.where(known > 0, images, 99.0)
        np.testing.assert_array_equal(model([other, known]), output)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    images, known = example()
    np.testing.assert_allclose(loaded([images, known]), model([images, known]), atol=1e-3)


def test_with_the_filling_for_a_start_it_begins_nearly_as_the_classical_method():
    model = build_inpainter(**SMALL, start="filling")
    images, known = example(16, 24)
    smooth = tf.image.resize(images[:, :4, :6], [16, 24])
    classical = fill(smooth, 1.0 - known)
    apart = tf.abs(model([smooth, known]) - classical) * (1.0 - known)
    assert float(tf.reduce_max(apart)) < 8.0


def test_a_pixel_that_is_not_trusted_is_not_drawn_into_the_hole():
    """The output's fourth channel is the trust; the network's other layers do not matter here."""
    layer = RefinedFilling()
    images = np.full((1, 16, 16, 3), 200.0, np.float32)
    images[0, :, 4] = 20.0  # What was left of a hair, beside the hole.
    known = np.ones((1, 16, 16, 1), np.float32)
    known[0, :, 5:8] = 0
    output = np.zeros((1, 16, 16, 4), np.float32)
    drawn_in = layer([images, known, output])[0, :, 5:8]
    assert float(tf.reduce_min(drawn_in)) < 150
    output[0, :, 4, 3] = -5.0
    np.testing.assert_allclose(layer([images, known, output])[0, :, 5:8], 200.0, atol=8.0)
    output[..., 1] = -0.5
    green = layer([images, known, output])[0, :, 5:8, 1]
    np.testing.assert_allclose(green, 200.0 - 8.0, atol=6.0)


def test_the_default_has_the_published_size():
    """Liu et al.: seven halvings, 64 to 512 filters, kernels of 7, 5, 5 and 3."""
    model = build_inpainter()  # Not called: its weights alone are looked at.
    shapes = [model.get_layer(f"down{level}").kernel.shape for level in range(1, 8)]
    assert [shape[0] for shape in shapes] == [7, 5, 5, 3, 3, 3, 3]
    assert [shape[3] for shape in shapes] == [64, 128, 256, 512, 512, 512, 512]
    assert model.get_layer("output").kernel.shape == (3, 3, 64 + 3, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_filters": 0}, "at least 1 base filter and 1 level; found 0"),
        ({"normalization": "layer"}, "found layer"),
        ({"start": "noise"}, "out of nothing, filling; found noise"),
    ],
)
def test_impossible_networks_are_refused(options, message):
    with pytest.raises(MelanomaError, match=message):
        build_inpainter(**{**SMALL, **options})


def test_normalisation_is_keras_own_until_it_is_frozen():
    inputs = tf.constant(np.random.default_rng(0).normal(2, 3, (4, 5, 6, 3)), tf.float32)
    layer = FreezableBatchNormalization()
    keras_layer = keras.layers.BatchNormalization(momentum=0.95, fused=False)
    for _ in range(3):
        found, expected = layer(inputs, training=True), keras_layer(inputs, training=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(layer(inputs), keras_layer(inputs), atol=1e-4)
    model = keras.Sequential([keras.Input((5, 6, 3)), layer])
    freeze(model, True)
    kept = [weight.numpy() for weight in layer.weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(inputs + 5.0, training=True)))
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert not any(tf.reduce_any(gradient != 0) for gradient in gradients)
    for before, after in zip(kept, layer.weights):
        np.testing.assert_array_equal(before, after)
    freeze(model, False)
    layer(inputs + 5.0, training=True)
    assert (layer.moving_mean.numpy() > kept[2]).all()


def test_two_replicas_normalise_by_the_global_batch():
    inputs = np.random.default_rng(0).normal(2, 3, (4, 5, 6, 3)).astype(np.float32)
    whole = FreezableBatchNormalization()
    expected = whole(inputs, training=True)
    strategy = make_strategy("mirrored", 2)
    with strategy.scope():
        layer = FreezableBatchNormalization()
        layer.build((None, None, None, 3))

    @tf.function
    def step(batch):
        return strategy.run(lambda part: layer(part, training=True), (batch,))

    dataset = tf.data.Dataset.from_tensors(inputs).unbatch().batch(4)
    batch = next(iter(strategy.experimental_distribute_dataset(dataset)))
    found = np.concatenate(strategy.experimental_local_results(step(batch)))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for one, other in zip(layer.weights, whole.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)


def test_the_optimiser_is_adam_and_then_gradient_descent():
    rng = np.random.default_rng(0)
    gradients = [tf.constant(rng.normal(size=4), tf.float32) for _ in range(7)]
    ours = tf.Variable([1.0, 2.0, 3.0, 4.0])
    theirs = tf.Variable(ours)
    optimizer = AdamThenSGD(4, TwoRates(4, 2e-3, 1e-2))
    adam = keras.optimizers.Adam(2e-3, beta_1=0.5, beta_2=0.99)
    descent = keras.optimizers.SGD(1e-2, momentum=0.9)
    for step, gradient in enumerate(gradients):
        optimizer.apply_gradients([(gradient, ours)])
        (adam if step < 4 else descent).apply_gradients([(gradient, theirs)])
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("break_after", [2, 6])
def test_the_optimiser_goes_on_from_a_checkpoint_in_either_phase(break_after, tmp_path):
    gradients = tf.constant(np.random.default_rng(1).normal(size=(8, 3)), tf.float32)

    def trained(steps, variable, optimizer):
        for gradient in steps:
            optimizer.apply_gradients([(gradient, variable)])
        return tf.train.Checkpoint(variable=variable, optimizer=optimizer)

    whole, part = tf.Variable([1.0, 2.0, 3.0]), tf.Variable([1.0, 2.0, 3.0])
    trained(gradients, whole, AdamThenSGD(4, TwoRates(4, 2e-3, 1e-2)))
    first = trained(gradients[:break_after], part, AdamThenSGD(4, TwoRates(4, 2e-3, 1e-2)))
    saved = first.save(str(tmp_path / "state"))
    later, optimizer = tf.Variable([0.0] * 3), AdamThenSGD(4, TwoRates(4, 2e-3, 1e-2))
    tf.train.Checkpoint(variable=later, optimizer=optimizer).restore(saved)
    trained(gradients[break_after:], later, optimizer)
    np.testing.assert_allclose(later, whole, rtol=1e-6)


def test_a_cosine_rate_rises_and_falls_before_the_second_phase():
    rate = TwoRates(100, 1.0, 0.3, cosine=True)
    values = [float(rate(step)) for step in (0, 5, 50, 99, 100, 500)]
    assert values[0] < 0.1 < 0.9 < values[1]
    assert values[2] == pytest.approx(0.505, abs=0.01)
    assert values[3] < 0.02
    assert values[4:] == pytest.approx([0.3, 0.3])


def means(image):
    """A feature network whose outputs NumPy can repeat: averages of 2 x 2 and 4 x 4."""
    return [tf.nn.avg_pool2d(image, side, side, "VALID") for side in (2, 4)]


class Means(keras.Model):
    def call(self, inputs, training=None):
        return means(inputs)


def test_the_loss_has_liu_et_al_s_terms():
    rng = np.random.default_rng(0)
    truth, output = rng.uniform(0, 255, (2, 1, 8, 8, 3))
    known = np.ones((1, 8, 8, 1))
    known[0, 2:4, 3:7] = 0
    counted = np.ones((1, 8, 8, 1))
    counted[0, 3, 6] = counted[0, 7, 7] = 0
    loss = InpaintingLoss(features=Means())
    packed = pack(*(tf.constant(value, tf.float32) for value in (truth, known, counted)))
    terms = {name: float(value[0]) for name, value in loss.terms(packed, output).items()}

    t, o, asked = truth[0] / 255, output[0] / 255, (1 - known[0]) * counted[0]
    size = 8 * 8 * 3
    assert terms["valid"] == pytest.approx((abs(o - t) * known[0] * counted[0]).sum() / size)
    assert terms["hole"] == pytest.approx((abs(o - t) * asked).sum() / size, rel=1e-5)
    composed, right = t + asked * (o - t), t + counted[0] * (o - t)
    region = np.zeros((8, 8), bool)
    for row, column in zip(*np.nonzero(asked[..., 0])):
        region[row - 1 : row + 2, column - 1 : column + 2] = True
    variation = 0.0
    for row, column in np.ndindex(8, 8):
        for other in ((row + 1, column), (row, column + 1)):
            if max(other) < 8 and region[row, column] and region[other]:
                variation += abs(composed[other] - composed[row, column]).sum()
    assert terms["variation"] == pytest.approx(variation / size, rel=1e-5)
    perceptual_term = style = 0.0
    for side in (2, 4):
        expected = blocks(t, side)
        for image in (right, composed):
            found = blocks(image, side)
            perceptual_term += abs(found - expected).mean()
            style += abs(grams(found) - grams(expected)).mean()
    assert terms["perceptual"] == pytest.approx(perceptual_term, rel=1e-4)
    assert terms["style"] == pytest.approx(style, rel=1e-3)
    weights = {"valid": 1, "hole": 6, "perceptual": 0.05, "style": 120, "variation": 0.1}
    total = sum(weights[name] * value for name, value in terms.items())
    assert float(loss.call(packed, output)[0]) == pytest.approx(total, rel=1e-5)


def blocks(image, side):
    count = 8 // side
    return 255 * image.reshape(count, side, count, side, 3).mean((1, 3))


def grams(features):
    flat = features.reshape(-1, 3)
    return flat.T @ flat / flat.size


def test_the_metric_sees_the_holes_alone():
    truth = np.full((2, 4, 4, 3), 100.0)
    known = np.ones((2, 4, 4, 1))
    known[0, 0, :2] = 0
    counted = np.ones((2, 4, 4, 1))
    counted[0, 0, 1] = 0
    output = truth + 200.0
    output[0, 0, 0] = 110.0
    metric = HolePSNR()
    metric.update_state(pack(truth, known, counted), output)  # The second image has no hole.
    assert float(metric.result()) == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)


def test_features_are_needed_for_their_terms_and_weights_make_sense():
    with pytest.raises(MelanomaError, match="expected a feature network"):
        InpaintingLoss()
    InpaintingLoss(LossWeights(perceptual=0, style=0))
    with pytest.raises(MelanomaError, match=r"expected hole within \[0, inf\); found -1.0"):
        LossWeights(hole=-1.0)
    with pytest.raises(MelanomaError, match="found 0 for all"):
        LossWeights(0, 0, 0, 0, 0)


def test_vgg16_comes_from_a_file_and_is_fixed(tmp_path):
    donor = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16.weights.h5"
    donor.save_weights(path)
    network = perceptual.vgg16(str(path))
    assert [map_.shape[-1] for map_ in network(tf.zeros([1, 16, 16, 3]))] == [64, 128, 256]
    assert not network.trainable_weights
    pixel = np.full((1, 16, 16, 3), 200.0, np.float32)
    by_donor = keras.Model(donor.input, donor.get_layer("block1_pool").output)
    expected = by_donor(keras.applications.vgg16.preprocess_input(pixel.copy())) / (0.225 * 255)
    np.testing.assert_allclose(network(pixel)[0], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(MelanomaError, match="none, a FILE or a RUN; found nowhere"):
        perceptual.vgg16("nowhere")
    (tmp_path / "other.h5").write_bytes(b"no weights")
    with pytest.raises(MelanomaError, match="no weights of VGG-16"):
        perceptual.vgg16(str(tmp_path / "other.h5"))
