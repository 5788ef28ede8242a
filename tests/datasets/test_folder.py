import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source


def test_dermofit_by_names_and_short_names(check_source):
    # Layout and counts per class: homepages.inf.ed.ac.uk/rbf/DERMOFIT/datasets.htm
    check_source(
        "dermofit",
        {
            "Malignant Melanoma/A1.png": None,
            "Malignant Melanoma/A1mask.png": None,
            "SK/B20/B20.png": None,
            "SK/B20/B20mask.png": None,
            "IEC/D3.png": None,
            "Melanocytic Nevus (mole)/P9.png": None,
        },
        diagnoses={
            "A1": "melanoma",
            "B20": "seborrheic_keratosis",
            "D3": "intraepithelial_carcinoma",
            "P9": "nevus",
        },
        splits={"train": 4},
        masks=["A1", "B20"],
    )


def test_dermofit_with_a_folder_that_is_no_class(folder_of):
    with pytest.raises(MelanomaError, match="expected one folder per class"):
        list_source("dermofit", folder_of({"holidays/A1.png": None}))
    with pytest.raises(MelanomaError, match="expected images in one folder per class"):
        list_source("dermofit", folder_of({"BCC/readme.txt": None}, "empty"))


def test_class_folders_with_masks_in_every_place(check_source):
    check_source(
        "folder",
        {
            "Melanoma/one.jpg": None,
            "Melanoma/one_segmentation.png": None,
            "NV/two.JPG": None,
            "masks/two_mask.png": None,
            "wart/three.png": None,
            "masks/wart/three.png": None,
            "wart/four.tif": None,
        },
        diagnoses={"one": "melanoma", "two": "nevus", "three": "wart", "four": "wart"},
        splits={"train": 4},
        masks=["one", "two", "three"],
    )


def test_class_folders_in_split_folders_tell_equal_names_apart(check_source):
    listing = check_source(
        "folder",
        {
            "train/melanoma/a.jpg": None,
            "train/nevus/a.jpg": None,
            "Val/nevus/b.jpg": None,
            "test/melanoma/a.jpg": None,
            "masks/a.png": None,
            "masks/b.png": None,
        },
        diagnoses={
            "train_melanoma_a": "melanoma",
            "train_nevus_a": "nevus",
            "b": "nevus",
            "test_melanoma_a": "melanoma",
        },
        splits={"train": 2, "validation": 1, "test": 1},
        masks=["b"],
        name="clinic",
        licence="CC-BY-4.0",
        attribution="Smith et al.",
    )
    assert (listing.name, listing.licence) == ("clinic", "CC-BY-4.0")


def test_folders_without_images(folder_of):
    with pytest.raises(MelanomaError, match="folder: expected images in one folder per class"):
        list_source("folder", folder_of({"melanoma/readme.txt": None}))
    with pytest.raises(MelanomaError, match=r"found a.jpg"):
        list_source("folder", folder_of({"a.jpg": None}, "flat"))


def test_nothing_is_passed_over_in_silence(folder_of):
    folder = folder_of(
        {
            "melanoma/a.jpg": None,
            "melanoma/a.png": None,
            "melanoma/b.gif": None,
            "melanoma/more/c.jpg": None,
            "__MACOSX/melanoma/._a.jpg": None,
            "stray.jpg": None,
        }
    )
    listing = list_source("folder", folder)
    assert [lesion.image_path.name for lesion in listing.lesions] == ["a.jpg"]
    assert listing.unlabelled == ("stray",)
    assert {each.path.name: each.reason for each in listing.passed_over} == {
        "a.png": "second file of its name",
        "b.gif": "file of another type (.gif)",
        "more": "folder, not searched",
        "__MACOSX": "hidden folder or one of macOS",
    }


def test_folders_beside_split_folders_are_named(folder_of):
    listing = list_source("folder", folder_of({"train/nevus/a.jpg": None, "extra/b.jpg": None}))
    assert [(each.path.name, each.reason) for each in listing.passed_over] == [
        ("extra", "folder, not searched")
    ]


def test_dermofit_as_macos_unpacks_it(folder_of):
    folder = folder_of({"MEL/A1.jpg": None, "MEL/._A1.jpg": None, "__MACOSX/x": None})
    listing = list_source("dermofit", folder)
    assert [lesion.key for lesion in listing.lesions] == ["A1"]
    assert [each.path.name for each in listing.passed_over] == ["__MACOSX", "._A1.jpg"]


@pytest.mark.parametrize("parent", ["", "train"])
def test_class_folders_with_control_characters_are_passed_over_and_named(folder_of, parent):
    """Where names of images repeat, keys begin with the names of the folders."""
    files = [f"{parent}/melanoma/a.jpg", f"{parent}/ne\nvus/a.jpg", f"{parent}/nevus/a.jpg"]
    listing = list_source("folder", folder_of(dict.fromkeys(each.lstrip("/") for each in files)))
    assert len(listing.lesions) == 2
    assert all(lesion.key.isprintable() for lesion in listing.lesions)
    assert [each.name for each in listing.passed_over] == [r"ne\nvus"]


def test_only_a_class_folder_with_control_characters_is_one_line(folder_of):
    with pytest.raises(MelanomaError, match=r"found m\\x1b\[2Je") as caught:
        list_source("folder", folder_of({"m\x1b[2Je/a.jpg": None}))
    assert str(caught.value).isprintable()
