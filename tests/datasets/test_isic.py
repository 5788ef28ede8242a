from collections import Counter

import pytest

from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.errors import MelanomaError

HEADER = "image_id,melanoma,seborrheic_keratosis\r\n"


def isic2017_part(name, rows, images=(), masks=()):
    prefix = f"ISIC-2017_{name}"
    return {
        f"{prefix}_Part3_GroundTruth.csv": HEADER + "".join(f"{row}\r\n" for row in rows),
        **{f"{prefix}_Data/{key}.jpg": None for key in images},
        **{f"{prefix}_Part1_GroundTruth/{key}_segmentation.png": None for key in masks},
    }


def test_isic2017_of_all_three_parts(check_source):
    listing = check_source(
        "isic2017",
        {
            **isic2017_part("Training", ["ISIC_1,1.0,0", "ISIC_2,0.0,0"], ["ISIC_1"], ["ISIC_1"]),
            "ISIC-2017_Training_Data/ISIC_1_superpixels.png": None,
            **isic2017_part("Validation", ["ISIC_3,0.0,1.0"], ["ISIC_3"]),
            **isic2017_part("Test_v2", ["ISIC_4,0.0,0.0"], ["ISIC_4"], ["ISIC_4"]),
        },
        diagnoses={"ISIC_1": "melanoma", "ISIC_3": "seborrheic_keratosis", "ISIC_4": "nevus"},
        splits={"train": 1, "validation": 1, "test": 1},
        missing=["ISIC_2"],
        masks=["ISIC_1", "ISIC_4"],
    )  # fmt: skip
    assert listing.licence == "CC0-1.0"


def test_isic2017_of_one_part_with_a_bom_and_images_without_rows(check_source):
    files = isic2017_part("Test_v2", ["ISIC_4,0,0"], ["ISIC_4", "ISIC_5"])
    name = "ISIC-2017_Test_v2_Part3_GroundTruth.csv"
    check_source(
        "isic2017",
        {**files, name: "\ufeff" + files[name]},
        diagnoses={"ISIC_4": "nevus"},
        splits={"test": 1},
    )


def test_isic2017_labels_without_a_single_image_are_all_missing(check_source):
    files = isic2017_part("Training", ["ISIC_1,1,0", "ISIC_2,0,0"])
    check_source("isic2017", files, diagnoses={}, splits={}, missing=["ISIC_1", "ISIC_2"])


def test_isic2017_masks_without_labels_serve_a_segmenter(check_source):
    files = isic2017_part("Training", [], ["ISIC_1", "ISIC_2"], ["ISIC_1"])
    del files["ISIC-2017_Training_Part3_GroundTruth.csv"]
    check_source(
        "isic2017", files, diagnoses={"ISIC_1": "unknown"}, splits={"train": 1}, masks=["ISIC_1"]
    )


@pytest.mark.parametrize(
    "row", ["../escape,1,0", "/etc/passwd,1,0", "a/b,1,0", "a\\b,1,0", "..,0,0", "C:x,0,0", ",1,0"]
)
def test_an_id_that_would_leave_the_folder_is_refused(folder_of, row):
    folder = folder_of(isic2017_part("Training", ["ISIC_1,1,0", row], ["ISIC_1"]))
    with pytest.raises(MelanomaError, match=r"line 3: expected an image id without path"):
        list_source("isic2017", folder)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image_id,melanoma\nISIC_1,0\n", "expected the column seborrheic_keratosis; found"),
        ("", "found an empty one"),
        (HEADER + "ISIC_1,1,0\nISIC_1,1,0\n", "found ISIC_1 on lines 2 and 3"),
        (HEADER + "ISIC_1,1,1\n", "line 2: expected one diagnosis, found melanoma, seb"),
        (HEADER + "ISIC_1,0.5,0\n", "line 2: expected 0 or 1 in melanoma, found '0.5'"),
        (HEADER + "ISIC_1,NaN,0\n", "line 2: expected 0 or 1 in melanoma, found ''"),
        (HEADER + "ISIC_1,yes,0\n", "line 2: expected a number in melanoma, found 'yes'"),
        (HEADER + "ISIC_1,1\n", "line 2: expected 3 fields, found 2"),
        ("image_id,melanoma,melanoma\n", "found 'melanoma' twice"),
    ],
)  # fmt: skip
def test_a_faulty_table_is_named_in_one_line(folder_of, table, message):
    folder = folder_of({"ISIC-2017_Training_Part3_GroundTruth.csv": table})
    with pytest.raises(MelanomaError, match=message) as caught:
        list_source("isic2017", folder)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_named(folder_of):
    folder = folder_of({"ISIC-2017_Training_Part3_GroundTruth.csv": b"image_id\xff\xfe"})
    with pytest.raises(MelanomaError, match="expected a CSV file in UTF-8"):
        list_source("isic2017", folder)


def test_folders_that_are_no_isic2017(folder_of, tmp_path):
    with pytest.raises(MelanomaError, match="there is none"):
        list_source("isic2017", tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MelanomaError, match="the folder is empty"):
        list_source("isic2017", tmp_path / "empty")
    with pytest.raises(MelanomaError, match=r"ISIC-2017_Training_Part3.* found holiday.jpg"):
        list_source("isic2017", folder_of({"holiday.jpg": None}))
    with pytest.raises(MelanomaError, match=r"expected ISIC-2017_Training_Part3_GroundTruth.csv"):
        list_source("isic2017", folder_of({"ISIC-2017_Training_Data/ISIC_1.jpg": None}, "images"))


def test_the_real_training_part_of_isic2017(real_data):
    listing = list_source("isic2017", real_data / "isic2017")
    assert (len(listing.lesions), len(listing.missing)) == (456, 1544)
    assert Counter(lesion.diagnosis for lesion in listing.lesions) == {
        "melanoma": 114,
        "nevus": 342,
    }
    assert {lesion.split for lesion in listing.lesions} == {"train"}
    assert all(lesion.mask_path for lesion in listing.lesions)


def test_the_real_validation_part_of_isic2017(real_data):
    listing = list_source("isic2017", real_data / "isic2017-validation")
    assert (len(listing.lesions), len(listing.missing)) == (49, 101)
    assert sum(lesion.diagnosis == "seborrheic_keratosis" for lesion in listing.lesions) == 17
    assert {lesion.split for lesion in listing.lesions} == {"validation"}
