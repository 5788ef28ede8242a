"""The stream of training batches: complete, shuffled, reproducible, resumable."""

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.augmentation.settings import CLASSIFIER_PRESETS
from melanoma_tf.classification.data import augmentation_of, evaluation_batches, training_batches
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.settings import (
    AugmentationSettings,
    ClassifierSettings,
    NetworkSettings,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.images import loading
from melanoma_tf.phantoms import PhantomSettings, write_phantoms
from melanoma_tf.purification.on_records import purify_records
from melanoma_tf.purification.purify import purify
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records import stream
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.manifest import read_manifest, shard_paths
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.writer import Description, write_records

SMALL = ClassifierSettings(batch_size=8, seed=3, network=NetworkSettings(image_size_px=32))
PLAIN = dataclasses.replace(SMALL, augmentation=AugmentationSettings("none"))
INPUTS = dataclasses.replace(classifier_inputs(SMALL), shuffle_window=16)


def record_keys(folder, first_example=0, take=None, seed=0, window=16):
    manifest = read_manifest(folder)
    paths = shard_paths(folder, manifest, "train")
    count = manifest.count(split="train")
    records = stream.shuffled_stream(
        paths, count, seed=seed, window=window, first_example=first_example
    )
    found = []
    for number, serialized in records.take(take or count):
        message = tf.train.Example.FromString(serialized.numpy())
        key = message.features.feature["image/key"].bytes_list.value[0].decode()
        found.append((int(number), key))
    return found


def test_every_epoch_sees_every_example_once_in_another_order(phantom_records):
    count = read_manifest(phantom_records).count(split="train")
    keys = [key for _, key in record_keys(phantom_records, take=3 * count)]
    epochs = [keys[start : start + count] for start in range(0, 3 * count, count)]
    everything = sorted(e.key for e in read_examples(phantom_records, "train"))
    assert all(sorted(epoch) == everything for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_seed_decides_the_order(phantom_records):
    first, again, other = (record_keys(phantom_records, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.mark.parametrize("first_example", [1, 20, 36, 37, 90])
def test_the_stream_goes_on_where_it_was_left(phantom_records, first_example):
    whole = record_keys(phantom_records, take=first_example + 30)
    rest = record_keys(phantom_records, first_example=first_example, take=30)
    assert rest == whole[first_example:]


def test_shuffling_mixes_well(phantom_records):
    order = [key for _, key in record_keys(phantom_records, window=4096)]
    stored = [e.key for e in read_examples(phantom_records, "train")]
    positions = np.argsort(np.argsort([stored.index(key) for key in order]))
    assert abs(np.corrcoef(positions, np.arange(len(order)))[0, 1]) < 0.5


def test_batches_are_full_and_their_pixels_reproducible(phantom_records):
    first, again = (list(training_batches(phantom_records, INPUTS).take(7)) for _ in range(2))
    for (images, labels), (images_again, labels_again) in zip(first, again):
        assert images.shape == (8, 32, 32, 3)
        assert images.dtype == tf.uint8
        assert labels.dtype == tf.int64
        np.testing.assert_array_equal(images, images_again)
        np.testing.assert_array_equal(labels, labels_again)
    resumed = next(iter(training_batches(phantom_records, INPUTS, first_example=16)))
    np.testing.assert_array_equal(resumed[0], first[2][0])


def test_labels_belong_to_their_images(phantom_records):
    """Without augmentation each training image is one of the evaluation images of its class."""
    plain = classifier_inputs(PLAIN)
    known = {}
    for batch in evaluation_batches(phantom_records, "train", plain):
        for image, label in zip(batch["image"].numpy(), batch["label"].numpy()):
            known[image.tobytes()] = label
    count = read_manifest(phantom_records).count(split="train")
    for images, labels in training_batches(phantom_records, plain).take(count // 8):
        assert [known[image.tobytes()] for image in images.numpy()] == labels.numpy().tolist()


def test_evaluation_sees_each_example_once_with_its_metadata(phantom_records):
    batches = list(evaluation_batches(phantom_records, "test", INPUTS))
    stored = list(read_examples(phantom_records, "test"))
    keys = [key.decode() for batch in batches for key in batch["image/key"].numpy()]
    labels = [label for batch in batches for label in batch["label"].numpy()]
    expected = Counter((e.key, e.label) for e in stored)
    assert Counter(zip(keys, labels)) == expected


def test_a_split_without_examples_is_named(phantom_records, tmp_path):
    with pytest.raises(MelanomaError, match="no examples in split 'holdout'"):
        evaluation_batches(phantom_records, "holdout", INPUTS)
    with pytest.raises(MelanomaError, match="does not exist"):
        training_batches(tmp_path / "absent", INPUTS)


@pytest.fixture(scope="module")
def hairy_records(tmp_path_factory):
    """A record folder of phantoms that all have hairs, large enough for hairs to be seen."""
    folder = tmp_path_factory.mktemp("hairy")
    write_phantoms(folder / "raw", 24, settings=PhantomSettings(128, hairs=1.0), seed=1)
    settings = BuildSettings("isic2017", image_size=128, split="0.5/0/0.5")
    build_records([list_source("isic2017", folder / "raw")], settings, folder / "records")
    return folder / "records"


@pytest.mark.parametrize("purified", ["none", "test", "train"])
def test_purification_happens_where_it_was_asked_for(hairy_records, purified):
    """Compared with purifying the loaded image by hand."""
    settings = dataclasses.replace(
        PLAIN, batch_size=2, purify=purified, network=NetworkSettings(image_size_px=112)
    )
    inputs = classifier_inputs(settings)
    examples = {e.key: e.image for e in read_examples(hairy_records, "test")}
    at_test, in_training = purified == "test", purified == "train"

    def expected(encoded, wanted):
        image = loading.load_image(encoded, inputs.short_side_px)
        return loading.centre_crop(purify(image)[0] if wanted else image, 112).numpy()

    (batch,) = evaluation_batches(hairy_records, "test", inputs).take(1)
    for key, image in zip(batch["image/key"].numpy(), batch["image"].numpy()):
        encoded = examples[key.decode()]
        # Decoding a part of a JPEG smooths its edge a little differently.
        assert np.abs(image - expected(encoded, at_test).astype(int)).mean() < 0.1
        plain = np.abs(image - expected(encoded, False).astype(int)).mean() < 0.1
        assert plain == (not at_test)
    plain = classifier_inputs(dataclasses.replace(settings, purify="none"))
    (ours, _), (theirs, _) = (
        next(iter(training_batches(hairy_records, i))) for i in (inputs, plain)
    )
    assert np.array_equal(ours, theirs) == (not in_training)


def test_both_is_training_and_test():
    inputs = classifier_inputs(dataclasses.replace(PLAIN, purify="both"))
    assert inputs.purify_training
    assert inputs.test_purification == "classical"


def test_an_unknown_purification_is_refused():
    with pytest.raises(MelanomaError, match="none, test, train, both; found always"):
        ClassifierSettings(purify="always")


@pytest.mark.parametrize(("method", "replace"), [("network", False), ("classical", True)])
def test_a_purified_copy_does_not_count_twice(hairy_records, tmp_path, method, replace):
    few = list(itertools.islice(read_examples(hairy_records, "test"), 3))
    write_records(few, tmp_path / "few", Description.of_copy(read_manifest(hairy_records)))
    settings = PurificationSettings(method, min_occlusion=0.0, replace=replace, segmenter="none")
    purify_records(tmp_path / "few", tmp_path / "purified", settings)
    assert read_manifest(tmp_path / "purified").count(split="test", origin="purified") > 0
    originals = sorted(e.key for e in few)
    batches = evaluation_batches(tmp_path / "purified", "test", INPUTS)
    keys = [key.decode() for batch in batches for key in batch["image/key"].numpy()]
    assert sorted(keys) == originals


def test_the_square_is_cut_from_the_size_asked_for():
    def short_side(**network):
        settings = NetworkSettings(image_size_px=224, **network)
        return classifier_inputs(ClassifierSettings(network=settings)).short_side_px

    assert short_side() == 256
    assert short_side(resize_px=400) == 400
    with pytest.raises(MelanomaError, match="expected to resize to the image size, 224 px, or mo"):
        short_side(resize_px=200)


def test_the_augmentation_is_a_preset_with_the_values_that_are_given():
    for name, preset in CLASSIFIER_PRESETS.items():
        assert augmentation_of(AugmentationSettings(name)) == preset
    changed = augmentation_of(AugmentationSettings("strong", cutout=0.0, mixup=0.2))
    assert changed == dataclasses.replace(CLASSIFIER_PRESETS["strong"], cutout=0.0, mixup=0.2)
