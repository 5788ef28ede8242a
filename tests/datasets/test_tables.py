"""Tables as people have them: every accepted oddity is told in one line, every refusal named."""

import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import read_label_table, read_labels
from melanoma_tf.datasets.readers.tables import read_table

PLAIN = "image,MEL,NV\nISIC_0000001,1.0,0.0\nISIC_0000002,0.0,1.0\n"
DIAGNOSES = {"ISIC_0000001": "melanoma", "ISIC_0000002": "nevus"}
MILK10K = "AKIEC,BCC,BEN_OTH,BKL,DF,INF,MAL_OTH,MEL,NV,SCCKA,VASC"


def diagnoses_of(path):
    return {row.key: row.diagnosis for row in read_labels(path)}


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (PLAIN, []),
        ("\ufeff" + PLAIN, []),
        (PLAIN.replace("\n", "\r\n"), []),
        (PLAIN.replace("\n", "\r"), []),
        (PLAIN + "\n\n,,\n", []),
        (PLAIN.replace("ISIC_0000001", '"ISIC_0000001"'), []),
        (PLAIN.replace("image", "image_id"), []),
        (PLAIN.replace("image", "isic_id"), []),
        (PLAIN.encode("utf-16"), []),
        (PLAIN.replace(",", "\t"), ["cells are separated by tabs"]),
        (PLAIN.replace(",", ";"), ["cells are separated by semicolons"]),
        (
            PLAIN.replace(",", ";").replace(".0", ",0"),
            ["cells are separated by semicolons", "read decimal commas"],
        ),
        (
            PLAIN.replace("1,1", "1.jpg,1").replace("2,0", "2.JPG,0"),
            [
                "removed .jpg from image ids in the column image",
                "removed .JPG from image ids in the column image",
            ],
        ),
        (PLAIN.replace("\n", ",\n"), ["passed over blank cells behind the last column"]),
        (
            ",image,MEL,NV\n0,ISIC_0000001,1.0,0.0\n1,ISIC_0000002,0.0,1.0\n",
            ["passed over column 1, which has no name (an index?)"],
        ),
        (
            "Unnamed: 0,image,MEL,NV\n0,ISIC_0000001,1,0\n1,ISIC_0000002,0,1\n",
            ["passed over column 1, which has no name (an index?)"],
        ),
    ],
)
def test_what_people_write_is_read_and_told(tmp_path, caplog, content, notes):
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert diagnoses_of(path) == DIAGNOSES
    assert caplog.messages == [f"{path}: {note}" for note in notes]


def test_a_zip_holds_one_table(tmp_path, caplog):
    path = tmp_path / "labels.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/labels.csv", PLAIN)
        archive.writestr("__MACOSX/folder/._labels.csv", "junk")
        archive.writestr("LICENSE.txt", "CC0")
    assert diagnoses_of(path) == DIAGNOSES
    assert caplog.messages == [f"{path}: read folder/labels.csv of the archive"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.csv", PLAIN)
    with pytest.raises(MelanomaError, match=r"one table .* found folder/labels.csv, more.csv"):
        read_labels(path)


@pytest.mark.parametrize("place", [6, 8])
def test_an_archive_that_is_encrypted_or_packed_otherwise_is_one_line(tmp_path, place):
    """Flags and the number of the compression, as an archiver would set them."""
    path = tmp_path / "labels.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.csv", PLAIN)
    content = bytearray(path.read_bytes())
    for start in (0, content.index(b"PK\x01\x02") + 2):
        content[start + place] |= 1 if place == 6 else 97
    path.write_bytes(content)
    with pytest.raises(MelanomaError, match=r"labels.zip: expected a CSV file in an archive"):
        read_labels(path)


def test_an_archive_of_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "labels.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.csv", b"a" * 1_000_000)
    monkeypatch.setattr("melanoma_tf.datasets.readers.delimited._MOST_BYTES", 999_999)
    with pytest.raises(MelanomaError, match="expected a table of at most 512 MiB in the archive"):
        read_labels(path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(MelanomaError, match=r"labels.csv; found a pipe or a device"):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("content", "expected", "form"),
    [
        ("ISIC_0000001,malignant\nISIC_0000002,benign\n", ("melanoma", "benign"), "verdict"),
        ("ISIC_0000001,1.0\nISIC_0000002,0.0\n", ("melanoma", "benign"), "verdict"),
        ("ISIC_0000001,1.0,0.0\nISIC_0000002,0.0,0.0\n", ("melanoma", "nevus"), "classes"),
        (
            "image_id,seborrheic_keratosis,melanoma\nISIC_0000001,1,0\nISIC_0000002,0,1\n",
            ("seborrheic_keratosis", "melanoma"),
            "classes",
        ),
        (
            "image_name,target\nISIC_0000001,1\nISIC_0000002,0\n",
            ("melanoma", "benign"),
            "verdict",
        ),
        ("isic_id,malignant\nISIC_0000001,1\nISIC_0000002,0\n", ("malignant", "benign"), "verdict"),
        (
            "lesion_id,image_id,dx\nHAM_1,ISIC_0000001,akiec\nHAM_1,ISIC_0000002,bkl\n",
            ("actinic_keratosis_or_intraepithelial_carcinoma", "benign_keratosis"),
            "classes",
        ),
        (
            f"lesion_id,{MILK10K}\nISIC_0000001{',0.0' * 9},1.0,0.0\n"
            f"ISIC_0000002,0,0,0,0,0,1{',0' * 5}\n",
            ("squamous_cell_carcinoma", "inflammation_or_infection"),
            "classes",
        ),
        ("image_id,label\nISIC_0000001,wart\nISIC_0000002,nv\n", ("wart", "nv"), "words"),
        (
            "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC\n"
            "ISIC_0000001,0,0,0,1,0,0,0,0\nISIC_0000002,0,0,0,0,0,0,0,1\n",
            ("actinic_keratosis", "squamous_cell_carcinoma"),
            "classes",
        ),
    ],
)
def test_forms_of_label_files(tmp_path, content, expected, form):
    path = tmp_path / "labels.csv"
    path.write_text(content)
    table = read_label_table(path)
    assert tuple(row.diagnosis for row in table.rows) == expected
    assert table.form == form
    if form == "classes":
        assert set(expected) <= set(table.classes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,MEL,NV\nISIC_1,1,0,7\n", "line 2: expected 3 fields, found 4"),
        ("image,MEL,NV\nISIC_1,1\n", "line 2: expected 3 fields, found 2"),
        ('image,MEL,NV\nISIC_1,"0,5",0\n', "line 2: expected a number in MEL, found '0,5'"),
        ("image,MEL,NV\nISIC_1,0.5,0.5\n", "line 2: expected 0 or 1 in MEL, found '0.5'"),
        ("image,MEL,NV\nISIC_1,1,1\n", "line 2: expected one diagnosis, found MEL, NV"),
        (",MEL,NV\nISIC_1,1,0\n", "expected an official label file"),
        ("image\nISIC_1\n", "expected a column per class"),
        ("image,MEL,NV,score_weight\nISIC_1,1,0,-1\n", "weight of 0 or more in score_weight"),
        ("image_name,target\nISIC_1,2\n", "expected a target of 0 or 1, found '2'"),
        ("\n\n", "found an empty one"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_column_and_line(tmp_path, content, message):
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(MelanomaError, match=message) as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


@given(
    st.lists(
        st.tuples(st.integers(0, 9999999), st.floats(0, 1), st.floats(0, 1)),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[0],
    ),
    st.sampled_from((",", ";", "\t")),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.booleans(),
)
def test_numbers_survive_every_delimiter(tmp_path_factory, rows, delimiter, end, comma):
    def shown(value):
        return f"{value:.12f}".replace(".", "," if comma and delimiter != "," else ".")

    lines = [delimiter.join(("image", "MEL", "NV"))]
    lines += [delimiter.join((f"ISIC_{key:07d}", shown(a), shown(b))) for key, a, b in rows]
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    path.write_bytes(end.join([*lines, ""]).encode())
    read = [(row.number("MEL"), row.number("NV")) for row in read_table(path)]
    assert read == [(round(a, 12), round(b, 12)) for _, a, b in rows]


def test_a_header_of_very_many_columns_is_quick_to_check(tmp_path):
    path = tmp_path / "wide.csv"
    names = [f"c{index}" for index in range(100_000)]
    path.write_text(",".join([*names, "c7"]) + "\n")
    with pytest.raises(MelanomaError, match="found 'c7' twice"):
        list(read_table(path))
