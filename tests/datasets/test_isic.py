from collections import Counter

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.phantoms import PhantomSettings, write_phantoms

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
    with pytest.raises(MelanomaError, match="does not exist"):
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


def test_isic2017_metadata_among_the_images(check_source):
    files = isic2017_part("Training", ["ISIC_1,0,0", "ISIC_2,0,0"], ["ISIC_1", "ISIC_2"])
    table = "image_id,age_approximate,sex\r\nISIC_1,55,female\r\nISIC_2,unknown,unknown\r\n"
    listing = check_source(
        "isic2017",
        {**files, "ISIC-2017_Training_Data/ISIC-2017_Training_Data_metadata.csv": table},
        diagnoses={"ISIC_1": "nevus", "ISIC_2": "nevus"},
        splits={"train": 2},
    )
    assert [(lesion.age, lesion.sex) for lesion in listing.lesions] == [
        (55, "female"),
        (None, None),
    ]


def test_isic2016_in_both_forms_of_its_labels(check_source):
    prefix = "ISBI2016_ISIC_Part"
    check_source(
        "isic2016",
        {
            f"{prefix}3_Training_GroundTruth.csv": "ISIC_0000001,benign\nISIC_0000002,malignant\n",
            f"{prefix}3_Training_Data/ISIC_0000001.jpg": None,
            f"{prefix}3_Training_Data/ISIC_0000002.jpg": None,
            f"{prefix}1_Training_GroundTruth/ISIC_0000001_Segmentation.png": None,
            f"{prefix}3B_Test_GroundTruth.csv": "ISIC_0000003,0.0\nISIC_0000004,1.0\n",
            f"{prefix}3B_Test_Data/ISIC_0000003.jpg": None,
            f"{prefix}3B_Test_Data/ISIC_0000003_Segmentation.png": None,
        },
        diagnoses={
            "ISIC_0000001": "benign",
            "ISIC_0000002": "melanoma",
            "ISIC_0000003": "benign",
        },
        splits={"train": 2, "test": 1},
        missing=["ISIC_0000004"],
        masks=["ISIC_0000001", "ISIC_0000003"],
    )


def test_isic2018_of_tasks_1_and_3(check_source):
    task3 = "ISIC2018_Task3_Training"
    listing = check_source(
        "isic2018",
        {
            f"{task3}_GroundTruth/{task3}_GroundTruth.csv": (
                "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
                "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
                "ISIC_0024307,0.0,0.0,0.0,1.0,0.0,0.0,0.0\n"
            ),
            f"{task3}_LesionGroupings.csv": "image,lesion_id,diagnosis_confirm_type\n"
            "ISIC_0024306,HAM_0000550,follow up\n",
            f"{task3}_Input/ISIC_0024306.jpg": None,
            f"{task3}_Input/ISIC_0024307.jpg": None,
            f"{task3}_Input/ATTRIBUTION.txt": None,
            "ISIC2018_Task1-2_Validation_Input/ISIC_0012255.jpg": None,
            "ISIC2018_Task1_Validation_GroundTruth/ISIC_0012255_segmentation.png": None,
        },
        diagnoses={
            "ISIC_0024306": "nevus",
            "ISIC_0024307": "actinic_keratosis_or_intraepithelial_carcinoma",
            "ISIC_0012255": "unknown",
        },
        splits={"train": 2, "validation": 1},
        masks=["ISIC_0012255"],
    )
    assert [lesion.lesion_id for lesion in listing.lesions] == ["HAM_0000550", None, None]


def test_isic2019_with_downsampled_images_nan_cells_and_weights(check_source):
    classes = "MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
    listing = check_source(
        "isic2019",
        {
            "ISIC_2019_Training_GroundTruth.csv": f"image,{classes}\r\n"
            "ISIC_0000017_downsampled,1,0,0,0,0,0,0,0,0\r\nISIC_0000001,0,0,0,0,0,0,0,1,0\r\n",
            "ISIC_2019_Training_Metadata.csv": (
                "image,age_approx,anatom_site_general,lesion_id,sex\n"
                "ISIC_0000017_downsampled,NaN,,,\n"
                "ISIC_0000001,30,anterior torso,BCN_0000001,female\n"
            ),
            "ISIC_2019_Training_Input/ISIC_2019_Training_Input/ISIC_0000017_downsampled.jpg": None,
            "ISIC_2019_Training_Input/ISIC_0000001.jpg": None,
            "ISIC_2019_Test_GroundTruth.csv": f"image,{classes},score_weight,validation_weight\n"
            "ISIC_0034321,0,0,0,0,0,0,0,0,1,1,0\n",
            "ISIC_2019_Test_Input/ISIC_0034321.jpg": None,
        },
        diagnoses={
            "ISIC_0000017_downsampled": "melanoma",
            "ISIC_0000001": "squamous_cell_carcinoma",
            "ISIC_0034321": "unknown",
        },
        splits={"train": 2, "test": 1},
    )
    assert listing.lesions[0].age is None
    assert listing.lesions[0].lesion_id is None
    assert listing.lesions[1].site == "anterior torso"
    assert listing.lesions[1].lesion_id == "BCN_0000001"


ISIC2020 = (
    "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    "benign_malignant,target\n"
    "ISIC_1,IP_1,IL_1,male,45.0,head/neck,unknown,benign,0\n"
    "ISIC_2,IP_1,IL_2,,,,melanoma,malignant,1\n"
)


def test_isic2020_takes_jpeg_before_dicom_and_brings_its_duplicates(check_source):
    listing = check_source(
        "isic2020",
        {
            "ISIC_2020_Training_GroundTruth_v2.csv": ISIC2020,
            "train/ISIC_1.jpg": None,
            "ISIC_2020_Training_Dicom/ISIC_1.dcm": None,
            "ISIC_2020_Training_Dicom/ISIC_2.dcm": None,
            "ISIC_2020_Training_Duplicates.csv": "image_name_1,image_name_2\r\nISIC_1,ISIC_9\r\n",
        },
        diagnoses={"ISIC_1": "benign", "ISIC_2": "melanoma"},
        splits={"train": 2},
    )
    assert [lesion.image_path.name for lesion in listing.lesions] == ["ISIC_1.jpg", "ISIC_2.dcm"]
    assert [lesion.patient_id for lesion in listing.lesions] == ["IP_1", "IP_1"]
    assert listing.links == (("ISIC_1", "ISIC_9"),)


def test_isic2020_of_kaggle(check_source):
    listing = check_source(
        "isic2020",
        {
            "train.csv": "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,"
            "diagnosis,benign_malignant,target\n"
            "ISIC_2637011,IP_7279968,male,45.0,head/neck,unknown,benign,0\n"
            "ISIC_0149568,IP_0962375,female,55.0,upper extremity,melanoma,malignant,1\n"
            "ISIC_0082934,IP_2397885,female,,torso,lentigo NOS,benign,0\n",
            "jpeg/train/ISIC_2637011.jpg": None,
            "jpeg/train/ISIC_0149568.jpg": None,
            "jpeg/test/ISIC_0052060.jpg": None,
            "train/ISIC_2637011.dcm": None,
            "train/ISIC_0082934.dcm": None,
        },
        diagnoses={
            "ISIC_2637011": "benign",
            "ISIC_0149568": "melanoma",
            "ISIC_0082934": "lentigo",
        },
        splits={"train": 3},
    )
    assert [lesion.image_path.suffix for lesion in listing.lesions] == [".jpg", ".jpg", ".dcm"]
    assert [each.path.name for each in listing.passed_over] == ["ISIC_2637011.dcm"]


def test_isic2020_labels_that_contradict_themselves_are_refused(folder_of):
    folder = folder_of({"train.csv": ISIC2020.replace("melanoma,malignant,1", "melanoma,benign,0")})
    with pytest.raises(MelanomaError, match="line 3: expected target 1 for melanoma, found 0"):
        list_source("isic2020", folder)


HAM10000 = (
    "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
    "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp\n"
    "HAM_0000118,ISIC_0025030,bkl,histo,,unknown,unknown\n"
    "HAM_0001466,ISIC_0031633,nv,histo,75.0,female,ear\n"
)


def test_ham10000_in_two_folders_with_masks(check_source):
    listing = check_source(
        "ham10000",
        {
            "HAM10000_metadata.csv": HAM10000,
            "HAM10000_images_part_1/ISIC_0027419.jpg": None,
            "HAM10000_images_part_2/ISIC_0025030.jpg": None,
            "HAM10000_segmentations_lesion_tschandl/ISIC_0025030_segmentation.png": None,
        },
        diagnoses={"ISIC_0027419": "benign_keratosis", "ISIC_0025030": "benign_keratosis"},
        splits={"train": 2},
        missing=["ISIC_0031633"],
        masks=["ISIC_0025030"],
    )
    assert {lesion.lesion_id for lesion in listing.lesions} == {"HAM_0000118"}
    first, second = listing.lesions
    assert (first.age, first.sex, first.site) == (80, "male", "scalp")
    assert (second.age, second.sex, second.site) == (None, None, None)


def test_ham10000_as_the_dataverse_converts_it(check_source):
    rows = HAM10000.replace("scalp", '"scalp"').replace(",", "\t")
    check_source(
        "ham10000",
        {"HAM10000_metadata.tab": rows, "HAM10000_images/ISIC_0031633.jpg": None},
        diagnoses={"ISIC_0031633": "nevus"},
        splits={"train": 1},
        missing=["ISIC_0027419", "ISIC_0025030"],
    )


def test_a_new_word_in_a_closed_vocabulary_is_an_error(folder_of):
    folder = folder_of({"HAM10000_metadata.csv": HAM10000.replace("bkl", "wart")})
    with pytest.raises(MelanomaError, match=r"line 2: expected dx out of mel, nv.* found 'wart'"):
        list_source("ham10000", folder)


def test_the_real_ham10000(real_data):
    listing = list_source("ham10000", real_data / "ham10000")
    assert len(listing.lesions) + len(listing.missing) == 10015
    assert Counter(lesion.diagnosis for lesion in listing.lesions) == {
        "nevus": 600,
        "melanoma": 300,
        "benign_keratosis": 300,
        "basal_cell_carcinoma": 200,
        "actinic_keratosis_or_intraepithelial_carcinoma": 150,
        "vascular_lesion": 80,
        "dermatofibroma": 60,
    }


def test_phantoms_in_the_layout_of_isic2018_keep_their_masks(tmp_path):
    folder = write_phantoms(
        tmp_path / "phantoms", 7, settings=PhantomSettings(size_px=16), taxonomy="isic2018"
    )
    listing = list_source("isic2018", folder)
    assert len({lesion.diagnosis for lesion in listing.lesions}) == 7
    assert all(lesion.mask_path for lesion in listing.lesions)


def test_images_and_masks_are_found_in_folders_of_other_names(check_source):
    listing = check_source(
        "isic2017",
        {
            "ISIC-2017_Training_Part3_GroundTruth.csv": "image_id,melanoma,seborrheic_keratosis\n"
            "ISIC_0000000,1.0,0.0\nISIC_0000001,0.0,0.0\nISIC_0000002,0.0,1.0\n",
            "data/images/ISIC_0000000.jpg": None,
            "data/images/ISIC_0000001.jpg": None,
            "data/images/ISIC_0000009.jpg": None,
            "data/masks/ISIC_0000000_segmentation.png": None,
            "data/superpixels/ISIC_0000000_superpixels.png": None,
        },
        diagnoses={"ISIC_0000000": "melanoma", "ISIC_0000001": "nevus"},
        splits={"train": 2},
        missing=["ISIC_0000002"],
        masks=["ISIC_0000000"],
    )
    assert listing.unlabelled == ("ISIC_0000009",)
    assert [each.reason for each in listing.passed_over] == ["superpixel map"]
