"""What becomes of duplicates in a build: planted copies between the splits of record folders."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.lesion import Lesion, Listing, taxonomy_named
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.build.plan import SplitPolicy, label_rows, make_plan
from melanoma_tf.records.read import read_shard
from melanoma_tf.records.verify import verify_records

SETTINGS = BuildSettings("isic2017", image_size=96)


def picture(seed, height=120, width=150):
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((4, 60), (9, 35), (20, 20), (45, 10)):
        coarse = generator.standard_normal((cells, cells, 3)).astype(np.float32)
        image += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + 128, 0, 255).astype(np.uint8)


def planted(image):
    """Cropped by 2 %, mirrored, smaller, and compressed again."""
    part = np.ascontiguousarray(image[2:-2, 3:-3][:, ::-1])
    return cv2.resize(part, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)


@pytest.fixture
def source(tmp_path):
    """A function that makes a data set of images: (key, split, image) rows."""

    def make(name, rows):
        lesions = []
        for key, split, image in rows:
            path = tmp_path / "images" / f"{name}-{key}.jpg"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 80])
            lesions.append(Lesion(key, path, None, "nevus", name, split))
        return Listing(name, tuple(lesions), (), "CC0-1.0", name)

    return make


@pytest.fixture
def with_copy(source):
    """Images 0 to 9 with the official splits of a challenge; a copy of test image 9 in train."""
    rows = [(f"K{index}", "test" if index >= 7 else "train", picture(index)) for index in range(10)]
    return source("isic2017", [*rows, ("COPY", "train", planted(picture(9)))])


def placed(folder):
    return {
        f"{example.source}/{example.key}": example.split
        for path in folder.glob("*.tfrecord")
        for example in read_shard(path)
    }


def build(listings, output, **changes):
    return build_records(listings, dataclasses.replace(SETTINGS, **changes), output)


def test_a_planted_copy_of_a_test_image_leaves_the_training_set(with_copy, tmp_path):
    for how in ("group", "drop"):
        manifest = build([with_copy], tmp_path / how, duplicates=how)
        found = placed(tmp_path / how)
        assert "isic2017/COPY" not in found
        assert sorted(name for name, split in found.items() if split == "test") == [
            "isic2017/K7", "isic2017/K8", "isic2017/K9",
        ]  # fmt: skip
        (cluster,) = manifest.findings["duplicates"]["clusters"]
        assert cluster["images"] == ["isic2017/K9", "isic2017/COPY"]
        assert verify_records(tmp_path / how) == []
    assert manifest.findings["duplicates"]["dropped"] == ["isic2017/COPY"]


def test_keep_reports_and_verify_objects(with_copy, tmp_path):
    manifest = build([with_copy], tmp_path / "out", duplicates="keep")
    assert len(manifest.findings["duplicates"]["clusters"]) == 1
    assert manifest.count() == 11
    (problem,) = verify_records(tmp_path / "out")
    assert "isic2017/K9" in problem
    assert "isic2017/COPY" in problem
    assert "same picture" in problem


def test_copies_in_a_divided_source_come_into_one_split(source, tmp_path):
    images = [picture(index) for index in range(12)]
    rows = [(f"K{index}", "train", image) for index, image in enumerate(images)]
    rows += [(f"C{index}", "train", planted(image)) for index, image in enumerate(images)]
    listing = source("made", rows)
    build([listing], tmp_path / "grouped")
    found = placed(tmp_path / "grouped")
    assert len(found) == 24
    assert set(found.values()) == {"train", "validation", "test"}
    assert all(found[f"made/K{index}"] == found[f"made/C{index}"] for index in range(12))
    assert verify_records(tmp_path / "grouped") == []
    # The copies are the smaller ones.
    build([listing], tmp_path / "dropped", duplicates="drop")
    assert sorted(placed(tmp_path / "dropped")) == sorted(f"made/K{index}" for index in range(12))


def test_a_name_in_two_sources_is_a_duplicate_that_drop_drops(source, tmp_path):
    image = picture(1)
    first = source(
        "isic2017", [("ISIC_0000001", "test", image), ("ISIC_0000002", "train", picture(2))]
    )
    second = source("isic2019", [("ISIC_0000001_downsampled", "train", image),
                                 ("ISIC_0000003", "train", picture(3))])  # fmt: skip
    manifest = build([first, second], tmp_path / "out", duplicates="drop")
    assert manifest.findings["duplicates"]["dropped"] == ["isic2019/ISIC_0000001_downsampled"]
    assert len(placed(tmp_path / "out")) == 3


def test_a_kept_split_holds_its_own_images_all_of_them_and_no_other(source, tmp_path):
    challenge = source(
        "isic2017",
        [(f"K{index}", "test" if index < 4 else "train", picture(index)) for index in range(10)],
    )
    other = source(
        "ph2",
        [("COPY", "train", planted(picture(2)))]
        + [(f"P{index}", "train", picture(100 + index)) for index in range(10)],
    )
    kept = {f"isic2017/K{index}" for index in range(4)}
    for split in ("auto", "0.6/0.2/0.2"):
        output = tmp_path / split.replace("/", "-")
        manifest = build([challenge, other], output, split=split, keep_split=("test=isic2017",))
        found = placed(output)
        assert {name for name, where in found.items() if where == "test"} == kept
        assert "ph2/COPY" not in found
        assert manifest.findings["held_out_elsewhere"] == {"ph2": 1}
        assert {where for name, where in found.items() if name.startswith("ph2")} == {
            "train", "validation",
        }  # fmt: skip
        assert verify_records(output) == []


TAXONOMY = taxonomy_named("isic2017")


@pytest.mark.parametrize(
    ("split", "keep", "message"),
    [
        ("auto", {("isic2017", "test")}, "isic2017 to have test images to keep; found none"),
        ("auto", {("ph2", "test")}, "ph2 to have test images"),
        ("0/0/1", {("isic2017", "validation"), ("isic2017", "test")}, "isic2017"),
    ],
)
def test_a_split_that_is_not_there_cannot_be_kept(source, split, keep, message):
    listing = source("isic2017", [("A", "train", picture(0)), ("B", "validation", picture(1))])
    with pytest.raises(MelanomaError, match=message):
        label_rows([listing], TAXONOMY, SplitPolicy(split, keep=frozenset(keep)))


def test_fractions_that_give_all_to_a_kept_split_are_refused(source):
    listing = source("isic2017", [("A", "train", picture(0)), ("B", "test", picture(1))])
    policy = SplitPolicy("0/0/1", keep=frozenset({("isic2017", "test")}))
    labelled = label_rows([listing], TAXONOMY, policy)
    with pytest.raises(MelanomaError, match="gives all to test"):
        make_plan(labelled, policy)


def command(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_says_what_it_found(tmp_path):
    folder = tmp_path / "raw" / "nevus"
    folder.mkdir(parents=True)
    for index in range(4):
        cv2.imwrite(str(folder / f"K{index}.png"), picture(index))
    cv2.imwrite(str(folder / "COPY.jpg"), planted(picture(3)))
    arguments = ("build-records", "--add", f"folder={tmp_path / 'raw'}", "--taxonomy", "melanoma",
                 "--workers", "1")  # fmt: skip
    done = command(*arguments, "--output", tmp_path / "out", "--duplicates", "drop")
    assert done.exit_code == 0, done.output
    assert "2 images show 1 pictures; one of each is kept; 1 dropped" in done.output
    assert "folder/COPY = folder/K3" in done.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["findings"]["duplicates"]["dropped"] == ["folder/COPY"]
    for option, message in (
        (("--duplicates", "merge"), "'merge' is not one of"),
        (("--keep-split", "isic2017"), "test=SOURCE"),
        (("--keep-split", "test=folder"), "found none"),
    ):
        done = command(*arguments, "--output", tmp_path / "no", *option)
        assert done.exit_code != 0
        assert message in done.output
        assert not (tmp_path / "no").exists()
