"""Learning rates by step, against hand-computed ones."""

import math

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.training.schedules import cosine, rate_by_name


def test_a_cosine_rises_in_a_line_and_falls_to_nothing():
    rate = cosine(1.0, 110, 10)
    assert float(rate(0)) == pytest.approx(0.05)
    assert float(rate(5)) == pytest.approx(0.525)
    assert float(rate(10)) == pytest.approx(1.0)
    assert float(rate(35)) == pytest.approx(0.5 + 0.5 * math.cos(math.pi / 4), abs=1e-6)
    assert float(rate(110)) == pytest.approx(0.0, abs=1e-6)
    assert float(cosine(1.0, 100, 0)(0)) == pytest.approx(1.0)


def test_by_name_a_hundredth_and_more_is_spent_rising():
    assert rate_by_name("constant", 0.3, 100) == 0.3
    rate = rate_by_name("cosine", 0.3, 100)
    assert max(range(100), key=lambda step: float(rate(step))) == 3
    assert float(rate_by_name("cosine", 0.3, 1)(1)) == pytest.approx(0.3)
    with pytest.raises(MelanomaError, match="constant, cosine; found step"):
        rate_by_name("step", 0.3, 100)
