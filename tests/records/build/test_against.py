"""Duplicates across record folders: builds against another folder, and folders that are mixed."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.verify import verify_records


def picture(seed, height=120, width=150):
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((4, 60), (9, 35), (20, 20), (45, 10)):
        coarse = generator.standard_normal((cells, cells, 3)).astype(np.float32)
        image += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + 128, 0, 255).astype(np.uint8)


def copied(image):
    """Mirrored, cropped on two sides and smaller."""
    part = np.ascontiguousarray(image[3:, 4:][:, ::-1])
    return cv2.resize(part, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)


@pytest.fixture
def source(tmp_path):
    """A function that makes a data set of images: (key, split, lesion, image) rows."""

    def make(name, rows):
        lesions = []
        for key, split, lesion_id, image in rows:
            path = tmp_path / "images" / f"{name}-{key}.jpg"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
            lesions.append(Lesion(key, path, None, "nevus", name, split, lesion_id=lesion_id))
        return Listing(name, tuple(lesions), (), "CC0-1.0", name)

    return make


@pytest.fixture
def first(source, tmp_path):
    """Records of images 0 to 11 with official splits, of lesions L0 to L11."""
    rows = [
        (f"K{index}", "test" if index >= 8 else "train", f"L{index}", picture(index))
        for index in range(12)
    ]
    build_records(
        [source("ham10000", rows)],
        BuildSettings("isic2017", image_size=96, split="official"),
        tmp_path / "first",
    )
    return tmp_path / "first"


def test_a_build_leaves_out_the_pictures_of_another_and_follows_its_splits(first, source, tmp_path):
    rows = [("COPY", "train", None, copied(picture(9)))]
    rows += [(f"N{index}", "train", None, picture(100 + index)) for index in range(10)]
    # Other photographs of lesions that the first folder has: one trains there, one is held out.
    rows += [("TRAINED", "train", "L1", picture(201)), ("HELD", "train", "L10", picture(202))]
    # The names of one archive mean the same lesions in all of its sources.
    second = source("isic2018", rows)
    settings = BuildSettings("isic2017", image_size=64, split="0.5/0.25/0.25")
    build_records([second], settings, tmp_path / "alone")
    with pytest.raises(MelanomaError, match=r"trained on or held out|are the same picture"):
        RecordSet.read([first, tmp_path / "alone"]).check_mixture()
    manifest = build_records([second], settings, tmp_path / "second", against=[first])
    splits = {example.key: example.split for example in read_examples(tmp_path / "second")}
    assert "COPY" not in splits
    assert (splits["TRAINED"], splits["HELD"]) == ("train", "test")
    assert len(splits) == 12
    assert manifest.findings["against"] == {
        "folders": ["first"],
        "left_out": True,
        "count": 1,
        "first": ["isic2018/COPY"],
    }
    RecordSet.read([first, tmp_path / "second"]).check_mixture()
    assert verify_records(tmp_path / "second") == []


def test_mixing_finds_a_picture_under_another_name(first, source, tmp_path):
    rows = [("COPY", "train", None, copied(picture(9))), ("NEW", "train", None, picture(50))]
    build_records(
        [source("clinic", rows)],
        BuildSettings("isic2017", image_size=96, split="official"),
        tmp_path / "clinic",
    )
    with pytest.raises(MelanomaError, match=r"ham10000/K9 in .*first and clinic/COPY in .*clinic"):
        RecordSet.read([first, tmp_path / "clinic"]).check_mixture()


def test_the_command_says_what_it_left_out(first, tmp_path):
    folder = tmp_path / "raw" / "nevus"
    folder.mkdir(parents=True)
    for name, image in (("a", copied(picture(3))), ("b", picture(60)), ("c", picture(61))):
        cv2.imwrite(str(folder / f"{name}.png"), image)
    arguments = ["build-records", "--add", f"folder={tmp_path / 'raw'}", "--taxonomy", "isic2017",
                 "--against", str(first), "--split", "1/0/0"]  # fmt: skip
    done = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "1 images left out: first has their pictures, the first: folder/a" in done.output
    kept = [*arguments, "--output", str(tmp_path / "kept"), "--duplicates", "keep"]
    done = CliRunner().invoke(main, kept)
    assert "1 images kept: first has their pictures" in done.output
    done = CliRunner().invoke(main, [*arguments, "--output", str(first), "--overwrite"])
    assert done.exit_code == 1
    assert "expected an output apart from the input" in done.output
