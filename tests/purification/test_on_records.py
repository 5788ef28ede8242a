"""Purified record folders, against phantoms whose occlusions are known."""

import cv2
import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.purification.on_records import purify_records
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.decode import decode_image
from melanoma_tf.records.encode import Encoding, encode_image, encode_mask
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example
from melanoma_tf.records.verify import verify_records
from melanoma_tf.records.writer import Description, write_records

CLASSES = ("melanoma", "nevus")
# Above what pigment of a phantom is taken for hair at this size, below what a hairy one shows.
SOME = 0.05
PLAIN = PurificationSettings(method="classical", segmenter="none")
CLEAR = {"ruler": 0, "ink": 0, "bubbles": 0, "dark_corners": 0}


def phantom_of(index):
    """Odd ones are hairy, even ones are clear."""
    settings = PhantomSettings(size_px=(96, 128), hairs=index % 2, **CLEAR)
    return draw_phantom(CLASSES[index // 2 % 2], index, settings)


def example(index, phantom, **fields):
    row = {
        "image": encode_image(phantom.image, Encoding(image_format="png")),
        "image_format": "png",
        "height": 96,
        "width": 128,
        "key": f"P_{index}",
        "mask": encode_mask(phantom.lesion_mask),
        "label": CLASSES.index(phantom.class_name),
        "label_text": phantom.class_name,
        "source": "phantom",
        "split": "train" if index < 6 else "test",
        "patient_id": f"patient_{index}",
        "age": 40.0 + index,
    }
    return Example(**{**row, **fields})


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A record folder of eight phantoms, every other one with hairs."""
    folder = tmp_path_factory.mktemp("records") / "original"
    write_records(
        (example(index, phantom_of(index)) for index in range(8)),
        folder,
        Description(
            "isic2017",
            CLASSES,
            settings={"image_size": 96},
            sources={"phantom": {"licence": "CC0-1.0", "attribution": "none"}},
        ),
    )
    return folder


def test_hairy_images_get_a_copy_in_the_split_of_their_parent(records, tmp_path):
    manifest = purify_records(
        records,
        tmp_path / "out",
        PurificationSettings(method="classical", segmenter="none", min_occlusion=SOME),
    )
    originals = {row.key: row for row in read_examples(records)}
    written = {row.key: row for row in read_examples(tmp_path / "out")}
    assert {key: written[key] for key in originals} == originals
    copies = [row for row in written.values() if row.origin == "purified"]
    assert {row.parent for row in copies} == {f"P_{index}" for index in (1, 3, 5, 7)}
    for copy in copies:
        parent = originals[copy.parent]
        assert copy.key not in originals
        for name in ("split", "mask", "label", "label_text", "source", "patient_id", "age"):
            assert getattr(copy, name) == getattr(parent, name)
        phantom = phantom_of(int(copy.parent[2:]))
        truth = phantom.occlusion_mask > 0
        before, after = (
            np.mean((decode_image(row.image)[truth].astype(float) - phantom.clean[truth]) ** 2)
            for row in (parent, copy)
        )
        assert after < 0.5 * before
    assert manifest.count(origin="purified") == 4
    assert manifest.settings["purify"]["min_occlusion"] == SOME
    assert verify_records(tmp_path / "out") == []


def test_replacing_keeps_keys_and_number(records, tmp_path):
    purify_records(
        records,
        tmp_path / "out",
        PurificationSettings(
            method="classical", segmenter="none", min_occlusion=SOME, replace=True
        ),
    )
    originals = list(read_examples(records))
    written = list(read_examples(tmp_path / "out"))
    assert [row.key for row in written] == [row.key for row in originals]
    for old, new in zip(originals, written):
        hairy = int(old.key[2:]) % 2 == 1
        assert new.origin == ("purified" if hairy else "real")
        assert new.parent == (old.key if hairy else "")
        assert (new.image != old.image) == hairy


def test_the_threshold_decides_which_images_are_purified(records, tmp_path):
    for threshold, copies in ((1.0, 0), (SOME, 4)):
        folder = tmp_path / str(threshold)
        manifest = purify_records(
            records,
            folder,
            PurificationSettings(method="classical", segmenter="none", min_occlusion=threshold),
        )
        assert manifest.count(origin="purified") == copies


def test_same_input_same_bytes_whatever_the_workers(records, tmp_path):
    for workers in (1, 3):
        settings = PurificationSettings(method="classical", segmenter="none", workers=workers)
        purify_records(records, tmp_path / str(workers), settings)
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.tfrecord")}
        for name in ("1", "3")
    )
    assert one == other


def test_jpeg_records_stay_jpeg_and_generated_images_are_left_alone(tmp_path):
    phantom = phantom_of(1)
    jpeg = {"image": encode_image(phantom.image, Encoding()), "image_format": "jpeg"}
    rows = [
        example(1, phantom, **jpeg),
        example(2, phantom, **jpeg, origin="generated", parent="run-7"),
    ]
    sources = {"phantom": {"licence": "", "attribution": ""}}
    write_records(rows, tmp_path / "in", Description("isic2017", CLASSES, {}, sources))
    purify_records(tmp_path / "in", tmp_path / "out", PLAIN)
    written = list(read_examples(tmp_path / "out"))
    assert [row.origin for row in written] == ["real", "purified", "generated"]
    assert written[1].image[:3] == b"\xff\xd8\xff"
    decoded = cv2.imdecode(np.frombuffer(written[1].image, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (96, 128, 3)


def test_records_are_purified_once_and_never_in_place(records, tmp_path):
    purify_records(records, tmp_path / "out", PLAIN)
    with pytest.raises(MelanomaError, match="not purified yet"):
        purify_records(tmp_path / "out", tmp_path / "again", PLAIN)
    with pytest.raises(MelanomaError, match="apart from the input"):
        purify_records(records, records, PLAIN, overwrite=True)
    with pytest.raises(MelanomaError, match="--overwrite"):
        purify_records(records, tmp_path / "out", PLAIN)
    assert not (tmp_path / "again").exists()


def test_an_image_that_cannot_be_decoded_is_named_and_leaves_nothing(tmp_path):
    rows = [example(1, phantom_of(1)), example(2, phantom_of(2), image=b"junk")]
    sources = {"phantom": {"licence": "", "attribution": ""}}
    write_records(rows, tmp_path / "in", Description("isic2017", CLASSES, {}, sources))
    with pytest.raises(MelanomaError, match="P_2: "):
        purify_records(tmp_path / "in", tmp_path / "out", PLAIN)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_occlusion": 1.5}, r"within \[0, 1\]; found 1.5"),
        ({"min_occlusion": float("nan")}, r"within \[0, 1\]; found nan"),
        ({"method": "magic"}, "classical, bisla2019"),
        ({"quality": 0}, "quality within"),
    ],
)
def test_bad_settings_are_refused(records, tmp_path, settings, message):
    with pytest.raises(MelanomaError, match=message):
        purify_records(
            records,
            tmp_path / "out",
            PurificationSettings(**{"method": "classical", "segmenter": "none", **settings}),
        )
    assert not (tmp_path / "out").exists()


def test_the_command_writes_records_and_prints_what_was_added(records, tmp_path, invoke_command):
    done = invoke_command(
        "purify",
        records,
        "--output",
        tmp_path / "out",
        "--method",
        "classical",
        "--min-occlusion",
        SOME,
    )
    assert done.returncode == 0, done.stderr
    assert "purified" in done.stdout
    assert read_manifest(tmp_path / "out").count(origin="purified") == 4
    refused = invoke_command(
        "purify", records, "--output", tmp_path / "x", "--mask-output", tmp_path
    )
    assert refused.returncode == 1
    assert "--mask-output with images only" in refused.stderr
