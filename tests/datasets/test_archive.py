import h5py
import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source

# Columns as on kaggle.com/competitions/isic-2024-challenge/data, of which some are left out here.
KAGGLE = (
    "isic_id,target,patient_id,age_approx,sex,anatom_site_general,iddx_full,iddx_1,iddx_2,iddx_3,"
    "iddx_4,iddx_5,lesion_id\n"
    "ISIC_1,0,IP_1,60.0,male,lower extremity,Benign,Benign,NA,NA,NA,NA,NA\n"
    "ISIC_2,1,IP_1,60.0,male,head/neck,x,Malignant,"
    "Malignant melanocytic proliferations (Melanoma),Melanoma in situ,"
    '"Melanoma in situ, Lentigo maligna type",NA,IL_2\n'
    'ISIC_3,0,IP_2,NA,NA,NA,x,Benign,Benign melanocytic proliferations,Nevus,"Nevus, Atypical",,\n'
)
DIAGNOSES = {"ISIC_1": "benign", "ISIC_2": "melanoma", "ISIC_3": "nevus"}


def test_isic2024_of_kaggle_with_images(check_source):
    listing = check_source(
        "isic2024",
        {
            "train-metadata.csv": KAGGLE,
            **{f"train-image/image/{key}.jpg": None for key in ("ISIC_1", "ISIC_2")},
        },
        diagnoses={key: DIAGNOSES[key] for key in ("ISIC_1", "ISIC_2")},
        splits={"train": 2},
        missing=["ISIC_3"],
    )
    assert [lesion.patient_id for lesion in listing.lesions] == ["IP_1", "IP_1"]
    assert [lesion.lesion_id for lesion in listing.lesions] == [None, "IL_2"]


def test_isic2024_images_in_the_hdf5_file(check_source, folder_of):
    folder = folder_of({"train-metadata.csv": KAGGLE})
    with h5py.File(folder / "train-image.hdf5", "w") as file:
        for key in DIAGNOSES:
            file[key] = np.void(b"JPEG bytes")
    listing = check_source("isic2024", {}, diagnoses=DIAGNOSES, splits={"train": 3})
    assert listing.lesions[0].image_path == folder / "train-image.hdf5" / "ISIC_1"


def test_isic2024_of_kaggle_with_its_test_part(check_source, folder_of):
    metadata = "isic_id,patient_id,age_approx,sex\nISIC_9,IP_9,45.0,male\nISIC_8,IP_9,45.0,male\n"
    folder = folder_of({"train-metadata.csv": KAGGLE, "test-metadata.csv": metadata})
    for name, keys in (("train", DIAGNOSES), ("test", ("ISIC_9", "ISIC_7"))):
        with h5py.File(folder / f"{name}-image.hdf5", "w") as file:
            for key in keys:
                file[key] = np.void(b"JPEG bytes")
    listing = check_source(
        "isic2024",
        {},
        diagnoses={**DIAGNOSES, "ISIC_9": "unknown"},
        splits={"train": 3, "test": 1},
        missing=["ISIC_8"],
    )
    assert listing.unlabelled == ("ISIC_7",)


def test_isic2024_of_the_challenge_site_joins_its_tables(check_source):
    listing = check_source(
        "isic2024",
        {
            "ISIC_2024_Training_GroundTruth.csv": "isic_id,malignant\nISIC_1,0.0\nISIC_2,1.0\n",
            "ISIC_2024_Training_Supplement.csv": "isic_id,lesion_id,iddx_1,iddx_2,iddx_3\n"
            "ISIC_2,IL_2,Malignant,x,Basal cell carcinoma\n",
            "ISIC_2024_Training_Input/metadata.csv": "isic_id,patient_id,age_approx,sex\n"
            "ISIC_1,IP_1,45,female\nISIC_2,IP_2,50,male\n",
            "ISIC_2024_Training_Input/ISIC_1.jpg": None,
            "ISIC_2024_Training_Input/ISIC_2.jpg": None,
        },
        diagnoses={"ISIC_1": "benign", "ISIC_2": "basal_cell_carcinoma"},
        splits={"train": 2},
    )
    by_key = {lesion.key: lesion for lesion in listing.lesions}
    assert (by_key["ISIC_1"].patient_id, by_key["ISIC_1"].age) == ("IP_1", 45)
    assert (by_key["ISIC_2"].lesion_id, by_key["ISIC_2"].sex) == ("IL_2", "male")


def test_a_broken_hdf5_file_is_named(folder_of):
    folder = folder_of({"train-metadata.csv": KAGGLE, "train-image.hdf5": "no HDF5"})
    with pytest.raises(MelanomaError, match=r"train-image.hdf5: expected an HDF5 file"):
        list_source("isic2024", folder)


def test_a_download_of_isic_cli_names_its_own_licences(check_source):
    listing = check_source(
        "isic-archive",
        {
            "metadata.csv": "isic_id,attribution,copyright_license,diagnosis_1,diagnosis_2,"
            "diagnosis_3,lesion_id,patient_id\n"
            "ISIC_1,Anonymous,CC-0,Benign,Benign epidermal proliferations,"
            "Seborrheic keratosis,IL_1,IP_1\n"
            "ISIC_2,Hospital Clinic,CC-BY-NC,Indeterminate,Indeterminate epidermal proliferations,"
            "Solar or actinic keratosis,,\n"
            "ISIC_3,Hospital Clinic,CC-BY,Benign,Benign - Other,Scar,,\n"
            "ISIC_4,Nobody,CC-BY-NC-SA,,,,,\n",
            **{f"ISIC_{number}.jpg": None for number in (1, 2, 3)},
        },
        diagnoses={
            "ISIC_1": "seborrheic_keratosis",
            "ISIC_2": "actinic_keratosis",
            "ISIC_3": "benign",
        },
        splits={"train": 3},
        missing=["ISIC_4"],
    )
    assert listing.licence == "CC-0, CC-BY, CC-BY-NC"
    assert listing.attribution.endswith("Anonymous; Hospital Clinic")


def test_an_older_download_has_one_diagnosis_only(check_source):
    check_source(
        "isic-archive",
        {
            "metadata.csv": "isic_id,diagnosis,benign_malignant\n"
            "ISIC_1,pigmented benign keratosis,benign\nISIC_2,scar,benign\nISIC_3,,\n",
            **{f"ISIC_{number}.jpg": None for number in (1, 2, 3)},
        },
        diagnoses={"ISIC_1": "benign_keratosis", "ISIC_2": "benign", "ISIC_3": "unknown"},
        splits={"train": 3},
    )
