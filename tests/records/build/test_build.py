import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.source import Source
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.verify import verify_records

SETTINGS = BuildSettings("isic2017", image_size=24, shards=2)


def decode(encoded, flags=cv2.IMREAD_COLOR):
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)


def test_every_image_comes_out_as_opencv_makes_it(make_listing, tmp_path):
    listing = make_listing(12)
    settings = dataclasses.replace(SETTINGS, image_format="png", split="official")
    build_records([listing], settings, tmp_path / "out")
    by_key = {example.key: example for example in read_examples(tmp_path / "out")}
    assert by_key.keys() == {lesion.key for lesion in listing.lesions}
    for lesion in listing.lesions:
        example = by_key[lesion.key]
        expected = cv2.resize(
            cv2.imread(str(lesion.image_path)), (32, 24), interpolation=cv2.INTER_AREA
        )
        np.testing.assert_array_equal(decode(example.image), expected)
        assert (example.height, example.width) == (24, 32)
        assert example.label_text == lesion.diagnosis
        mask = decode(example.mask, cv2.IMREAD_UNCHANGED)
        source = cv2.imread(str(lesion.mask_path), cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(mask, source[1::2, 1::2])


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_no_metadata_of_the_file_reaches_the_records(make_listing, tmp_path, image_format):
    listing = make_listing(3)
    exif = Image.Exif()
    exif[0x010E] = "SECRET patient name"
    exif[0x0112] = 6
    for lesion in listing.lesions:
        image = Image.open(lesion.image_path)
        image.save(lesion.image_path, "JPEG", exif=exif, comment=b"SECRET comment")
        assert b"SECRET" in lesion.image_path.read_bytes()
    lesions = tuple(dataclasses.replace(lesion, mask_path=None) for lesion in listing.lesions)
    listing = dataclasses.replace(listing, lesions=lesions)
    settings = dataclasses.replace(SETTINGS, image_format=image_format, split="official")
    build_records([listing], settings, tmp_path / "out")
    for example in read_examples(tmp_path / "out"):
        assert b"SECRET" not in example.image
        # Turned upright by its EXIF, which is gone: 64x48 stands on its short side.
        assert (example.height, example.width) == (32, 24)
        assert decode(example.image, cv2.IMREAD_UNCHANGED).shape == (32, 24, 3)


def test_what_is_known_of_a_lesion_stands_in_its_record(make_lesion, make_listing, tmp_path):
    known = make_lesion(
        1, lesion_id="L1", patient_id="P1", age=45, sex="female", site="back", key="KNOWN"
    )
    unknown = dataclasses.replace(make_lesion(2, key="UNKNOWN"), mask_path=None)
    listing = dataclasses.replace(make_listing(0), lesions=(known, unknown))
    build_records([listing], dataclasses.replace(SETTINGS, split="official"), tmp_path / "out")
    by_key = {example.key: example for example in read_examples(tmp_path / "out")}
    example = by_key["KNOWN"]
    found = (example.lesion_id, example.patient_id, example.age, example.sex, example.site)
    assert found == ("L1", "P1", 45.0, "female", "back")
    example = by_key["UNKNOWN"]
    assert (example.lesion_id, example.patient_id, example.sex, example.site) == ("",) * 4
    assert np.isnan(example.age)
    assert example.mask == b""


def test_equal_bytes_with_one_and_two_workers(make_listing, tmp_path, shard_bytes):
    listing = make_listing(30)
    one = build_records([listing], SETTINGS, tmp_path / "one", workers=1)
    two = build_records([listing], SETTINGS, tmp_path / "two", workers=2)
    assert shard_bytes(tmp_path / "one") == shard_bytes(tmp_path / "two")
    assert one == two
    assert len(one.shards) == 6


def test_unreadable_images_are_left_out_and_named(make_listing, tmp_path):
    listing = make_listing(6)
    listing.lesions[2].image_path.write_bytes(b"GIF89a")
    manifest = build_records([listing], SETTINGS, tmp_path / "out")
    (row,) = manifest.skipped
    assert (row["source"], row["key"], row["file"]) == ("made", "IMG_0002", "IMG_0002.png")
    assert manifest.count() == 5
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text()
    (problem,) = verify_records(tmp_path / "out")
    assert "not accepted with --skip-bad" in problem
    accepted = dataclasses.replace(SETTINGS, skip_bad=True)
    build_records([listing], accepted, tmp_path / "accepted")
    assert verify_records(tmp_path / "accepted") == []


def test_missing_images_are_an_error_when_all_are_required(make_listing, tmp_path):
    listing = make_listing(3, missing=["M1", "M2"])
    build_records([listing], SETTINGS, tmp_path / "out")
    with pytest.raises(MelanomaError, match=r"made: .*2 have none, the first: M1, M2"):
        build_records([listing], dataclasses.replace(SETTINGS, require_all=True), tmp_path / "all")
    assert not (tmp_path / "all").exists()


KILLED = """
import pickle, sys, time
from pathlib import Path

def slowly(results, total):
    for index, result in enumerate(results):
        yield result
        print(index, flush=True)
        time.sleep(0.05)

if __name__ == "__main__":
    from melanoma_tf.records.build.build import build_records
    listing, settings = pickle.loads(Path(sys.argv[1]).read_bytes())
    build_records([listing], settings, Path(sys.argv[2]), workers=2, progress=slowly)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def killed_build(tmp_path):
    """A function that kills a build of two workers after some images, and gives its children."""
    import pickle

    def run(listing, settings, output, after: int) -> list[int]:
        (tmp_path / "build.py").write_text(KILLED)
        (tmp_path / "listing").write_bytes(pickle.dumps((listing, settings)))
        repository = Path(__file__).resolve().parents[2]
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "build.py"), str(tmp_path / "listing"), str(output)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(repository)},
        )  # fmt: skip
        for line in process.stdout:
            if int(line) == after:
                break
        tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
        children = [int(pid) for path in tasks for pid in path.read_text().split()]
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        return children

    return run


def test_a_killed_build_leaves_nothing_that_is_accepted(
    make_listing, tmp_path, killed_build, shard_bytes
):
    listing = make_listing(40)
    children = killed_build(listing, SETTINGS, tmp_path / "out", after=20)
    assert not (tmp_path / "out").exists()
    for left in tmp_path.glob(".out*"):
        with pytest.raises(MelanomaError, match=r"no manifest\.json|expected a record folder"):
            read_manifest(left)
    build_records([listing], SETTINGS, tmp_path / "out")
    assert verify_records(tmp_path / "out") == []
    build_records([listing], SETTINGS, tmp_path / "whole")
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")
    # The workers of a killed build end by themselves.
    assert len(children) >= 2
    deadline = time.monotonic() + 20
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, children))


def list_clinic(folder):
    """One folder per class, as `docs/adding.md` shows it."""
    lesions = [
        Lesion(path.stem, path, None, path.parent.name, "clinic", "train")
        for path in sorted(folder.glob("*/*.png"))
    ]
    return Listing("clinic", tuple(lesions))


def test_a_data_set_from_outside_the_package_becomes_records(tmp_path):
    for index in range(20):
        path = tmp_path / "data" / ("melanoma" if index % 2 else "nevus") / f"C{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(index).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(path), noise)
    clinic = Source("clinic", list_clinic, licence="CC0-1.0", attribution="Our clinic, 2024")
    listing = list_source(clinic, tmp_path / "data")
    manifest = build_records([listing], SETTINGS, tmp_path / "out")
    assert manifest.count(source="clinic", class_name="melanoma") == 10
    assert manifest.sources == {"clinic": {"licence": "CC0-1.0", "attribution": "Our clinic, 2024"}}
    assert set(manifest.splits()) == {"train", "validation", "test"}
    assert verify_records(tmp_path / "out") == []
