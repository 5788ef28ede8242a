"""Batches of images and masks from records; records whose masks are missing or do not fit."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Description, write_records
from melanoma_tf.segmentation.data import (
    SegmenterInputs,
    count_masks,
    evaluation_batches,
    training_batches,
)

PLAIN = SegmenterInputs(64, 4, geometric=None, photometric=None)


def png(pixels):
    return tf.io.encode_png(pixels).numpy()


def example(index, mask=None, height=40, width=60):
    image = np.full((height, width, 3), 5 * index, np.uint8)
    return Example(
        image=png(image), image_format="png", height=height, width=width, key=f"IMG_{index}",
        mask=b"" if mask is None else png(mask), label=0, label_text="nevus", source="made",
        split="train",
    )  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """A function that writes examples as a record folder."""

    def write(examples, name="records"):
        sources = {"made": {"licence": "CC0-1.0", "attribution": "made"}}
        write_records(examples, tmp_path / name, Description("isic2017", ("nevus",), {}, sources))
        return RecordSet.read(tmp_path / name)

    return write


def lesion(height=40, width=60, value=255):
    mask = np.zeros((height, width, 1), np.uint8)
    mask[10:30, 20:40] = value
    return mask


def test_images_and_masks_are_squeezed_alike(phantom_folder, phantom_records):
    images, masks = next(iter(evaluation_batches(RecordSet.read(phantom_records), "test", PLAIN)))
    assert images.shape == (4, 64, 64, 3)
    assert masks.shape == (4, 64, 64, 1)
    assert set(np.unique(masks)) == {0.0, 1.0}
    truths = [
        cv2.resize(cv2.imread(str(path), 0), (64, 64), interpolation=cv2.INTER_NEAREST) > 128
        for path in (phantom_folder / "ISIC-2017_Training_Part1_GroundTruth").glob("*.png")
    ]
    for mask in masks.numpy()[..., 0]:
        assert max(np.mean(mask == truth) for truth in truths) > 0.97


def test_examples_without_a_mask_are_left_out_and_the_others_all_seen(written):
    folder = written([example(i, lesion() if i % 2 else None) for i in range(8)])
    assert count_masks(folder, "train") == 4
    stream = training_batches(folder, PLAIN, 4)
    for images, _ in stream.take(3):
        assert sorted(images.numpy()[:, 0, 0, 0]) == [5.0, 15.0, 25.0, 35.0]


def test_a_resumed_stream_goes_on_with_the_next_example(written):
    folder = written([example(i, lesion() if i else None) for i in range(7)])
    inputs = SegmenterInputs(64, 2, seed=5)
    whole = list(training_batches(folder, inputs, 6).take(6))
    rest = list(training_batches(folder, inputs, 6, first_example=8).take(2))
    for expected, found in zip(whole[4:], rest):
        np.testing.assert_allclose(found[0], expected[0], atol=1e-3)
        np.testing.assert_array_equal(found[1], expected[1])


def test_records_without_any_mask_are_refused(written):
    folder = written([example(i) for i in range(3)])
    with pytest.raises(MelanomaError, match="no example of the split train has one"):
        count_masks(folder, "train")


def test_a_mask_of_another_size_than_its_image_is_refused_and_named(written):
    wrong = dataclasses.replace(example(1, lesion()), mask=png(lesion(60, 40)))
    folder = written([example(0, lesion()), wrong])
    with pytest.raises(MelanomaError, match=r"IMG_1: expected a mask of .* 40x60; found 60x40"):
        count_masks(folder, "train")


@pytest.mark.parametrize(("grey", "is_lesion"), [(128, False), (129, True)])
def test_grey_masks_are_binarised_at_128(written, grey, is_lesion):
    folder = written([example(0, lesion(value=grey))])
    _, masks = next(iter(evaluation_batches(folder, "train", PLAIN)))
    assert set(np.unique(masks)) == ({0.0, 1.0} if is_lesion else {0.0})


def test_all_skin_and_tiny_images_are_examples_like_others(written):
    tiny = example(0, np.zeros((3, 2, 1), np.uint8), height=3, width=2)
    folder = written([tiny, example(1, np.zeros((40, 60, 1), np.uint8))])
    assert count_masks(folder, "train") == 2
    images, masks = next(iter(training_batches(folder, SegmenterInputs(64, 2), 2)))
    assert np.isfinite(images).all()
    assert not masks.numpy().any()


def test_an_image_and_its_purified_copy_count_once_where_scores_are_computed(written):
    original = example(0, lesion())
    copy = dataclasses.replace(
        original, key="IMG_0_purified", origin="purified", parent="IMG_0", image=example(9).image
    )
    replaced = dataclasses.replace(example(1, lesion()), origin="purified", parent="IMG_1")
    held_out = [dataclasses.replace(each, split="test") for each in (original, copy, replaced)]
    folder = written([*held_out, dataclasses.replace(original, key="t"),
                      dataclasses.replace(copy, key="t_purified", parent="t")])  # fmt: skip
    assert count_masks(folder, "train") == 2
    assert count_masks(folder, "test") == 2
    images = np.concatenate([batch[0] for batch in evaluation_batches(folder, "test", PLAIN)])
    assert sorted(images[:, 0, 0, 0]) == [0.0, 5.0]
