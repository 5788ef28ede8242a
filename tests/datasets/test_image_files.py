import os
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import (
    IMAGE_SUFFIXES,
    OCCLUSION_MASK,
    describe,
    find_images,
    mask_of,
    refuse_equal_names,
    scan_images,
    scan_masks,
)


def names(paths):
    return [path.name for path in paths]


def reasons(passed_over):
    return {each.path.name: each.reason for each in passed_over}


def test_images_of_a_folder_in_every_type_and_letter_case(folder_of):
    folder = folder_of({f"{i}{suffix.upper()}": None for i, suffix in enumerate(IMAGE_SUFFIXES)})
    folder_of({"table.csv": None, "LICENSE.txt": None})
    found = find_images([folder])
    assert names(found.paths) == sorted(os.listdir(folder))[:-2]
    assert found.passed_over == ()


def test_what_is_no_photograph_is_passed_over_by_name(folder_of):
    kinds = {
        "a_segmentation.png": "lesion mask",
        "A_Segmentation.PNG": "lesion mask",
        "a_superpixels.png": "superpixel map",
        "a_attribute_milia_like_cyst.png": "attribute mask",
        "a_lesion.bmp": "lesion mask",
        "a_mask.png": "lesion mask",
        "amask.png": "lesion mask",
        "a_roi.png": "region of interest",
        "a_R1_Label3.bmp": "region of interest",
        "._a.jpg": "hidden file",
        "a.gif": "file of another type (.gif)",
        "README": "file of another type (no suffix)",
    }
    folder = folder_of(dict.fromkeys(["a.jpg", *kinds, "__MACOSX/b.jpg", "more/c.jpg"]))
    os.mkfifo(folder / "pipe.jpg")
    (folder / "gone.jpg").symlink_to(folder / "absent.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "link.jpg").symlink_to(folder / "a.jpg")
    found = find_images([folder])
    assert names(found.paths) == ["a.jpg", "link.jpg"]
    assert reasons(found.passed_over) == {
        **kinds,
        "pipe.jpg": "no regular file",
        "gone.jpg": "link to nothing",
        "loop.jpg": "link to nothing",
        "__MACOSX": "hidden folder or one of macOS",
        "more": "folder, not searched",
    }
    assert "5 x lesion mask: A_Segmentation.PNG, a_lesion.bmp, a_mask.png ..." in describe(
        found.passed_over
    )


def test_names_with_control_characters_are_passed_over_and_escaped(tmp_path):
    for name in (b"a.jpg", b"b\n.jpg", b"c\x1b[2J.jpg", b"d\xff.jpg"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    found = find_images([tmp_path])
    assert names(found.paths) == ["a.jpg"]
    (line,) = describe(found.passed_over)
    assert line == r"3 x name with control characters: b\n.jpg, c\x1b[2J.jpg, d\udcff.jpg"


def test_a_folder_that_cannot_be_listed_is_one_line(folder_of, monkeypatch):
    folder = folder_of({"a/b.jpg": None})

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(MelanomaError, match="cannot be listed: Permission denied"):
        find_images([folder], below=True)


def test_a_photograph_may_be_called_as_a_mask_is(folder_of):
    folder = folder_of({"left_lesion.jpg": None, "unmask.png": None})
    assert names(find_images([folder]).paths) == ["left_lesion.jpg", "unmask.png"]


def test_below_a_folder_links_in_a_circle_end(folder_of):
    folder = folder_of({"b/x.jpg": None, "a/x.jpg": None, "a/x_lesion/x_lesion.bmp": None})
    (folder / "a" / "up").symlink_to(folder)
    found = find_images([folder], below=True)
    assert [str(path.relative_to(folder)) for path in found.paths] == ["a/x.jpg", "b/x.jpg"]


def test_a_named_file_is_taken_and_what_is_no_file_or_empty_refused(folder_of, tmp_path):
    folder = folder_of({"a.bin": None, "b_segmentation.png": None})
    assert find_images([folder / "a.bin"]).paths == (folder / "a.bin",)
    message = r"expected \.jpg, .* found 1 x file of another type \(\.bin\): a.bin; 1 x lesion mask"
    with pytest.raises(MelanomaError, match=message):
        find_images([folder])
    with pytest.raises(MelanomaError, match="does not exist"):
        find_images([tmp_path / "absent"])
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(MelanomaError, match="is no file"):
        find_images([tmp_path / "pipe.jpg"])


def test_an_image_that_is_named_twice_is_taken_once(folder_of):
    folder = folder_of(dict.fromkeys(("a.jpg", "b.jpg")))
    found = find_images([folder / "b.jpg", folder, folder])
    assert found.paths == (folder / "b.jpg", folder / "a.jpg")
    assert {each.name: each.reason for each in found.passed_over} == {
        "a.jpg": "named twice",
        "b.jpg": "named twice",
    }


def test_an_hdf5_file_stands_for_its_images(tmp_path):
    path = tmp_path / "test-image.hdf5"
    with h5py.File(path, "w") as file:
        file["ISIC_2"] = np.void(b"JPEG bytes")
        file["ISIC_1"] = np.void(b"JPEG bytes")
    assert find_images([path]).paths == (path / "ISIC_1", path / "ISIC_2")
    with h5py.File(path, "w") as file:
        file.create_group("empty")
    message = "expected images in the HDF5 file; found 1 x group of an HDF5 file: empty"
    with pytest.raises(MelanomaError, match=message):
        find_images([path])
    path.write_bytes(b"text")
    with pytest.raises(MelanomaError, match="expected an HDF5 file"):
        find_images([path])


def test_odd_names_and_links_of_an_hdf5_file_are_passed_over(tmp_path):
    with h5py.File(tmp_path / "private.hdf5", "w") as file:
        file["secret"] = np.void(b"JPEG bytes")
    path = tmp_path / "images.hdf5"
    with h5py.File(path, "w") as file:
        for name in ("ISIC_1", "a\nb", "\x1b[31m"):
            file[name] = np.void(b"JPEG bytes")
        file["dangling"] = h5py.SoftLink("/absent")
        file["outside"] = h5py.ExternalLink("private.hdf5", "secret")
    found = find_images([path])
    assert found.paths == (path / "ISIC_1",)
    assert {each.name: each.reason for each in found.passed_over} == {
        "\\x1b[31m": "name with control characters",
        "a\\nb": "name with control characters",
        "dangling": "link in an HDF5 file",
        "outside": "link in an HDF5 file",
    }


def test_masks_by_name(folder_of):
    files = ("a_segmentation.png", "a.png", "b.PNG", "d_lesion.bmp", "a_occlusion.png", "e.gif")
    folder = folder_of(dict.fromkeys(files), "masks")
    images = folder_of(dict.fromkeys(("a.jpg", "b.jpg", "c.jpg", "d.jpg")))
    scan = scan_masks(folder)
    found = [mask_of(scan.masks, images / f"{name}.jpg") for name in "abcd"]
    assert found == [folder / "a_segmentation.png", folder / "b.PNG", None, folder / "d_lesion.bmp"]
    assert reasons(scan.passed_over) == {
        "a_occlusion.png": "occlusion mask",
        "a.png": "second file of its name",
        "e.gif": "file of another type (.gif)",
    }
    occlusions = scan_masks(folder, kind=OCCLUSION_MASK).masks
    assert mask_of(occlusions, images / "a.jpg") == folder / "a_occlusion.png"


def test_an_image_is_not_its_own_mask(folder_of):
    folder = folder_of({"a.png": None})
    assert mask_of(scan_masks(folder).masks, folder / "a.png") is None


def test_equal_names_are_refused(folder_of):
    folder = folder_of({"a.jpg": None, "a.png": None, "b.png": None})
    refuse_equal_names([folder / "a.jpg", folder / "b.png"])
    with pytest.raises(MelanomaError, match=r"different names; found .*a\.jpg and .*a\.png"):
        refuse_equal_names(find_images([folder]).paths)


KNOWN = (".jpg", ".PNG", ".bmp")
NAMES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "."]),
    st.sampled_from(["a", "b", "A"]),
    st.sampled_from(
        ["", "_segmentation", "_mask", "mask", "_superpixels", "_lesion", "_R1_Label2"]
    ),
    st.sampled_from([".jpg", ".PNG", ".bmp", ".gif", ".csv", ""]),
)


@given(st.sets(NAMES, max_size=12))
def test_every_file_is_found_or_passed_over_and_none_twice(files):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in files:
            (folder / file).touch()
        # Tables are no images, and neither are hidden files of another type.
        hidden = {file for file in files if file.startswith(".") and file[-4:] not in KNOWN}
        expected = sorted(file for file in files - hidden if not file.endswith(".csv"))
        for scan in (scan_images(folder), scan_masks(folder)):
            listed = [*scan.images.values(), *scan.masks.values()]
            listed += [each.path for each in scan.passed_over]
            assert sorted(names(listed)) == expected


def test_images_and_masks_by_key(folder_of):
    files = ("x.bmp", "x.jpg", "X_Segmentation.png", "x_superpixels.png", "y.dcm", ".z.jpg")
    folder = folder_of(dict.fromkeys(files))
    other = folder_of({"y.jpg": None}, "other")
    scan = scan_images(folder, other, folder)
    assert scan.images == {"x": folder / "x.jpg", "y": folder / "y.dcm"}
    assert scan.masks == {"X": folder / "X_Segmentation.png"}
    assert reasons(scan.passed_over) == {
        "x.bmp": "second file of its name",
        "y.jpg": "second file of its name",
        "x_superpixels.png": "superpixel map",
        ".z.jpg": "hidden file",
    }
