"""The sliced Wasserstein distance, against SciPy on a line and by what it must tell apart."""

import numpy as np
import pytest
from scipy import ndimage, stats

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.sliced_wasserstein import sliced_wasserstein, wasserstein


@pytest.mark.parametrize("counts", [(50, 50), (30, 60), (7, 21)])
def test_on_a_line_it_is_scipys(counts):
    random = np.random.default_rng(0)
    first, second = (random.normal(size=(count, 3)) for count in counts)
    expected = np.mean([stats.wasserstein_distance(first[:, i], second[:, i]) for i in range(3)])
    assert wasserstein(first, second) == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def pictures():
    """Two sets of smooth random pictures of the same kind."""
    noise = np.random.default_rng(1).normal(size=(2, 40, 32, 32, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 0, 3, 3, 0))
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


def test_equal_sets_are_near_and_unlike_ones_far(pictures):
    real, alike = pictures
    same = sliced_wasserstein(real, alike)
    assert sorted(same) == [16, 32]
    blurred = np.stack([ndimage.gaussian_filter(each, (1.5, 1.5, 0)) for each in alike])
    redder = alike.copy()
    redder[..., 0] = np.minimum(255, redder[..., 0].astype(int) + 40)
    far_detail = sliced_wasserstein(real, blurred)
    far_colour = sliced_wasserstein(real, redder)
    assert far_detail[32] > 3 * same[32]
    # A colour is seen at the coarsest level, and only there.
    assert far_colour[16] > 3 * same[16]
    assert far_colour[32] < 2 * same[32]


def test_same_seed_same_distance_whatever_the_order(pictures):
    real, alike = pictures
    assert sliced_wasserstein(real, alike, seed=3) == sliced_wasserstein(real, alike, seed=3)
    assert sliced_wasserstein(real, alike, seed=3) != sliced_wasserstein(real, alike, seed=4)


def test_sets_that_cannot_be_compared_are_refused(pictures):
    with pytest.raises(MelanomaError, match="two sets of images of one size"):
        sliced_wasserstein(pictures[0], pictures[1][:, :16, :16])
    with pytest.raises(MelanomaError, match="two sets of images"):
        sliced_wasserstein(pictures[0][:0], pictures[1])
    with pytest.raises(MelanomaError, match="16 px or more"):
        sliced_wasserstein(pictures[0][:, :8, :8], pictures[1][:, :8, :8])
