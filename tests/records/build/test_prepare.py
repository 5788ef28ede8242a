import itertools

import cv2
import numpy as np
import pytest
from PIL import Image

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.build.prepare import (
    ImageFiles,
    Prepared,
    Refused,
    fit_decoded,
    prepare,
    prepare_all,
)
from melanoma_tf.records.decode import read_bgr_at_least
from melanoma_tf.records.encode import Encoding


def picture(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC)


def files_of(listing):
    return [ImageFiles(lesion.image_path, lesion.mask_path) for lesion in listing.lesions]


def test_image_and_mask_come_out_in_one_size(make_listing):
    prepared = prepare(files_of(make_listing(1))[0], Encoding(image_size=24), 200)
    assert isinstance(prepared, Prepared)
    assert (prepared.height, prepared.width) == (24, 32)
    assert prepared.image
    assert prepared.mask


def test_the_file_that_cannot_be_read_is_named(make_listing):
    listing = make_listing(2)
    listing.lesions[0].image_path.write_bytes(b"no image")
    listing.lesions[1].mask_path.unlink()
    first, second = (prepare(item, Encoding(), 200) for item in files_of(listing))
    assert isinstance(first, Refused)
    assert first.path == listing.lesions[0].image_path
    assert isinstance(second, Refused)
    assert second.path == listing.lesions[1].mask_path
    assert "No such file" in second.reason


def test_a_mask_that_lies_across_its_image_is_refused(make_listing):
    """The image's EXIF turns it by a quarter, the mask was drawn on the pixels as they lie."""
    (item,) = files_of(make_listing(1))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(item.image_path).save(item.image_path, "PNG", exif=exif)
    refused = prepare(item, Encoding(), 200)
    assert isinstance(refused, Refused)
    assert refused.path == item.mask_path
    assert "mask of 64x48 pixels for an image of 48x64" in refused.reason


def test_order_and_bytes_do_not_depend_on_the_number_of_workers(make_listing):
    files = files_of(make_listing(20))
    one = list(prepare_all(files, Encoding(image_size=24), max_megapixels=200, workers=1))
    two = list(prepare_all(files, Encoding(image_size=24), max_megapixels=200, workers=2))
    assert [item.image for item in one] == [item.image for item in two]
    assert [item.thumbnail.tobytes() for item in one] == [item.thumbnail.tobytes() for item in two]
    assert len({item.image for item in one}) == 20


def test_work_is_taken_up_only_as_far_as_the_look_ahead(make_listing):
    files = files_of(make_listing(1))
    taken = itertools.count()
    endless = (files[0] for _ in taken)
    results = prepare_all(endless, Encoding(image_size=24), max_megapixels=200, workers=2)
    for _ in range(3):
        assert isinstance(next(results), Prepared)
    results.close()
    assert next(taken) < 100


def test_large_jpegs_are_scaled_as_area_averaging_does(tmp_path, real_data):
    """libjpeg averages while it decodes: within a grey level, on average, of averaging later."""
    paths = sorted((real_data / "isic2017" / "ISIC-2017_Training_Data").glob("*.jpg"))[:40]
    differences = []
    for path in paths:
        decoded, size = read_bgr_at_least(path, 128)
        whole = cv2.imread(str(path))
        assert size == whole.shape[:2]
        if decoded.shape == whole.shape:
            continue
        stored = fit_decoded(decoded, size, 128)
        expected = cv2.resize(whole, stored.shape[1::-1], interpolation=cv2.INTER_AREA)
        differences.append(np.abs(expected.astype(int) - stored).mean())
    assert len(differences) > 30
    assert np.mean(differences) < 0.6


@pytest.mark.parametrize(("height", "width"), [(96, 128), (97, 128), (96, 131)])
def test_a_scaled_photograph_is_upright_and_has_its_size(tmp_path, height, width):
    image = cv2.resize(picture(3), (width, height))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image[..., ::-1]).save(tmp_path / "a.jpg", exif=exif, quality=95)
    decoded, size = read_bgr_at_least(tmp_path / "a.jpg", 24)
    assert size == (width, height)
    assert decoded.shape[:2] == ((width // 2, height // 2) if height == 96 == width - 32 else size)
    expected = cv2.resize(np.rot90(image, -1), decoded.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(expected.astype(int) - decoded).mean() < 3


def test_no_worker_is_refused(make_listing):
    with pytest.raises(MelanomaError, match="at least 1 worker; found 0"):
        list(prepare_all([], Encoding(), max_megapixels=200, workers=0))
