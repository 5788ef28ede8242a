"""The official label files, against the numbers that the challenges published."""

from collections import Counter

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import read_labels
from melanoma_tf.datasets.lesion import TAXONOMIES
from melanoma_tf.datasets.readers.label_files import metadata_rows
from melanoma_tf.datasets.sources.isic2020 import duplicate_pairs

AKIEC = "actinic_keratosis_or_intraepithelial_carcinoma"


def counts_of(path):
    return Counter(row.diagnosis for row in read_labels(path))


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        (
            # challenge.isic-archive.com/landing/2017/44
            "isic2017/ISIC-2017_Training_Part3_GroundTruth.csv",
            {"melanoma": 374, "seborrheic_keratosis": 254, "nevus": 1372},
        ),
        (
            # arXiv:1710.05006, Section 2
            "labels/ISIC-2017_Validation_Part3_GroundTruth.csv",
            {"melanoma": 30, "seborrheic_keratosis": 42, "nevus": 78},
        ),
        (
            # doi:10.1038/sdata.2018.161, Table 2
            "ham10000/HAM10000_metadata.csv",
            {
                AKIEC: 327,
                "basal_cell_carcinoma": 514,
                "benign_keratosis": 1099,
                "dermatofibroma": 115,
                "melanoma": 1113,
                "nevus": 6705,
                "vascular_lesion": 142,
            },
        ),
        (
            # arXiv:1908.02288 and challenge.isic-archive.com/landing/2019
            "labels/ISIC_2019_Training_GroundTruth.csv",
            {
                "melanoma": 4522,
                "nevus": 12875,
                "basal_cell_carcinoma": 3323,
                "actinic_keratosis": 867,
                "benign_keratosis": 2624,
                "dermatofibroma": 239,
                "vascular_lesion": 253,
                "squamous_cell_carcinoma": 628,
            },
        ),
        (
            # doi:10.1038/s41597-021-00815-z, Table 3
            "labels/ISIC_2020_Training_GroundTruth.csv",
            {
                "benign": 27124,
                "nevus": 5193,
                "melanoma": 584,
                "seborrheic_keratosis": 135,
                "lentigo": 44,
                "lichenoid_keratosis": 37,
                "solar_lentigo": 7,
                "cafe_au_lait_macule": 1,
                "atypical_melanocytic_proliferation": 1,
            },
        ),
    ],
)
def test_official_counts(real_data, file, counts):
    assert counts_of(real_data / file) == counts


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("ISIC2018_Task3_Training_GroundTruth.csv", 7470),  # the part of 10,015 that lies here
        ("ISIC2018_Task3_Validation_GroundTruth.csv", 193),
        ("ISIC2018_Task3_Test_GroundTruth.csv", 1512),
        ("ISIC_2019_Training_GroundTruth.csv", 25331),
        ("ISIC_2019_Training_Metadata.csv", 25331),
        ("ISIC_2020_Training_GroundTruth.csv", 33126),
    ],
)
def test_official_numbers_of_rows(real_data, file, rows):
    assert len({row.key for row in read_labels(real_data / "labels" / file)}) == rows


def test_lesions_and_patients_of_the_official_files(real_data):
    ham10000 = read_labels(real_data / "ham10000/HAM10000_metadata.csv")
    assert len({row.lesion_id for row in ham10000}) == 7470
    isic2020 = read_labels(real_data / "labels/ISIC_2020_Training_GroundTruth.csv")
    assert len({row.patient_id for row in isic2020}) == 2056


def test_isic2018_agrees_with_ham10000_about_the_same_images(real_data):
    isic2018 = read_labels(real_data / "labels/ISIC2018_Task3_Training_GroundTruth.csv")
    ham10000 = {
        row.key: row.diagnosis for row in read_labels(real_data / "ham10000/HAM10000_metadata.csv")
    }
    assert {row.key: row.diagnosis for row in isic2018}.items() <= ham10000.items()


def test_the_bowen_question_is_as_the_table_of_diagnoses_says(real_data):
    truth = real_data / "labels/ISIC_2019_Training_GroundTruth.csv"
    isic2019 = {row.key: row.diagnosis for row in read_labels(truth)}
    ham10000 = read_labels(real_data / "ham10000/HAM10000_metadata.csv")
    group = Counter(isic2019[row.key] for row in ham10000 if row.diagnosis == AKIEC)
    assert group == {"actinic_keratosis": 130, "squamous_cell_carcinoma": 197}


def test_isic2020_in_two_classes(real_data):
    rows = read_labels(real_data / "labels/ISIC_2020_Training_GroundTruth.csv")
    assert Counter(TAXONOMIES["melanoma"].label(row.diagnosis) for row in rows) == {
        0: 32542,
        1: 584,
    }


def test_metadata_of_isic2019(real_data):
    rows = metadata_rows(real_data / "labels/ISIC_2019_Training_Metadata.csv")
    assert sum(key.endswith("_downsampled") for key in rows) == 2074
    assert sum(row.age is None for row in rows.values()) == 437
    assert rows["ISIC_0000000"].sex == "female"
    assert rows["ISIC_0000000"].site == "anterior torso"


def test_the_official_list_of_duplicates(real_data):
    pairs = duplicate_pairs(real_data / "labels/ISIC_2020_Training_Duplicates.csv")
    assert len(pairs) == 425
    assert pairs[0] == ("ISIC_0079038", "ISIC_8521950")


def test_isic2016_labels_are_known_without_a_header(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("ISIC_0000000,benign\nISIC_0000002,malignant\n")
    assert counts_of(path) == {"benign": 1, "melanoma": 1}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b,c\n1,2,3\n", "expected an official label file .* found the columns a, b, c"),
        ("ISIC_0000000,benign\nISIC_0000001,perhaps\n", "line 2: expected verdict out of benign"),
        ("image,MEL,NV,AKIEC\nISIC_1,1,0,0\n", "expected the column BCC, BKL, DF, VASC"),
        ("image,age_approx\nISIC_1,old\n", "line 2: expected a number in age_approx.*found 'old'"),
        ("image_name_1,image_name_2\nISIC_1,../x\n", "expected an image id"),
    ],
)
def test_files_of_another_form_are_named(tmp_path, table, message):
    path = tmp_path / "labels.csv"
    path.write_text(table)
    with pytest.raises(MelanomaError, match=message):
        duplicate_pairs(path) if "image_name_1" in table else read_labels(path)
