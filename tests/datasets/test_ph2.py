import pytest
from openpyxl import Workbook

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source

# The form of PH2_dataset.txt: cells between double bars, a legend below
# (doi:10.1109/EMBC.2013.6610779, file organisation on www.fc.up.pt/addi/ph2%20database.html).
TEXT = """\
|| Name   ||   Histological Diagnosis   || Clinical Diagnosis || Asymmetry || Pigment Network ||\r
|| IMD003 ||                            ||                  0 ||         0 ||              T  ||\r
|| IMD009 ||                            ||                  1 ||         0 ||              T  ||\r
|| IMD058 ||         Melanoma           ||                  2 ||         2 ||              AT ||\r
\r
Legends:\r
Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma.\r
"""
DIAGNOSES = {"IMD003": "nevus", "IMD009": "atypical_nevus", "IMD058": "melanoma"}


def images(*names, root="PH2 Dataset images/"):
    files = {f"{root}{name}/{name}_Dermoscopic_Image/{name}.bmp": None for name in names}
    masks = {f"{root}{name}/{name}_lesion/{name}_lesion.bmp": None for name in names}
    return {**files, **masks, f"{root}{names[0]}/{names[0]}_roi/{names[0]}_R1_Label1.bmp": None}


@pytest.mark.parametrize("place", ["", "PH2Dataset/"])
def test_ph2_by_its_text_table(check_source, place):
    check_source(
        "ph2",
        {
            f"{place}PH2_dataset.txt": "\ufeff" + TEXT,
            **images("IMD003", "IMD009", root=f"{place}PH2 Dataset images/"),
        },
        diagnoses={key: DIAGNOSES[key] for key in ("IMD003", "IMD009")},
        splits={"train": 2},
        missing=["IMD058"],
        masks=["IMD003", "IMD009"],
    )


def test_ph2_with_images_beside_the_table(check_source):
    files = {"PH2_dataset.txt": TEXT, **images(*DIAGNOSES, root="")}
    check_source("ph2", files, diagnoses=DIAGNOSES, splits={"train": 3}, masks=DIAGNOSES)


def workbook(folder, rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(folder / "PH2_dataset.xlsx")


HEADER = ["Image Name", "Histological\nDiagnosis", "Common Nevus", "Atypical Nevus", "Melanoma"]


def test_ph2_by_its_workbook(check_source, folder_of):
    rows = [
        ["PH2 dataset"],
        [],
        HEADER,
        ["IMD003", None, "X"],
        ["IMD009", None, None, "X"],
        ["IMD058", "Melanoma", None, None, "X"],
    ]
    workbook(folder_of({"PH2 Dataset images/readme": None}), rows)
    check_source(
        "ph2", images(*DIAGNOSES), diagnoses=DIAGNOSES, splits={"train": 3}, masks=DIAGNOSES
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["Image Name"]], "expected a row with Image Name and common nevus"),
        ([HEADER, ["IMD003", None, "X", None, "X"]], "IMD003, found '0 and 2'"),
        ([HEADER, ["IMD003"]], "IMD003, found ''"),
        ([HEADER], "expected rows of PH2 images"),
    ],
)
def test_faulty_workbooks(folder_of, rows, message):
    folder = folder_of({"readme": None})
    workbook(folder, rows)
    with pytest.raises(MelanomaError, match=message):
        list_source("ph2", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IMD003,0\n", "expected a line || Name ||"),
        (TEXT.replace(" 0 ||         0", " 7 ||         0"), "0, 1 or 2 for IMD003, found '7'"),
        (TEXT.replace("IMD009", "IMD003"), "expected each image once, found IMD003 twice"),
        (TEXT.replace("IMD003", "IMD/../3"), "expected an image id"),
        (TEXT[: TEXT.index("|| IMD003")], "expected rows of PH2 images"),
        (b"\xff\xfe\x00", "expected PH2's text table"),
    ],
)
def test_faulty_text_tables(folder_of, text, message):
    with pytest.raises(MelanomaError, match=message.replace("|", r"\|")):
        list_source("ph2", folder_of({"PH2_dataset.txt": text}))


def test_a_folder_without_a_table(folder_of):
    with pytest.raises(MelanomaError, match=r"expected PH2_dataset.xlsx or PH2_dataset.txt"):
        list_source("ph2", folder_of(images("IMD003")))


def test_atypical_nevi_count_as_nevi_if_asked(folder_of):
    folder = folder_of({"PH2_dataset.txt": TEXT, **images(*DIAGNOSES)})
    found = list_source("ph2", folder, {"atypical": "nevus"}).lesions
    assert [lesion.diagnosis for lesion in found] == ["nevus", "nevus", "melanoma"]
    with pytest.raises(MelanomaError, match="expected atypical=apart or atypical=nevus"):
        list_source("ph2", folder, {"atypical": "yes"})


def test_a_text_table_of_another_form_beside_the_workbook(folder_of):
    folder = folder_of({"PH2_dataset.txt": "name,label\nIMD003,0\n", **images("IMD003")})
    workbook(folder, [HEADER, ["IMD003", None, "X"]])
    listing = list_source("ph2", folder)
    assert [lesion.key for lesion in listing.lesions] == ["IMD003"]


def test_a_broken_workbook_beside_the_text_table_is_named(folder_of):
    folder = folder_of({"PH2_dataset.txt": TEXT, "PH2_dataset.xlsx": "PK", **images(*DIAGNOSES)})
    listing = list_source("ph2", folder)
    assert len(listing.lesions) == 3
    kinds = {each.path.name: each.reason for each in listing.passed_over}
    assert kinds.pop("IMD003_R1_Label1.bmp") == "region of interest"
    assert "expected an Excel workbook" in kinds["PH2_dataset.xlsx"]
    assert str(folder) not in kinds["PH2_dataset.xlsx"]
