import numpy as np
import tensorflow as tf
from matplotlib import colormaps

from melanoma_tf.images.heat_map import heat_map, overlay


def test_colours_are_those_of_matplotlib():
    saliency = np.linspace(0, 1, 256, dtype=np.float32).reshape(2, 8, 16)
    expected = colormaps["viridis"](saliency, bytes=True)[..., :3]
    found = heat_map(saliency).numpy()
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_what_is_not_salient_shows_through_unchanged_also_in_a_graph():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    saliency = rng.uniform(size=(2, 6, 5)).astype(np.float32)
    saliency[0, :3] = 0
    drawn = tf.function(overlay)(images, saliency).numpy()
    np.testing.assert_array_equal(drawn[0, :3], images[0, :3])
    share = 0.75 * saliency[..., np.newaxis]
    expected = (1 - share) * images + share * heat_map(saliency).numpy()
    np.testing.assert_allclose(drawn, expected, atol=0.51)


def test_values_outside_the_range_are_clipped():
    np.testing.assert_array_equal(heat_map([[-1.0, 7.0]]), heat_map([[0.0, 1.0]]))
