"""Temperature scaling against SciPy's minimiser, scikit-learn's loss and hand-made cases."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.temperature import (
    LARGEST_TEMPERATURE,
    LEAST_TEMPERATURE,
    LogitScale,
    fit_temperature,
    negative_log_likelihood,
    probabilities,
)


def overconfident(sharpness, images=400, classes=3, seed=0):
    """Labels drawn from the logits' own probabilities, then logits made sharper than true."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(images, classes)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(classes, p=row) for row in shares])
    return logits * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_it_minimises_the_likelihood_as_scipy_and_scikit_learn_have_it(sharpness):
    logits, labels = overconfident(sharpness)
    fitted = fit_temperature(logits, labels)
    assert fitted.at_bound is None

    def loss(log_temperature):
        return log_loss(labels, probabilities(logits[:, None], LogitScale(np.exp(log_temperature))))

    searched = minimize_scalar(
        loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-10}
    )
    assert np.log(fitted.value) == pytest.approx(searched.x, abs=1e-5)
    assert fitted.value == pytest.approx(sharpness, rel=0.2), "the labels were drawn that way"
    assert negative_log_likelihood(
        probabilities(logits[:, None], LogitScale(fitted.value)), labels
    ) == pytest.approx(loss(np.log(fitted.value)), rel=1e-12)


def test_of_two_classes_it_is_the_slope_of_a_logistic_regression():
    logits, labels = overconfident(3.0, classes=2)
    difference = (logits[:, 1] - logits[:, 0])[:, None]
    regression = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-10)
    slope = regression.fit(difference, labels).coef_[0, 0]
    assert 1 / fit_temperature(logits, labels).value == pytest.approx(slope, rel=1e-5)


def test_views_count_as_images_and_their_probabilities_are_averaged():
    logits, labels = overconfident(2.0, images=60)
    views = np.stack([logits, logits[:, ::-1], logits * 0.5], axis=1)
    flat = fit_temperature(views.reshape(-1, 3), np.repeat(labels, 3))
    assert fit_temperature(views, labels) == flat
    scaled = np.exp(views / 1.7)
    expected = (scaled / scaled.sum(axis=2, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(probabilities(views, LogitScale(1.7)), expected, rtol=1e-12)


def test_what_cannot_be_fitted_ends_at_a_bound_and_says_so():
    right = np.array([[5.0, 0.0], [0.0, 3.0], [1.0, 0.5]])
    separable = fit_temperature(right, np.array([0, 1, 0]))
    assert (separable.value, separable.at_bound) == (LEAST_TEMPERATURE, "least")
    wrong = fit_temperature(right, np.array([1, 0, 1]))
    assert (wrong.value, wrong.at_bound) == (LARGEST_TEMPERATURE, "largest")
    flat = fit_temperature(np.ones((4, 3)), np.array([0, 1, 2, 0]))
    assert (flat.value, flat.at_bound) == (1.0, None)
    alone = fit_temperature(right[:1], np.array([0]))
    assert alone.at_bound == "least"


def test_a_certain_and_wrong_image_has_a_finite_likelihood():
    scores = probabilities(np.array([[[1e4, 0.0]]]))
    assert np.isfinite(negative_log_likelihood(scores, np.array([1])))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 1, 3)), np.zeros(0, int), "found \\(0, 1, 3\\)"),
        (np.zeros((2, 3)), np.zeros(3, int), "as many labels; found"),
        (np.array([[np.nan, 1.0]]), np.array([0]), "finite logits; found NaN"),
    ],
)
def test_input_that_is_wrong_is_one_line(logits, labels, message):
    with pytest.raises(MelanomaError, match=message):
        fit_temperature(logits, labels)


def test_probabilities_of_huge_logits_stay_finite():
    found = probabilities(np.array([[[1e4, 0.0, -1e4]], [[0.0, np.log(3.0), np.log(4.0)]]]))
    np.testing.assert_allclose(found, [[1, 0, 0], [1 / 8, 3 / 8, 4 / 8]])
