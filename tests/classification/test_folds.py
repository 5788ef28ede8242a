"""Records divided anew: every example in one part, no group in two, the test split untouched."""

import dataclasses
from collections import defaultdict

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.classification.data import evaluation_batches, training_batches
from melanoma_tf.classification.folds import divide_by_folds
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.settings import (
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
    FoldSettings,
    NetworkSettings,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.schema import Example
from melanoma_tf.records.shards import Sharding
from melanoma_tf.records.writer import Description, write_records

CLASSES = ("melanoma", "nevus")
FOLDS = 3
PLAIN = ClassifierSettings(
    batch_size=1,
    network=NetworkSettings(image_size_px=32),
    augmentation=AugmentationSettings("none"),
)
# Keys of images that the build found to be one picture, a year apart and of no common lesion.
TWINS = ("real_03", "real_20")


def example(key, value, label, **fields):
    pixels = np.full((40, 40, 3), value, np.uint8)
    row = {
        "image": tf.io.encode_png(pixels).numpy(), "image_format": "png", "height": 40,
        "width": 40, "key": key, "mask": b"", "label": label, "label_text": CLASSES[label],
        "source": "made", "split": "train",
    }  # fmt: skip
    return Example(**{**row, **fields})


def originals():
    """The value of every pixel tells images apart; lesions of two images, patients of four."""
    for index in range(36):
        split = "test" if index >= 30 else "validation" if index % 5 == 0 else "train"
        yield example(
            f"real_{index:02d}", index, int(index % 3 > 0), split=split,
            lesion_id=f"lesion_{index // 2}" if index % 4 else "",
            patient_id=f"patient_{index // 4}" if index < 12 else "",
        )  # fmt: skip


def copies():
    for original in list(originals())[:12:3]:
        yield example(
            f"{original.key}_purified", 100 + int(original.key[-2:]), original.label,
            split=original.split, lesion_id=original.lesion_id, patient_id=original.patient_id,
            origin="purified", parent=original.key,
        )  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("records")
    sources = {"made": {"licence": "CC0-1.0", "attribution": "made"}}
    made = [
        example(f"generated_{index}", 200 + index, 0, origin="generated", parent="run")
        for index in range(3)
    ]
    clusters = {"duplicates": {"clusters": [{"images": [f"made/{key}" for key in TWINS]}]}}
    for name, examples in (("real", [*originals(), *copies()]), ("generated", made)):
        description = Description("isic2017", CLASSES, {}, sources, clusters)
        write_records(examples, base / name, description, sharding=Sharding(shard_bytes=2000))
    return [base / "real", base / "generated"]


def divided(folders, fold, **settings):
    return divide_by_folds(RecordSet.read(folders), FoldSettings(FOLDS, fold, **settings))


def seen_in_training(records):
    count = records.count(split="train")
    batches = training_batches(records, classifier_inputs(PLAIN)).take(count)
    return sorted(int(images[0, 0, 0, 0]) for images, _ in batches.as_numpy_iterator())


def held_out(records, split="validation"):
    batches = evaluation_batches(records, split, classifier_inputs(PLAIN, batch_size=8))
    return sorted(key.decode() for batch in batches for key in batch["image/key"].numpy())


@pytest.fixture(scope="module")
def parts(folders):
    """Of every fold what it is a view of, and the keys that it holds out."""
    views = [divided(folders, fold) for fold in range(FOLDS)]
    return [(records, held_out(records)) for records in views]


def test_every_example_is_held_out_once_and_trained_on_otherwise(parts):
    real = {one.key: one for one in originals() if one.split != "test"}
    copy_of = {100 + int(one.parent[-2:]): one.parent for one in copies()}
    for records, keys in parts:
        # Training sees all other images, copies of those alone, and whatever was generated.
        expected = {int(key[-2:]) for key in set(real) - set(keys)} | {200, 201, 202}
        expected |= {value for value, parent in copy_of.items() if parent not in keys}
        assert records.count(split="train") == len(expected)
        assert records.count(split="validation", origin="real") == len(keys)
    assert sorted(key for _, keys in parts for key in keys) == sorted(real)
    assert seen_in_training(records) == sorted(expected)


def test_patients_lesions_and_pictures_stay_together_and_classes_are_spread(parts):
    fold_of = {key: fold for fold, (_, keys) in enumerate(parts) for key in keys}
    together = defaultdict(set)
    for one in originals():
        if one.key in fold_of:
            for name in (one.lesion_id, one.patient_id):
                together[name].add(fold_of[one.key])
    del together[""]
    assert all(len(folds) == 1 for folds in together.values())
    assert fold_of[TWINS[0]] == fold_of[TWINS[1]]
    melanomas = [
        records.count(split="validation", class_name="melanoma", origin="real")
        for records, _ in parts
    ]
    assert sum(melanomas) == 10
    assert max(melanomas) - min(melanomas) <= 2


def test_balanced_batches_see_the_same_examples(parts):
    records, keys = parts[1]
    balanced = dataclasses.replace(PLAIN, batches=BatchSettings(balance="batch"))
    inputs = classifier_inputs(balanced, batch_size=2)
    most = max(records.count(split="train", class_name=name) for name in CLASSES)
    seen = set()
    for images, labels in training_batches(records, inputs).take(most).as_numpy_iterator():
        assert sorted(labels) == [0, 1]
        seen.update(int(image[0, 0, 0]) for image in images)
    assert len(seen) == records.count(split="train")
    assert not seen & {int(key[-2:]) for key in keys}


def test_the_test_split_is_untouched_and_folders_may_come_in_any_order(folders):
    records = divided(folders, 0)
    assert held_out(records, "test") == [f"real_{index}" for index in range(30, 36)]
    assert records.count(split="test") == 6
    again = divided(folders[::-1], 2)
    assert again.fingerprint == records.fingerprint
    assert divided(folders, 0, fold_seed=1).fingerprint != records.fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((5, 5), "expected a fold from 0 to 4 of 5; found 5"),
        ((1, 0), "expected --folds 2 or more to hold one out; found 1"),
        ((0, 3), "expected --folds 2 or more to hold one out; found 0"),
    ],
)
def test_impossible_folds_are_refused(settings, message):
    with pytest.raises(MelanomaError, match=message):
        FoldSettings(*settings)


def test_more_folds_than_groups_are_refused(folders):
    with pytest.raises(MelanomaError, match="as the 40 folds; found"):
        divide_by_folds(RecordSet.read(folders), FoldSettings(40))
