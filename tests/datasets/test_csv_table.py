import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source


def test_a_table_with_every_column(check_source):
    listing = check_source(
        "csv",
        {
            # A nameless first column is what pandas leaves of its index.
            "cases.csv": ";file;dx;case;spot;part;years;gender;where;outline\r\n"
            "0;images/a.jpg;Melanoma;7;7b;Training;61,5;F;back;outlines/a.png\r\n"
            "1;images/b;nv;7;7c;val;NaN;m;;outlines/b.png\r\n"
            "2;images/gone.jpg;wart;8;8a;test;40;male;;\r\n".replace("61,5", "61.5"),
            "images/a.jpg": None,
            "images/b.png": None,
            "outlines/a.png": None,
        },
        diagnoses={"images_a": "melanoma", "images_b": "nevus"},
        splits={"train": 1, "validation": 1},
        missing=["images_gone"],
        masks=["images_a"],
        image="file",
        diagnosis="dx",
        patient="case",
        lesion="spot",
        split="part",
        age="years",
        sex="gender",
        site="where",
        mask="outline",
        name="clinic",
    )
    first, second = listing.lesions
    assert (first.patient_id, first.lesion_id, first.age) == ("7", "7b", 61.5)
    assert (first.sex, first.site) == ("female", "back")
    assert (second.age, second.sex, second.site) == (None, "male", None)


def test_a_table_with_the_least(check_source):
    check_source(
        "csv",
        {"a.csv": "image,diagnosis\nx.1,wart\ny,\n", "x.1.jpg": None, "y.png": None},
        diagnoses={"x.1": "wart", "y": "unknown"},
        splits={"train": 2},
    )


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("image\na\n", {}, "expected the column diagnosis; found image"),
        ("image,diagnosis\n../a,nv\n", {}, r"line 2: expected an image id .* found '\.\.'"),
        ("image,diagnosis\n/etc/a,nv\n", {}, "expected an image id"),
        ("image,diagnosis,years\na,nv,inf\n", {"age": "years"}, "an age from 0 to 150 .* 'inf'"),
        ("image,diagnosis,years\na,nv,-5\n", {"age": "years"}, "line 2: expected an age .* '-5'"),
        (f"image,diagnosis,years\na,nv,{'9' * 400}\n", {"age": "years"}, "in years, found '9{40}'"),
        ("image,diagnosis\n,nv\n", {}, "expected an image id"),
        ("image,diagnosis\nlink/a.jpg,nv\n", {}, "'link/a.jpg' is a link .*links=follow takes it"),
        ("image,diagnosis\nlink/a,nv\n", {}, "is a link"),
        ("image,diagnosis\na,nv\n", {"links": "yes"}, "expected links=refuse or links=follow"),
        ("image,diagnosis\na,nv\na.jpg,nv\n", {}, "line 3: expected each image once, found a"),
        ("image,diagnosis,s\na,nv,dev\n", {"split": "s"}, "expected train, validation or test"),
        ("image,diagnosis,m\na,nv,../x\n", {"mask": "m"}, "expected a path inside"),
        ("image,diagnosis\na,nv\n", {"labels": "../t.csv"}, "expected a path inside"),
        ("image,diagnosis\na,nv\n", {"labels": "other.csv"}, "expected the label file"),
        ("image,diagnosis\na,nv\n", {"colour": "c"}, "expected options out of: name, .*labels"),
        ("image,diagnosis\na,nv\n", {"name": "isic2019"}, "expected a name that no other source"),
        ("image,diagnosis\na,nv\n", {"name": "a/b"}, "expected a name of letters and digits"),
    ],
)
def test_faulty_tables_and_options(folder_of, table, options, message):
    outside = folder_of({"a.jpg": None}, "outside")
    folder = folder_of({"table.csv": table, "a.jpg": None})
    (folder / "link").symlink_to(outside)
    with pytest.raises(MelanomaError, match=message):
        list_source("csv", folder, options)


def test_which_table_must_be_clear(folder_of):
    two = folder_of({"a.csv": "image,diagnosis\n", "b.csv": "image,diagnosis\n"})
    with pytest.raises(MelanomaError, match=r"expected one table \*.csv .* found a.csv, b.csv"):
        list_source("csv", two)


def test_links_are_followed_if_asked(folder_of):
    outside = folder_of({"3f/9c": None}, "cache")
    folder = folder_of({"table.csv": "image,diagnosis\nb.jpg,nv\n"})
    (folder / "b.jpg").symlink_to(outside / "3f" / "9c")
    with pytest.raises(MelanomaError, match="links=follow takes it"):
        list_source("csv", folder)
    (lesion,) = list_source("csv", folder, {"links": "follow"}).lesions
    assert lesion.image_path == folder / "b.jpg"


def test_images_are_found_below_the_folder_and_none_is_lost(check_source):
    listing = check_source(
        "csv",
        {
            "m.csv": "image,diagnosis\na.jpg,nv\nb,mel\nc,nv\n",
            "._m.csv": b"\0\5\26\7",
            "part_1/a.jpg": None,
            "part_1/a_superpixels.png": None,
            "part_2/b.png": None,
            "part_2/more.jpg": None,
        },
        diagnoses={"a": "nevus", "b": "melanoma"},
        splits={"train": 2},
        missing=["c"],
    )
    assert listing.unlabelled == ("part_2/more",)
    assert [each.path.name for each in listing.passed_over] == ["a_superpixels.png"]


def test_a_name_that_two_sub_folders_have(folder_of):
    folder = folder_of({"m.csv": "image,diagnosis\na,nv\n", "x/a.jpg": None, "y/a.jpg": None})
    with pytest.raises(MelanomaError, match=r"one file named a; found x/a\.jpg, y/a\.jpg"):
        list_source("csv", folder)
