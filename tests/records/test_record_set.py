"""Several record folders as one: what may be mixed, and what is refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.classification.data import training_batches
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.settings import (
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
    NetworkSettings,
)
from melanoma_tf.classification.train import train_classifier
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Description, write_records

CLASSES = ("melanoma", "nevus")


def example(key, label=0, **fields):
    pixels = np.full((40, 40, 3), sum(key.encode()) % 256, np.uint8)
    row = {
        "image": tf.io.encode_png(pixels).numpy(), "image_format": "png", "height": 40,
        "width": 40, "key": key, "mask": b"", "label": label, "label_text": CLASSES[label],
        "source": "made", "split": "train",
    }  # fmt: skip
    return Example(**{**row, **fields})


def generated(key, **fields):
    return example(key, source="generated", origin="generated", parent="run", **fields)


@pytest.fixture
def write(tmp_path):
    """A function that writes examples as a record folder."""

    def write(name, *examples, class_names=CLASSES):
        sources = {one.source: {"licence": "CC0-1.0", "attribution": "made"} for one in examples}
        description = Description("isic2017", class_names, {"image_size": 40}, sources)
        write_records(examples, tmp_path / name, description)
        return tmp_path / name

    return write


def test_counts_and_shards_are_those_of_all(write):
    real = write("real", example("a"), example("b", 1), example("c", split="test"))
    made = write("made", generated("g"))
    records = RecordSet.read([real, made])
    records.check_mixture()
    assert records.count(split="train") == 3
    assert records.count(class_name="melanoma", split="train") == 2
    assert [path.parent for path in records.shard_paths("train")] == [real, made]
    assert [path.parent for path in records.shard_paths("test")] == [real]
    with pytest.raises(MelanomaError, match="no examples in split 'validation'"):
        records.shard_paths("validation")


def test_a_pass_sees_every_image_of_every_folder_once(write):
    real = write("real", *(example(f"r{i}", i % 2) for i in range(4)))
    made = write("made", generated("g0"), generated("g1"))
    settings = ClassifierSettings(
        batch_size=2,
        network=NetworkSettings(image_size_px=32),
        augmentation=AugmentationSettings("none"),
    )
    inputs = classifier_inputs(settings)
    batches = list(training_batches([real, made], inputs).take(6))
    values = [int(image[0, 0, 0]) for images, _ in batches for image in images]
    keys = ["r0", "r1", "r2", "r3", "g0", "g1"]
    expected = sorted(sum(key.encode()) % 256 for key in keys)
    assert sorted(values[:6]) == expected
    assert sorted(values[6:]) == expected


def test_an_image_listed_twice_is_named(write):
    first = write("first", example("a"), example("b", 1))
    second = write("second", example("b", 1), example("z"))
    with pytest.raises(MelanomaError, match=r"each image once; b is in .*first and in"):
        RecordSet.read([first, second]).check_mixture()


def test_a_copy_of_a_held_out_image_is_no_training_image(write):
    first = write("first", example("a"), example("b", 1, split="test"))
    copy = example("b_purified", 1, origin="purified", parent="b")
    second = write("second", copy)
    with pytest.raises(MelanomaError, match="expected b and its copies to be trained on or held"):
        RecordSet.read([first, second]).check_mixture()


def test_a_held_out_picture_is_known_under_another_source_and_name(write):
    first = write("first", example("ISIC_0000001", source="isic2017", split="validation"))
    second = write("second", example("ISIC_0000001_downsampled", source="isic2019"))
    again = r"ISIC_0000001 is in .*first and in .*second as ISIC_0000001_downsampled"
    with pytest.raises(MelanomaError, match=again):
        RecordSet.read([first, second]).check_mixture()


@pytest.mark.parametrize("kind", ["lesion", "patient"])
def test_a_held_out_lesion_or_patient_is_not_trained_on(write, kind):
    shared = {f"{kind}_id": "7", "source": "isic2018"}
    first = write("first", example("a", split="test", **shared), example("b", **shared))
    second = write("second", example("c", **{**shared, "source": "isic2019"}))
    with pytest.raises(MelanomaError, match=f"all images of {kind} isic/7 to be trained on or"):
        RecordSet.read([first, second]).check_mixture()
    elsewhere = write("elsewhere", example("c", **{**shared, "source": "ph2"}))
    RecordSet.read([first, elsewhere]).check_mixture()


def test_generated_images_are_never_held_out(write, tmp_path):
    for split in ("validation", "test"):
        with pytest.raises(MelanomaError, match=f"generated images in train only; found {split}"):
            write(f"bad-{split}", generated("g", split=split))
        assert not (tmp_path / f"bad-{split}").exists()


def test_other_classes_and_the_same_folder_twice_are_refused(write):
    real = write("real", example("a"), example("b", 1))
    other = write("other", example("c"), class_names=("melanoma", "nevus", "wart"))
    with pytest.raises(MelanomaError, match=r"expected the taxonomy of .*real.*found .*wart"):
        RecordSet.read([real, other])
    with pytest.raises(MelanomaError, match="real is given twice"):
        RecordSet.read([real, real])
    with pytest.raises(MelanomaError, match="expected a record folder; found none"):
        RecordSet.read([])


def test_a_classifier_trains_on_several_folders(write, tmp_path, tiny_backbone):
    real = write("real", *(example(f"r{i}", i % 2) for i in range(6)),
                 *(example(f"v{i}", i % 2, split="validation") for i in range(4)))  # fmt: skip
    made = write("made", generated("g0"), generated("g1"))
    balanced = BatchSettings(balance="batch")
    network = NetworkSettings("small", "none", 32)
    settings = ClassifierSettings(epochs=1, batch_size=4, network=network, batches=balanced)
    history = train_classifier([made, real], tmp_path / "run", settings)
    assert len(history["val_auc"]) == 1
    changed = dataclasses.replace(settings, batches=BatchSettings())
    with pytest.raises(MelanomaError, match=r"batches.balance was 'batch', is 'none' now"):
        train_classifier([made, real], tmp_path / "run", changed, resume=True)
    with pytest.raises(MelanomaError, match="records was"):
        train_classifier(real, tmp_path / "run", settings, resume=True)
