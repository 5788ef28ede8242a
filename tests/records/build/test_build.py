import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.source import Source
from melanoma_tf.records.build.build import BuildSettings, build_records
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
