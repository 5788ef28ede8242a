"""The novelty filter with planted copies, against NumPy."""

import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.generation.novelty_filter import default_min_mse, sample_novel, search_here

SIZE_PX = 8


def noise(count, seed):
    shape = (count, SIZE_PX, SIZE_PX, 3)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def mse(first, second):
    return (((first.astype(float) - second) / 255) ** 2).mean()


REAL, NEW = noise(9, 1), noise(400, 2)


def real():
    return iter([REAL[:5], REAL[5:]])


def source(candidates):
    """A function that gives the next of the candidates, and a list of how many it was asked for."""
    asked = []

    def generate(count):
        start = sum(asked)
        asked.append(count)
        return candidates[start : start + count]

    return generate, asked


def test_copies_are_replaced_by_what_comes_next():
    nearly = REAL[2].copy()
    nearly[0, 0] ^= 1
    planted = [REAL[7], REAL[3][:, ::-1], nearly, NEW[0], NEW[0], NEW[0][:, ::-1], *NEW[1:]]
    generate, asked = source(np.stack(planted))
    found = sample_novel(generate, 20, search_here(real), 0.01, image_size_px=SIZE_PX)
    np.testing.assert_array_equal(found.images, NEW[:20])
    assert (found.near_real, found.near_other) == (3, 2)
    assert found.candidates == 28 == len(found.images) + 3 + 2 + found.surplus
    # 20, of which 15 passed, and as many more as should do by that share.
    assert asked == [20, 8]
    for image, index, distance, mirrored in zip(
        found.images, found.nearest.index, found.nearest.distance, found.nearest.mirrored
    ):
        errors = [min(mse(image, one), mse(image, one[:, ::-1])) for one in REAL]
        assert index == np.argmin(errors)
        assert distance == pytest.approx(errors[index], rel=1e-5)
        assert mse(image[:, ::-1] if mirrored else image, REAL[index]) == pytest.approx(distance)


def test_it_gives_up_after_few_looks_at_the_real_images():
    generate, asked = source(np.concatenate([REAL] * 50))
    looks = []
    with pytest.raises(MelanomaError, match=r"0 of 160 candidates are \(160 too near to a real"):
        sample_novel(
            generate,
            5,
            search_here(lambda: looks.append(1) or real()),
            0.01,
            image_size_px=SIZE_PX,
        )
    assert sum(asked) == 160
    assert len(looks) <= 4


def test_the_feature_space_filter_rejects_too():
    generate, _ = source(NEW)
    odd = iter(np.arange(400) % 2 == 1)

    def is_near(images):
        return np.array([next(odd) for _ in images])

    found = sample_novel(
        generate, 6, search_here(real), 0.0, image_size_px=SIZE_PX, feature_space_filter=is_near
    )
    np.testing.assert_array_equal(found.images, NEW[:12:2])


def test_the_default_is_the_first_percentile_of_real_to_other_real():
    errors = np.array([[min(mse(a, b), mse(a, b[:, ::-1])) for b in REAL] for a in REAL])
    np.fill_diagonal(errors, np.inf)
    expected = np.percentile(errors.min(1), 1.0)
    assert default_min_mse(real) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(MelanomaError, match="two real images or more to compare with; found 1"):
        default_min_mse(lambda: iter([REAL[:1]]))


def test_a_picture_that_occurs_twice_does_not_lower_the_default():
    twice = np.concatenate([REAL, REAL[:1], REAL[1:2, :, ::-1]])
    least = default_min_mse(lambda: iter([twice]))
    errors = [
        min(mse(a, b) for j, b in enumerate(REAL) for b in (b, b[:, ::-1]) if j != i)
        for i, a in enumerate(REAL)
    ]
    assert least == pytest.approx(np.percentile(errors[2:], 1.0), rel=1e-5)
    with pytest.raises(MelanomaError, match="different real images or more; 3 show one picture"):
        default_min_mse(lambda: iter([np.concatenate([REAL[:1]] * 3)]))
