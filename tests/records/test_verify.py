import dataclasses
import json

import cv2
import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.records.encode import Encoding, encode_image, encode_mask
from melanoma_tf.records.schema import Example
from melanoma_tf.records.shards import Sharding
from melanoma_tf.records.verify import verify_records
from melanoma_tf.records.writer import Description, write_records

NAMES = ("melanoma", "nevus")
IMAGE = np.full((8, 10, 3), 90, np.uint8)


def example(index, **fields):
    mask = np.zeros((8, 10), np.uint8)
    mask[2:4] = 255
    values = {
        "image": encode_image(IMAGE, Encoding(image_format="png")), "image_format": "png",
        "height": 8, "width": 10, "mask": encode_mask(mask), "key": f"K{index}",
        "label": index % 2, "label_text": NAMES[index % 2], "source": "made",
        "split": "train" if index % 4 else "test",
    }  # fmt: skip
    return Example(**{**values, **fields})


@pytest.fixture
def write(tmp_path):
    def run(examples, shards=2):
        examples = list(examples)
        splits = [item.split for item in examples]
        sharding = Sharding(shards=shards, expected={s: splits.count(s) for s in set(splits)})
        output = tmp_path / "out"
        write_records(examples, output, Description("made", NAMES, {}, {}), sharding=sharding)
        return output

    return run


def test_a_sound_folder_has_no_problem(write):
    assert verify_records(write(example(index) for index in range(12))) == []


def test_a_flipped_byte_is_found_and_its_shard_named(write):
    folder = write(example(index) for index in range(12))
    shard = folder / "train-00001-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    problems = verify_records(folder)
    assert any(p.startswith("train-00001-of-00002.tfrecord: SHA-256 differs") for p in problems)
    assert all("train-00000" not in problem for problem in problems)


def test_all_problems_are_listed_at_once(write):
    folder = write(example(index) for index in range(12))
    (folder / "train-00007-of-00009.tfrecord").write_bytes(b"")
    shard = folder / "test-00000-of-00002.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-5])
    text = "\n".join(verify_records(folder))
    assert "train-00007-of-00009.tfrecord: a shard that the manifest does not list" in text
    assert "test-00000-of-00002.tfrecord: expected" in text
    assert "test-00000-of-00002.tfrecord: SHA-256 differs" in text
    assert "cannot be read after" in text


def test_counts_that_differ_from_the_manifest_are_found(write):
    folder = write(example(index) for index in range(12))
    manifest = read_checked_json(folder / "manifest.json")
    manifest["counts"][0]["count"] += 1
    manifest["shards"][0]["count"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    problems = verify_records(folder)
    assert any("expected 5 examples, found 4" in problem for problem in problems)
    assert any(problem.startswith("test / melanoma / made / real") for problem in problems)


def test_a_missing_shard_is_refused(write):
    folder = write(example(index) for index in range(12))
    (folder / "train-00000-of-00002.tfrecord").unlink()
    with pytest.raises(MelanomaError, match="train-00000-of-00002"):
        verify_records(folder)


GREY_MASK = cv2.imencode(".png", np.full((8, 10), 7, np.uint8))[1].tobytes()
SMALL_MASK = encode_mask(np.zeros((4, 5), np.uint8))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"height": 9}, "the size of the image differs from the stated one"),
        ({"image": b"\x89PNG\r\n\x1a\nno"}, "the image: truncated: the PNG data"),
        ({"image_format": "jpeg"}, "does not have the stated format 'jpeg'"),
        ({"mask": b"nothing"}, "the mask: expected a JPEG, PNG"),
        ({"mask": SMALL_MASK}, "the size of the mask differs"),
        ({"mask": GREY_MASK}, "values other than 0 and 255"),
        ({"age": -3.0}, "negative age"),
    ],
)
def test_a_bad_record_is_found_and_its_key_named(write, fields, message):
    folder = write([example(1), dataclasses.replace(example(2), **fields)], shards=1)
    (problem, *_) = verify_records(folder)
    assert message in problem
    assert "train-00000-of-00001.tfrecord" in problem
    assert "K2" in problem


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"patient_id": "P"}, {"patient_id": "P"}, "patient made/P is in test and train"),
        ({"lesion_id": "L"}, {"lesion_id": "L"}, "lesion made/L is in test and train"),
        ({"key": "A"}, {"key": "A", "origin": "purified", "parent": "A"}, "image made/A"),
        (
            {"key": "ISIC_0000001_downsampled", "source": "isic2019"},
            {"key": "ISIC_0000001", "source": "isic2017"},
            "image isic/ISIC_0000001 is in test and train",
        ),
    ],
)
def test_leakage_between_splits_is_found(write, first, second, message):
    folder = write(
        [example(0, split="train", **first), example(2, split="test", **second)], shards=1
    )
    (problem,) = verify_records(folder)
    assert message in problem


def test_equal_ids_of_unrelated_sources_are_no_leakage(write):
    folder = write(
        [
            example(1, split="train", source="ph2", lesion_id="1", key="A"),
            example(2, split="test", source="dermofit", lesion_id="1", key="A"),
        ],
        shards=1,
    )
    assert verify_records(folder) == []


def test_generated_images_may_stand_in_train_only(write, monkeypatch):
    # Ours refuses to write such a folder; another tool may have.
    monkeypatch.setattr("melanoma_tf.records.shards.ShardWriter._check", lambda *example: None)
    folder = write(
        [
            example(1, split="train", origin="generated", parent="runs/gan"),
            example(2, split="test", origin="generated", parent="runs/gan"),
        ],
        shards=1,
    )
    (problem,) = verify_records(folder)
    assert "a generated image in test" in problem
