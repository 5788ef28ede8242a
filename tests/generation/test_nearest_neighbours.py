"""Nearest images, against NumPy written out, and in hard cases: copies, ties, blocks of one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.generation.nearest_neighbours import nearest


def reference(images, references):
    ours, theirs = (each.astype(np.float64) / 255.0 for each in (images, references))
    plain = ((ours[:, None] - theirs[None]) ** 2).mean((2, 3, 4))
    flipped = ((ours[:, None, :, ::-1] - theirs[None]) ** 2).mean((2, 3, 4))
    return plain, flipped


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**16),
    count=st.integers(1, 6),
    others=st.integers(1, 9),
    block=st.integers(1, 4),
    spread=st.sampled_from([1, 3, 256]),
    shape=st.sampled_from([(5, 4, 3), (4, 5, 3), (1, 1, 1), (40, 30, 3), (3, 7, 1)]),
)
def test_distances_equal_numpy(seed, count, others, block, spread, shape):
    """Images that differ in the last bit only are where subtracting large squares fails.

    An odd width has a column in the middle, which is its own mirror image.
    """
    random = np.random.default_rng(seed)
    start = random.integers(0, 257 - spread)
    images = random.integers(start, start + spread, (count, *shape)).astype(np.uint8)
    references = random.integers(start, start + spread, (others, *shape)).astype(np.uint8)
    blocks = [references[at : at + block] for at in range(0, others, block)]
    found = nearest(images, blocks)
    plain, flipped = reference(images, references)
    both = np.minimum(plain, flipped)
    np.testing.assert_allclose(found.distance, both.min(1), rtol=1e-5, atol=0)
    chosen = np.where(found.mirrored[:, None], flipped, plain)[np.arange(count), found.index]
    np.testing.assert_allclose(chosen, both.min(1), rtol=1e-5, atol=0)


def test_a_large_set_with_planted_copies():
    random = np.random.default_rng(1)
    references = random.integers(0, 256, (2500, 16, 16, 3)).astype(np.uint8)
    nearly = references[1500].copy()
    nearly[3, 3, 0] ^= 1
    images = np.stack([references[7], references[2100][:, ::-1], nearly])
    found = nearest(images, iter([references[:1100], references[1100:]]))
    assert found.index.tolist() == [7, 2100, 1500]
    assert found.mirrored.tolist() == [False, True, False]
    assert found.distance.tolist() == [0.0, 0.0, pytest.approx(1 / 255**2 / 768)]


def test_a_reference_does_not_find_itself():
    random = np.random.default_rng(2)
    images = random.integers(0, 256, (7, 6, 6, 3)).astype(np.uint8)
    found = nearest(images[:4], [images[:3], images[3:]], own_places=np.arange(4))
    plain, flipped = reference(images[:4], images)
    both = np.minimum(plain, flipped)
    both[np.arange(4), np.arange(4)] = np.inf
    assert found.index.tolist() == both.argmin(1).tolist()


def test_nothing_to_compare_with_and_another_size():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    nothing = nearest(images, [])
    assert nothing.index.tolist() == [-1, -1]
    assert np.isinf(nothing.distance).all()
    with pytest.raises(MelanomaError, match="expected references of"):
        nearest(images, [np.zeros((1, 5, 4, 3), np.uint8)])
