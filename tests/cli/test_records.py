"""The record commands as a user runs them, on a small folder in the ISIC 2017 layout."""

import os
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from melanoma_tf.cli import main
from melanoma_tf.records.decode import decode_stored_mask
from melanoma_tf.records.read import read_examples
from tests.conftest import cli_runner


@pytest.fixture(scope="module")
def isic2017(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isic2017")
    images = folder / "ISIC-2017_Training_Data"
    masks = folder / "ISIC-2017_Training_Part1_GroundTruth"
    images.mkdir()
    masks.mkdir()
    generator = np.random.default_rng(0)
    rows = ["image_id,melanoma,seborrheic_keratosis"]
    for index in range(24):
        key = f"ISIC_{index:07d}"
        rows.append(f"{key},{float(index % 3 == 0)},{float(index % 3 == 1)}")
        if index < 20:
            coarse = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            cv2.imwrite(str(images / f"{key}.jpg"), cv2.resize(coarse, (80, 60)))
            cv2.imwrite(str(masks / f"{key}_segmentation.png"), np.zeros((60, 80), np.uint8))
    (folder / "ISIC-2017_Training_Part3_GroundTruth.csv").write_text("\n".join(rows) + "\n")
    return folder


def invoke(*arguments):
    """In this process, which loads TensorFlow only once."""
    return cli_runner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def build(isic2017):
    def run(output, *options, folder=isic2017):
        return invoke(
            "build-records", "--add", f"isic2017={folder}", "--taxonomy", "isic2017",
            "--output", output, "--image-size", "32", "--workers", "1", *options,
        )  # fmt: skip

    return run


def test_build_inspect_and_verify(build, tmp_path):
    built = build(tmp_path / "out")
    assert built.exit_code == 0, built.stderr
    assert "4 rows have no image file, the first: ISIC_0000020, ISIC_0000021" in built.stderr
    assert "divided 0.7/0.15/0.15 by patient and lesion" in built.stdout
    assert "seborrheic_keratosis" in built.stdout

    shown = invoke("inspect", tmp_path / "out", "--contact-sheet", tmp_path / "sheet.png")
    assert shown.exit_code == 0, shown.stderr
    assert "CC0" in shown.stdout
    assert "Codella" in shown.stdout
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
    again = invoke("inspect", tmp_path / "out", "--contact-sheet", tmp_path / "sheet.png")
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr

    verified = invoke("verify-records", tmp_path / "out")
    assert verified.exit_code == 0, verified.stderr
    assert "20 examples" in verified.stdout

    shard = next((tmp_path / "out").glob("train-*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    verified = invoke("verify-records", tmp_path / "out")
    assert verified.exit_code == 1
    assert shard.name in verified.stdout


def test_a_folder_from_the_field_is_read_and_nothing_left_out_in_silence(tmp_path):
    data = tmp_path / "data"
    (data / "nevus").mkdir(parents=True)
    (data / "masks").mkdir()
    generator = np.random.default_rng(0)
    lesion = np.zeros((60, 80), np.uint8)
    lesion[20:40, 20:60] = 1
    for index, suffix in enumerate((".jpg", ".bmp", ".tif", ".webp", ".JFIF")):
        coarse = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        image = Image.fromarray(cv2.resize(coarse, (80, 60)))
        image.save(data / "nevus" / f"p{index}{suffix}")
    palette = Image.fromarray(lesion)
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(data / "masks" / "p0.png")
    Image.fromarray(lesion).save(data / "masks" / "p1_segmentation.png")
    Image.fromarray(np.dstack([lesion * 255, lesion * 0, lesion * 0])).save(data / "masks/p2.png")
    Image.fromarray(lesion + 1).save(data / "masks" / "p3.png")
    Image.fromarray(255 - lesion * 255).save(data / "masks" / "p4.png")
    (data / "nevus" / "p0.png").write_bytes(b"")
    (data / "nevus" / "._p0.jpg").write_bytes(b"Mac OS X")
    (data / "nevus" / "gone.jpg").symlink_to(data / "nowhere.jpg")
    os.mkfifo(data / "nevus" / "pipe.jpg")
    output = tmp_path / "out"
    built = invoke(
        "build-records", "--add", f"folder={data}", "--taxonomy", "melanoma", "--split", "1/0/0",
        "--output", output, "--workers", "1", "--skip-bad",
    )  # fmt: skip
    assert built.exit_code == 0, built.stderr
    for line in (
        "1 x second file of its name, the first: p0.png",
        "1 x hidden file, the first: ._p0.jpg",
        "1 x link to nothing, the first: gone.jpg",
        "1 x no regular file, the first: pipe.jpg",
        "folder: 1 masks have more lesion along the border than in the middle",
        "p3.png: mask without lesion by its values (1, 2)",
    ):
        assert line in built.stderr
    examples = {example.key: example for example in read_examples(output)}
    assert sorted(examples) == ["p0", "p1", "p2", "p4"]
    for key in ("p0", "p1", "p2"):
        stored = decode_stored_mask(examples[key].mask)
        np.testing.assert_array_equal(stored, lesion * 255)


def test_unreadable_images_make_the_exit_code_1_unless_accepted(build, isic2017, tmp_path):
    folder = tmp_path / "raw"
    shutil.copytree(isic2017, folder)
    truncated, bomb = (
        folder / "ISIC-2017_Training_Data" / f"ISIC_000000{number}.jpg" for number in (3, 5)
    )
    truncated.write_bytes(truncated.read_bytes()[:-50])
    # A PNG header that claims 100,000 x 100,000 pixels.
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    parts = b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (header, b"IDAT" + zlib.compress(b"\0" * 1_000_000), b"IEND")
    )
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    built = build(tmp_path / "out", folder=folder)
    assert built.exit_code == 1
    assert "ISIC_0000003.jpg: truncated: the JPEG data end too early" in built.stderr
    assert "ISIC_0000005.jpg: claims 100000x100000 = 10,000.0 megapixels" in built.stderr
    assert "--skip-bad" in built.stderr
    assert "Traceback" not in built.stderr
    built = build(tmp_path / "accepted", "--skip-bad", folder=folder)
    assert built.exit_code == 0
    assert "ISIC_0000003.jpg" in built.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--require-all",), "4 have none"),
        (("--split", "0.5/0.5"), "TRAIN/VALIDATION/TEST"),
        (("--workers", "0"), "found 0"),
        (("--add", "nowhere"), "NAME=DIR"),
        (("--add", "isic1999=DIR"), "isic1999"),
    ],
)
def test_bad_values_give_one_line_and_leave_nothing(build, tmp_path, options, message):
    built = build(tmp_path / "out", *options)
    assert built.exit_code == 1
    assert message in built.stderr
    assert built.stderr.strip().count("\n") == 0, built.stderr
    assert built.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "webp"), "'webp' is not one of 'jpeg', 'png'"),
        (("--taxonomy", "isic1999"), "'isic1999' is not one of 'isic2017'"),
        (("--image-size", "0"), "0 is not in the range x>=1"),
        (("--quality", "101"), "101 is not in the range 1<=x<=100"),
        (("--shards", "0"), "0 is not in the range x>=1"),
    ],
)
def test_values_out_of_range_are_refused_by_the_parser(build, tmp_path, options, message):
    built = build(tmp_path / "out", *options)
    assert built.exit_code == 2
    assert message in built.stderr.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_is_resumed_or_announced_as_thrown_away(build, isic2017, tmp_path):
    from melanoma_tf.datasets.catalogue import list_source
    from melanoma_tf.records.build.build import BuildSettings, build_records

    def interrupt(results, total):
        for index, result in enumerate(results):
            if index == 12:
                raise KeyboardInterrupt
            yield result

    for name in ("resumed", "again"):
        with pytest.raises(KeyboardInterrupt):
            build_records(
                [list_source("isic2017", isic2017)],
                BuildSettings("isic2017", image_size=32, shards=3),
                tmp_path / name,
                progress=interrupt,
            )
    built = build(tmp_path / "resumed", "--shards", "3", "--resume")
    assert built.exit_code == 0, built.stderr
    assert "interrupted" not in built.stderr
    built = build(tmp_path / "again", "--shards", "3")
    assert built.exit_code == 0, built.stderr
    assert "discarding an interrupted build" in built.stderr
    for name in ("resumed", "again"):
        assert invoke("verify-records", tmp_path / name).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"resumed", "again"}


def test_nothing_is_overwritten_unasked(build, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    built = build(tmp_path / "out")
    assert built.exit_code == 1
    assert "--overwrite" in built.stderr
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_a_folder_that_is_no_record_folder_gives_one_line(tmp_path):
    for command in ("inspect", "verify-records"):
        done = invoke(command, tmp_path)
        assert done.exit_code == 1
        assert "manifest.json" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["build-records", "inspect", "verify-records"])
def test_help_has_an_example(command):
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    assert f"melanoma-tf {command}" in shown.stdout
