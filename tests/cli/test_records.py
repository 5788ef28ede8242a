"""The record commands as a user runs them, on a small folder in the ISIC 2017 layout."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main


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


@pytest.fixture
def build(run_command, isic2017):
    def run(output, *options, folder=isic2017):
        return run_command(
            "build-records", "--add", f"isic2017={folder}", "--taxonomy", "isic2017",
            "--output", output, "--image-size", "32", "--workers", "1", *options,
        )  # fmt: skip

    return run


def test_build_inspect_and_verify(build, run_command, tmp_path):
    built = build(tmp_path / "out")
    assert built.returncode == 0, built.stderr
    assert "4 rows have no image file, the first: ISIC_0000020, ISIC_0000021" in built.stderr
    assert "divided 0.7/0.15/0.15 by patient and lesion" in built.stdout
    assert "seborrheic_keratosis" in built.stdout

    shown = run_command("inspect", tmp_path / "out", "--contact-sheet", tmp_path / "sheet.png")
    assert shown.returncode == 0, shown.stderr
    assert "CC0" in shown.stdout
    assert "Codella" in shown.stdout
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
    again = run_command("inspect", tmp_path / "out", "--contact-sheet", tmp_path / "sheet.png")
    assert again.returncode == 1
    assert "--overwrite" in again.stderr

    verified = run_command("verify-records", tmp_path / "out")
    assert verified.returncode == 0, verified.stderr
    assert "20 examples" in verified.stdout

    shard = next((tmp_path / "out").glob("train-*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    verified = run_command("verify-records", tmp_path / "out")
    assert verified.returncode == 1
    assert shard.name in verified.stdout


def test_unreadable_images_make_the_exit_code_1_unless_accepted(build, isic2017, tmp_path):
    import shutil

    folder = tmp_path / "raw"
    shutil.copytree(isic2017, folder)
    (folder / "ISIC-2017_Training_Data" / "ISIC_0000003.jpg").write_bytes(b"\xff\xd8 broken")
    built = build(tmp_path / "out", folder=folder)
    assert built.returncode == 1
    assert "ISIC_0000003.jpg" in built.stderr
    assert "--skip-bad" in built.stderr
    assert "Traceback" not in built.stderr
    built = build(tmp_path / "accepted", "--skip-bad", folder=folder)
    assert built.returncode == 0
    assert "ISIC_0000003.jpg" in built.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--require-all",), "4 have none"),
        (("--split", "0.5/0.5"), "TRAIN/VALIDATION/TEST"),
        (("--format", "webp"), "found 'webp'"),
        (("--image-size", "0"), "found 0"),
        (("--shards", "0"), "found 0"),
        (("--workers", "0"), "found 0"),
        (("--add", "nowhere"), "NAME=DIR"),
        (("--add", "isic1999=DIR"), "isic1999"),
    ],
)
def test_bad_options_give_one_line_and_leave_nothing(isic2017, tmp_path, options, message):
    arguments = [
        "build-records", "--add", f"isic2017={isic2017}", "--taxonomy", "isic2017",
        "--output", str(tmp_path / "out"), *options,
    ]  # fmt: skip
    built = CliRunner().invoke(main, arguments)
    assert built.exit_code == 1
    assert message in built.output
    assert built.output.strip().count("\n") == 0, built.output
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unasked(build, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    built = build(tmp_path / "out")
    assert built.returncode == 1
    assert "--overwrite" in built.stderr
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_a_folder_that_is_no_record_folder_gives_one_line(run_command, tmp_path):
    for command in ("inspect", "verify-records"):
        done = run_command(command, tmp_path)
        assert done.returncode == 1
        assert "manifest.json" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["build-records", "inspect", "verify-records"])
def test_help_has_an_example(run_command, command):
    shown = run_command(command, "--help")
    assert shown.returncode == 0
    assert f"melanoma-tf {command}" in shown.stdout
