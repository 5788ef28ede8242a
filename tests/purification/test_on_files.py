"""`melanoma-tf purify` on image files, as a user runs it."""

import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.purification.on_files import purify_files
from melanoma_tf.purification.purifier import PurificationTools
from melanoma_tf.purification.settings import PurificationSettings

WITHOUT_NETWORKS = ("--method", "classical", "--segmenter", "none")
CLASSICAL = PurificationSettings(method="classical", segmenter="none")
HAIRY = PhantomSettings(size_px=(96, 128), hairs=1, ruler=0, ink=0, bubbles=0)


@pytest.fixture
def photos(tmp_path):
    """A folder with a JPEG, a PNG and a BMP in a sub-folder, and their phantoms."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    phantoms = {}
    for seed, name in enumerate(("a.jpg", "b.png", "more/c.bmp")):
        phantoms[name] = draw_phantom("nevus", seed, HAIRY)
        cv2.imwrite(str(folder / name), phantoms[name].image[..., ::-1])
    (folder / "notes.txt").write_text("no image")
    return folder, phantoms


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_a_folder_keeps_names_sizes_and_formats(photos, tmp_path, run_command):
    folder, phantoms = photos
    done = run_command(
        "purify", folder, "--output", tmp_path / "out", "--mask-output", tmp_path / "masks",
        "--workers", 2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 images" in done.stdout
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert written == set(phantoms)
    for name, phantom in phantoms.items():
        purified = read(tmp_path / "out" / name)
        assert purified.shape == phantom.image.shape
        mask_path = (tmp_path / "masks" / name).with_suffix(".png")
        mask = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED)
        assert mask.shape == phantom.occlusion_mask.shape
        assert set(np.unique(mask)) <= {0, 255}
        truth = phantom.occlusion_mask > 0
        error = [np.mean((i[truth].astype(float) - phantom.clean[truth]) ** 2)
                 for i in (phantom.image, purified)]  # fmt: skip
        assert error[1] < error[0]
    assert (folder / "b.png").read_bytes()[:8] == (tmp_path / "out/b.png").read_bytes()[:8]


def test_one_image_and_a_lesion_mask_under_bisla2019(photos, tmp_path):
    folder, phantoms = photos
    masks = tmp_path / "lesions"
    masks.mkdir()
    lesion = phantoms["b.png"].lesion_mask
    cv2.imwrite(str(masks / "b_segmentation.png"), lesion)
    settings = PurificationSettings(method="bisla2019", segmenter="none", lesion_masks=masks)
    outcomes = purify_files(folder / "b.png", tmp_path / "out", settings)
    assert [outcome.path.name for outcome in outcomes] == ["b.png"]
    kept = read(tmp_path / "out" / "b.png")[lesion > 0]
    np.testing.assert_array_equal(kept, phantoms["b.png"].image[lesion > 0])


def test_bad_files_are_named_and_the_others_done(photos, tmp_path, invoke_command):
    folder, _ = photos
    (folder / "broken.jpg").write_bytes(b"not an image")
    done = invoke_command("purify", folder, "--output", tmp_path / "out", *WITHOUT_NETWORKS)
    assert done.returncode == 1
    assert "broken.jpg: " in done.stderr
    assert "4 images to purify; 1 could not be" in done.stderr
    assert (tmp_path / "out" / "a.jpg").is_file()
    assert not (tmp_path / "out" / "broken.jpg").exists()


def test_threads_do_not_change_the_result(photos, tmp_path):
    folder, phantoms = photos
    for workers in (1, 3):
        settings = PurificationSettings(method="classical", segmenter="none", workers=workers)
        outcomes = purify_files(folder, tmp_path / str(workers), settings)
        assert [str(o.path.relative_to(folder)) for o in outcomes] == sorted(phantoms)
    for name in phantoms:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_nothing_is_overwritten_without_being_told(photos, tmp_path):
    folder, _ = photos
    existing = tmp_path / "out" / "b.png"
    existing.parent.mkdir()
    existing.write_text("mine")
    with pytest.raises(MelanomaError, match=r"b\.png exists.*--overwrite"):
        purify_files(folder, tmp_path / "out", CLASSICAL)
    assert existing.read_text() == "mine"
    assert not (tmp_path / "out" / "a.jpg").exists()
    purify_files(folder, tmp_path / "out", CLASSICAL, overwrite=True)
    assert read(existing).shape == (96, 128, 3)


def test_only_photographs_are_purified(photos, tmp_path):
    folder, phantoms = photos
    shutil.copy(folder / "b.png", folder / "b_superpixels.png")
    (folder / "b").mkdir()
    cv2.imwrite(str(folder / "b" / "b_lesion.bmp"), phantoms["b.png"].lesion_mask)
    (folder / "a.dcm").write_bytes(b"")
    lines = []
    outcomes = purify_files(folder, tmp_path / "out", CLASSICAL, log=lines.append)
    assert sorted(each.path.name for each in outcomes) == ["a.jpg", "b.png", "c.bmp"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png", "more"]
    assert [line.removeprefix("warning: passed over ") for line in lines] == [
        "1 x superpixel map: b_superpixels.png",
        "1 x lesion mask: b/b_lesion.bmp",
        "1 x file in a format that cannot be written: a.dcm",
    ]


@pytest.mark.parametrize("name", ["a.dcm", "a", "a.gif"])
def test_what_cannot_be_written_again_is_refused_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(MelanomaError, match="expected images in a format that can be written"):
        purify_files(tmp_path / name, tmp_path / "out", CLASSICAL)


@pytest.mark.parametrize("suffix", [".jfif", ".webp", ".tif"])
def test_file_types_stay(photos, tmp_path, suffix):
    folder, _ = photos
    kind = {".jfif": "JPEG", ".webp": "WEBP", ".tif": "TIFF"}[suffix]
    path = tmp_path / f"c{suffix}"
    Image.fromarray(read(folder / "b.png")).save(path, kind)
    (outcome,) = purify_files(path, tmp_path / "out", CLASSICAL)
    assert not outcome.reason
    with Image.open(tmp_path / "out" / path.name) as image:
        assert image.format == kind


def test_the_originals_cannot_be_the_output(photos):
    folder, _ = photos
    with pytest.raises(MelanomaError, match="apart from the input"):
        purify_files(folder, folder, CLASSICAL, overwrite=True)


def test_a_file_in_the_place_of_an_output_folder_is_refused(photos, tmp_path):
    folder, _ = photos
    (tmp_path / "file").write_text("mine")
    settings = PurificationSettings(
        method="classical", segmenter="none", mask_output=tmp_path / "file"
    )
    with pytest.raises(MelanomaError, match=r"a folder to write at .*; found a file"):
        purify_files(folder, tmp_path / "out", settings)


def test_two_images_of_one_name_cannot_share_a_mask_file(photos, tmp_path):
    folder, phantoms = photos
    cv2.imwrite(str(folder / "a.png"), phantoms["a.jpg"].image)
    with pytest.raises(MelanomaError, match="one image per output file"):
        settings = PurificationSettings(mask_output=tmp_path / "masks")
        purify_files(folder, tmp_path / "out", settings)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("absent", {}, "an image or a folder of images; .* does not exist"),
        ("empty", {}, r"expected \.jpg, .* found none"),
        ("photos", {"method": "magic"}, "classical, bisla2019"),
        ("photos", {"workers": 0}, r"workers within \[1, inf\)"),
    ],
)
def test_bad_arguments_are_refused(photos, tmp_path, source, options, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MelanomaError, match=message):
        purify_files(tmp_path / source, tmp_path / "out", PurificationSettings(**options))


def test_options_of_records_are_refused_for_images(photos, tmp_path, invoke_command):
    done = invoke_command("purify", photos[0], "--output", tmp_path / "out", "--replace")
    assert done.returncode == 1
    assert "--replace with record folders only" in done.stderr


def test_with_lesion_masks_the_classical_method_loads_no_tensorflow(photos, tmp_path):
    folder, phantoms = photos
    for name, phantom in phantoms.items():
        target = (tmp_path / "lesions" / name).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), phantom.lesion_mask)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from melanoma_tf.purification.on_disk import purify\n"
        "from melanoma_tf.purification.settings import PurificationSettings\n"
        "source, output, masks = map(Path, sys.argv[1:])\n"
        "settings = PurificationSettings(method='classical', lesion_masks=masks)\n"
        "purify(source, output, settings)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    paths = (folder, tmp_path / "out", tmp_path / "lesions")
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], check=False)
    assert done.returncode == 0
    assert len(list((tmp_path / "out").rglob("*.*"))) == 3


def test_help_has_an_example_and_loads_no_tensorflow(run_command):
    done = run_command("purify", "--help", env={"PYTHONVERBOSE": ""})
    assert done.returncode == 0
    assert "melanoma-tf purify photos --output purified" in done.stdout


def test_a_lesion_is_looked_for_only_where_no_mask_is_given(photos, tmp_path):
    folder, phantoms = photos
    masks = tmp_path / "lesions"
    masks.mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(masks / f"{name}.png"), phantoms["b.png"].lesion_mask)
    seen = []

    def everything(image):
        seen.append(image.shape)
        return np.full(image.shape[:2], 255, np.uint8)

    tools = PurificationTools(segment_lesion=everything)
    settings = PurificationSettings(method="classical", lesion_masks=masks)
    given = purify_files(folder / "b.png", tmp_path / "given", settings, tools=tools)
    assert not seen
    settings = PurificationSettings(method="bisla2019")
    found = purify_files(folder / "b.png", tmp_path / "found", settings, tools=tools)
    # The paper's method leaves the lesion as it is, and all is lesion.
    assert seen == [(96, 128, 3)]
    assert found[0].occluded == 0.0
    np.testing.assert_array_equal(read(tmp_path / "found/b.png"), phantoms["b.png"].image)
    assert given[0].occluded > 0.0


def test_the_segmenter_can_be_left_out_and_must_exist(photos, tmp_path, invoke_command):
    folder, _ = photos
    done = invoke_command(
        "purify", folder / "b.png", "--output", tmp_path / "out", *WITHOUT_NETWORKS
    )
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "out/b.png").shape == (96, 128, 3)
    bad = invoke_command(
        "purify", folder / "b.png", "--output", tmp_path / "bad", "--method", "classical",
        "--segmenter", tmp_path / "no",
    )  # fmt: skip
    assert bad.returncode != 0
    assert "expected a run folder" in bad.stderr
    assert not (tmp_path / "bad").exists()


def test_every_output_is_on_the_drive_when_the_command_reports_it(photos, tmp_path, monkeypatch):
    """Synced once all are written, since waiting for the drive at each file is slow."""
    synced = set()
    sync = os.fsync

    def record(handle):
        synced.add(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", record)
    settings = PurificationSettings(
        method="classical", segmenter="none", mask_output=tmp_path / "masks"
    )
    outcomes = purify_files(photos[0], tmp_path / "out", settings)
    written = [p for name in ("out", "masks") for p in (tmp_path / name).rglob("*.*")]
    assert len(written) == 2 * len(outcomes) == 6
    assert {path.stat().st_ino for path in written} <= synced
