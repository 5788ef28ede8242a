import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import (
    DATASET_SUFFIXES,
    IMAGE_SUFFIXES,
    TENSORFLOW_SUFFIXES,
    find_images,
    find_mask,
    images_in,
    masks_in,
    refuse_equal_names,
)


def test_what_tensorflow_decodes_is_a_part_of_what_opencv_decodes():
    assert set(TENSORFLOW_SUFFIXES) < set(IMAGE_SUFFIXES) < set(DATASET_SUFFIXES)


@pytest.mark.parametrize("suffixes", [TENSORFLOW_SUFFIXES, IMAGE_SUFFIXES])
def test_images_of_a_folder_by_suffix(folder_of, suffixes):
    folder = folder_of({f"{i}{suffix.upper()}": None for i, suffix in enumerate(DATASET_SUFFIXES)})
    folder_of({"below/a.jpg": None, "table.csv": None})
    found = find_images([folder], suffixes)
    assert {path.suffix.lower() for path in found} == set(suffixes)
    assert found == sorted(found)


def test_a_named_file_is_taken_and_an_empty_or_absent_folder_refused(folder_of, tmp_path):
    folder = folder_of({"a.bin": None})
    assert find_images([folder / "a.bin"]) == [folder / "a.bin"]
    with pytest.raises(MelanomaError, match=r"expected \.jpg, \.jpeg, \.png, \.bmp files, found"):
        find_images([folder])
    with pytest.raises(MelanomaError, match="does not exist"):
        find_images([tmp_path / "absent"])


def test_masks_by_name(folder_of):
    masks = folder_of({"a_segmentation.png": None, "a.png": None, "b.png": None}, "masks")
    images = folder_of({"a.jpg": None, "b.jpg": None, "c.jpg": None})
    assert find_mask(masks, images / "a.jpg") == masks / "a_segmentation.png"
    assert find_mask(masks, images / "a.jpg", "_occlusion") == masks / "a.png"
    assert find_mask(masks, images / "b.jpg") == masks / "b.png"
    assert find_mask(masks, images / "c.jpg") is None


def test_an_image_is_not_its_own_mask(folder_of):
    folder = folder_of({"a.png": None})
    assert find_mask(folder, folder / "a.png") is None


def test_equal_names_are_refused(folder_of):
    folder = folder_of({"a.jpg": None, "a.png": None, "b.png": None})
    refuse_equal_names([folder / "a.jpg", folder / "b.png"])
    with pytest.raises(MelanomaError, match=r"different names; found .*a\.jpg and .*a\.png"):
        refuse_equal_names(find_images([folder]))


def test_images_and_masks_by_key(folder_of):
    names = ("x.bmp", "x.jpg", "X_Segmentation.png", "x_superpixels.png", "y.dcm", ".z.jpg")
    folder = folder_of(dict.fromkeys(names))
    assert images_in(folder) == {"x": folder / "x.jpg", "y": folder / "y.dcm"}
    assert masks_in(folder) == {"X": folder / "X_Segmentation.png"}
