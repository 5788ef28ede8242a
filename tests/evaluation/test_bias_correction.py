"""Temperature and biases against scikit-learn, SciPy without gradients, and a known label shift."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.temperature import (
    LARGEST_TEMPERATURE,
    LEAST_TEMPERATURE,
    LogitScale,
    fit_bias_corrected,
    fit_temperature,
    negative_log_likelihood,
    probabilities,
)

NAMES = ("melanoma", "nevus", "keratosis")
NATURAL = np.array([0.1, 0.7, 0.2])


def shifted(prevalence=NATURAL, images=3000, sharpness=1.0, seed=0):
    """Logits of a network that was trained on equal classes, and images of another prevalence.

    Features are normal around a mean of each class, so that the true logits are known.
    """
    random = np.random.default_rng(seed)
    classes = len(prevalence)
    means = np.eye(classes) * 2
    labels = random.choice(classes, images, p=prevalence)
    features = means[labels] + random.normal(size=(images, classes))
    return (features @ means.T) * sharpness, labels  # the means have one length


@pytest.mark.parametrize(
    ("sharpness", "images", "at_bound"),
    [(1.0, 40, None), (3.0, 400, None), (0.2, 400, None), (200, 400, "largest"),
     (0.01, 400, "least")],
)  # fmt: skip
def test_it_minimises_the_likelihood_as_scipy_finds_it_without_derivatives(
    sharpness, images, at_bound
):
    logits, labels = shifted(images=images, sharpness=sharpness)
    temperature, biases = fit_bias_corrected(logits, labels, NAMES)

    def temperature_of(value):
        return np.clip(np.exp(value), LEAST_TEMPERATURE, LARGEST_TEMPERATURE)

    def loss(values):
        scaled = logits / temperature_of(values[0]) + [0, *values[1:]]
        return log_loss(labels, softmax(scaled, axis=1))

    options = {"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000, "maxfev": 4000}
    searched = minimize(loss, np.zeros(3), method="Nelder-Mead", options=options).x
    assert temperature.at_bound == at_bound
    assert temperature.value == pytest.approx(temperature_of(searched[0]), rel=1e-4)
    expected = np.array([0, *searched[1:]])
    np.testing.assert_allclose(biases, expected - expected.mean(), atol=2e-4)
    assert sum(biases) == pytest.approx(0, abs=1e-12)


def test_of_two_classes_it_is_a_logistic_regression_with_an_intercept():
    logits, labels = shifted(np.array([0.2, 0.8]), sharpness=2.0)
    regression = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000)
    regression.fit((logits[:, 1] - logits[:, 0])[:, None], labels)
    temperature, (first, second) = fit_bias_corrected(logits, labels, NAMES[:2])
    assert 1 / temperature.value == pytest.approx(regression.coef_[0, 0], rel=1e-4)
    assert second - first == pytest.approx(regression.intercept_[0], abs=1e-4)


def test_the_biases_of_a_label_shift_are_the_logarithm_of_the_prevalence():
    logits, labels = shifted(images=100_000, sharpness=2.5)
    temperature, biases = fit_bias_corrected(logits, labels, NAMES)
    assert temperature.value == pytest.approx(2.5, rel=0.03)
    expected = np.log(NATURAL) - np.log(NATURAL).mean()
    np.testing.assert_allclose(biases, expected, atol=0.04)
    # One temperature cannot mend it.
    one = probabilities(logits[:, None], LogitScale(fit_temperature(logits, labels).value))
    both = probabilities(logits[:, None], LogitScale(temperature.value, biases))
    rare = labels == 0
    assert one[:, 0].mean() > 1.5 * rare.mean()
    assert both[:, 0].mean() == pytest.approx(rare.mean(), abs=1e-4)
    assert negative_log_likelihood(both, labels) < 0.8 * negative_log_likelihood(one, labels)


def test_at_another_prevalence_probabilities_are_those_that_are_true_there():
    """Fitted at the natural prevalence, used at a third one; the true posterior is known."""
    logits, labels = shifted(images=100_000, sharpness=2.5)
    temperature, biases = fit_bias_corrected(logits, labels, NAMES)
    fitted = np.bincount(labels) / len(labels)
    target = np.array([0.5, 0.2, 0.3])
    scale = LogitScale(temperature.value, biases).at_prevalence(fitted, target)
    truth = softmax(shifted(target, images=500, seed=1)[0] + np.log(target), axis=1)
    found = probabilities(shifted(target, images=500, sharpness=2.5, seed=1)[0][:, None], scale)
    np.testing.assert_allclose(found, truth, atol=0.02)


def test_a_prevalence_multiplies_probabilities_by_the_ratio_of_the_fractions():
    scale = LogitScale(2.0, (0.3, -0.1, -0.2))
    logits = np.random.default_rng(0).normal(size=(5, 1, 3))
    moved = scale.at_prevalence([0.2, 0.3, 0.5], [0.6, 0.3, 0.1])
    expected = probabilities(logits, scale) * [3, 1, 0.2]
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(logits, moved), expected, rtol=1e-12)
    same = scale.at_prevalence([0.2, 0.3, 0.5], [0.2, 0.3, 0.5])
    assert same == scale


def hard_case(seed):
    """Few images, heavy tails, rounded logits, any scale, and large constants of the classes."""
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 9))
    shares = random.dirichlet(np.full(classes, 0.5))
    more = random.choice(classes, random.choice([0, 1, 20, 300]), p=shares)
    labels = np.concatenate([np.arange(classes), more])
    logits = random.standard_t(random.choice([1.5, 30]), (len(labels), classes))
    logits = np.round(logits) if seed % 3 == 0 else logits
    logits += np.eye(classes)[labels] * random.choice([0, 1, 4, -2])
    constants = random.normal(size=classes) * random.choice([0, 1, 100, 1e4])
    return logits * 10 ** random.uniform(-4, 4) + constants, labels


def test_hard_cases_end_in_the_minimum():
    """The likelihood is convex: the minimum is where no derivative leads further down."""
    for seed in range(150):
        logits, labels = hard_case(seed)
        truth = np.eye(logits.shape[1])[labels]
        temperature, biases = fit_bias_corrected(logits, labels, [""] * logits.shape[1])
        error = softmax(logits / temperature.value + biases, axis=1) - truth
        np.testing.assert_allclose(error.mean(axis=0), 0, atol=1e-6, err_msg=f"seed {seed}")
        centred = logits - logits.mean(axis=1, keepdims=True)
        centred -= centred.mean(axis=0)
        slope = (error * centred).sum(axis=1).mean() / np.abs(centred).mean()
        if temperature.at_bound == "least":
            assert slope <= 1e-6, seed
        elif temperature.at_bound == "largest":
            assert slope >= -1e-6, seed
        else:
            assert slope == pytest.approx(0, abs=1e-6), seed


def test_views_count_as_images_and_mean_probabilities_are_the_class_fractions():
    logits, labels = shifted(images=200)
    views = np.stack([logits, logits * 0.5 + 1, logits[:, ::-1] * 0.1], axis=1)
    found = fit_bias_corrected(views, labels, NAMES)
    assert found == fit_bias_corrected(views.reshape(-1, 3), np.repeat(labels, 3), NAMES)
    mean = probabilities(views, LogitScale(found[0].value, found[1])).mean(axis=0)
    np.testing.assert_allclose(mean, np.bincount(labels) / 200, atol=1e-6)


def test_what_has_no_minimum_in_the_temperature_ends_at_a_bound_with_finite_biases():
    right = np.eye(3)[[0, 1, 2, 1]] * 5
    temperature, biases = fit_bias_corrected(right, np.array([0, 1, 2, 1]), NAMES)
    assert (temperature.value, temperature.at_bound) == (LEAST_TEMPERATURE, "least")
    assert np.isfinite(biases).all()
    wrong, biases = fit_bias_corrected(right, np.array([1, 2, 0, 2]), NAMES)
    assert (wrong.value, wrong.at_bound) == (LARGEST_TEMPERATURE, "largest")
    assert np.abs(biases).max() < 2
    huge, biases = fit_bias_corrected(right * 1e6, np.array([0, 1, 2, 0]), NAMES)
    assert huge.value <= LARGEST_TEMPERATURE
    assert np.isfinite(biases).all()


@pytest.mark.parametrize("row", [[1.0, 1.0], [0.1, 0.7], [1e4 / 3, -7e3]])
def test_equal_rows_leave_the_fractions_of_the_classes(row):
    labels = np.array([0, 0, 0, 1])
    temperature, biases = fit_bias_corrected(np.tile(row, (4, 1)), labels, NAMES[:2])
    assert (temperature.value, temperature.at_bound) == (pytest.approx(1.0), None)
    found = probabilities(np.array([[row]]), LogitScale(temperature.value, biases))
    np.testing.assert_allclose(found, [[0.75, 0.25]], atol=1e-6)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((3, 3)), [1, 1, 2], "an image of each class to fit biases; found none of melan"),
        (np.zeros((1, 3)), [1], "found none of melanoma, keratosis"),
        (np.full((3, 3), np.inf), [0, 1, 2], "finite logits; found NaN or infinity"),
        (np.zeros((0, 3)), [], r"found \(0, 3\)"),
    ],
)
def test_input_that_is_wrong_is_one_line(logits, labels, message):
    with pytest.raises(MelanomaError, match=message):
        fit_bias_corrected(logits, np.array(labels, int), NAMES)


def test_arrays_and_tensors_are_scaled_alike():
    tf = pytest.importorskip("tensorflow")
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    for scale in (LogitScale(), LogitScale(2.0), LogitScale(0.5, (1.0, -0.25, -0.75))):
        expected = logits / scale.temperature + np.array(scale.biases or 0.0)
        np.testing.assert_allclose(scale.apply(logits), expected, rtol=1e-6)
        tensor = scale.apply(tf.constant(logits))
        assert tensor.dtype == tf.float32
        np.testing.assert_allclose(tensor, expected, rtol=1e-6)
