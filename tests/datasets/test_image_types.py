"""Data sets of clinical and dermoscopic images: MILK10k, Derm7pt, the ISIC archive."""

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source

# Columns as on challenge.isic-archive.com/landing/milk10k; those of MONET are left out.
CLASSES = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
TRUTH = "lesion_id," + ",".join(CLASSES) + "\n"
TRUTH += "IL_1,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,0.0,0.0\n"
TRUTH += "IL_2,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0\n"
METADATA = (
    "lesion_id,image_type,isic_id,attribution,copyright_license,image_manipulation,age_approx,sex,"
    "skin_tone_class,site\n"
    "IL_1,clinical: close-up,ISIC_11,MILK study team,CC-BY-NC,instrument only,70.0,female,4,trunk\n"
    "IL_1,dermoscopic,ISIC_12,MILK study team,CC-BY-NC,altered,70.0,female,4,trunk\n"
    "IL_2,clinical: close-up,ISIC_21,MILK study team,CC-BY-NC,altered,,male,3,head_neck_face\n"
    "IL_2,dermoscopic,ISIC_22,MILK study team,CC-BY-NC,altered,,male,3,head_neck_face\n"
)
MILK = {
    "MILK10k_Training_GroundTruth.csv": TRUTH,
    "MILK10k_Training_Metadata.csv": METADATA,
    "MILK10k_Training_Input/IL_1/ISIC_11.jpg": None,
    "MILK10k_Training_Input/IL_1/ISIC_12.jpg": None,
    "MILK10k_Training_Input/IL_2/ISIC_21.jpg": None,
    "MILK10k_Test_Input/IL_9/ISIC_99.jpg": None,
}


def test_milk10k_dermoscopic_images(check_source):
    listing = check_source(
        "milk10k", MILK, diagnoses={"ISIC_12": "melanoma"}, splits={"train": 1}, missing=["ISIC_22"]
    )
    (lesion,) = listing.lesions
    assert (lesion.lesion_id, lesion.age, lesion.sex) == ("IL_1", 70.0, "female")
    assert lesion.site == "trunk"
    assert listing.image_types == {"clinical: close-up": 2, "dermoscopic": 1}
    assert {each.path.name for each in listing.passed_over} == {"ISIC_11.jpg", "ISIC_21.jpg"}
    assert listing.passed_over[0].reason == "image of another type (clinical: close-up)"


def test_milk10k_all_images(check_source):
    check_source(
        "milk10k",
        MILK,
        diagnoses={
            "ISIC_11": "melanoma",
            "ISIC_12": "melanoma",
            "ISIC_21": "squamous_cell_carcinoma",
        },
        splits={"train": 3},
        missing=["ISIC_22"],
        images="all",
    )


def test_milk10k_without_its_truth_and_with_an_unknown_option(folder_of):
    folder = folder_of({"MILK10k_Training_Metadata.csv": METADATA})
    with pytest.raises(MelanomaError, match="expected MILK10k_Training_GroundTruth"):
        list_source("milk10k", folder)
    with pytest.raises(MelanomaError, match="expected images=dermoscopic or images=all"):
        list_source("milk10k", folder_of(MILK, "milk"), {"images": "clinical"})


# Columns as on github.com/jeremykawahara/derm7pt; the checklist is left out.
META = (
    "case_num,diagnosis,seven_point_score,level_of_diagnostic_difficulty,elevation,location,sex,"
    "management,clinic,derm,case_id,notes\n"
    "1,basal cell carcinoma,0,low,nodular,abdomen,female,excision,NEL/NEL027.JPG,NEL/NEL025.JPG,,\n"
    "2,melanoma (less than 0.76 mm),4,low,flat,back,male,excision,NAL/nal1.jpg,NAL/Nal2.jpg,,\n"
    "3,reed or spitz nevus,2,low,flat,acral,male,excision,NAL/nal1.jpg,NAL/nal3.jpg,,\n"
    "4,melanoma metastasis,2,low,flat,acral,male,excision,,NAL/nal4.jpg,,\n"
)
DERM = {
    "release_v0/meta/meta.csv": META,
    "release_v0/meta/train_indexes.csv": "indexes\n0\n3\n",
    "release_v0/meta/valid_indexes.csv": "indexes\n1\n",
    "release_v0/meta/test_indexes.csv": "indexes\n2\n",
    "release_v0/images/NEL/Nel025.jpg": None,
    "release_v0/images/NEL/Nel027.jpg": None,
    "release_v0/images/NAL/nal1.jpg": None,
    "release_v0/images/NAL/nal2.jpg": None,
    "release_v0/images/NAL/nal4.jpg": None,
    "release_v0/images/NAL/nal5.jpg": None,
}
DIAGNOSES = {"NEL_NEL025": "basal_cell_carcinoma", "NAL_Nal2": "melanoma", "NAL_nal4": "malignant"}


def test_derm7pt_in_its_splits(check_source):
    listing = check_source(
        "derm7pt",
        DERM,
        diagnoses=DIAGNOSES,
        splits={"train": 2, "validation": 1},
        missing=["NAL_nal3"],
    )
    first = listing.lesions[0]
    assert (first.lesion_id, first.sex, first.site) == ("1", "female", "abdomen")
    assert listing.unlabelled == ("NAL/nal5.jpg",)
    assert listing.image_types == {"dermoscopic": 3, "clinical: close-up": 2}


def test_derm7pt_with_clinical_images(check_source):
    check_source(
        "derm7pt",
        DERM,
        diagnoses={**DIAGNOSES, "NEL_NEL027": "basal_cell_carcinoma", "NAL_nal1": "melanoma"},
        splits={"train": 3, "validation": 2},
        missing=["NAL_nal3"],
        images="all",
    )


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("valid_indexes.csv", "indexes\n0\n", "row of meta.csv that is in no other split"),
        ("valid_indexes.csv", "indexes\n4\n", "below 4; found '4'"),
        ("valid_indexes.csv", "indexes\n1.5\n", "found '1.5'"),
        ("meta.csv", META.replace("melanoma metastasis", "wart"), "expected diagnosis out of"),
        ("meta.csv", META.replace("nal4.jpg", "nal3.jpg"), "each image once, found NAL_nal3 again"),
        ("meta.csv", META.replace("NAL/nal4", "../nal4"), "expected an image id"),
    ],
)
def test_faulty_tables_of_derm7pt(folder_of, file, content, message):
    folder = folder_of({**DERM, f"release_v0/meta/{file}": content})
    with pytest.raises(MelanomaError, match=message):
        list_source("derm7pt", folder)


def test_derm7pt_without_its_table(folder_of):
    with pytest.raises(MelanomaError, match="expected meta/meta"):
        list_source("derm7pt", folder_of({"images/a.jpg": None}))


# Rows as `isic metadata download` writes them since 2025.
ARCHIVE = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,"
    "diagnosis_3,diagnosis_4,diagnosis_5,image_type,lesion_id,patient_id,sex\n"
    "ISIC_1,A,CC-0,45,head/neck,Benign,Benign melanocytic proliferations,Nevus,"
    '"Nevus, Congenital","Congenital nevus, Small",dermoscopic,IL_1,IP_1,male\n'
    "ISIC_2,A,CC-0,45,head/neck,Indeterminate,Indeterminate epidermal proliferations,"
    'Solar or actinic keratosis,"Actinic keratosis, Bowenoid",,clinical: close-up,,,\n'
    "ISIC_3,A,CC-0,45,head/neck,Malignant,Malignant epidermal proliferations,Keratoacanthoma,,,"
    "TBP tile: close-up,,,\n"
    "ISIC_4,A,CC-0,45,head/neck,Benign,Cysts,,,,,,,\n"
)
KINDS = {"dermoscopic": 1, "clinical: close-up": 1, "TBP tile: close-up": 1, "not stated": 1}


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, ["ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4"]),
        ({"images": "dermoscopic"}, ["ISIC_1", "ISIC_4"]),
    ],
)
def test_the_present_metadata_of_the_archive(folder_of, options, kept):
    files = {"metadata.csv": ARCHIVE, **{f"ISIC_{n}.jpg": None for n in (1, 2, 3, 4)}}
    listing = list_source("isic-archive", folder_of(files), options)
    found = {lesion.key: lesion.diagnosis for lesion in listing.lesions}
    assert list(found) == kept
    expected = ("nevus", "actinic_keratosis", "malignant", "benign")
    assert set(found.items()) <= set(zip(("ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4"), expected))
    assert listing.image_types == KINDS
    assert len(listing.passed_over) == 4 - len(kept)
