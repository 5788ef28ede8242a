import itertools
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.build.prepare import ImageFiles, Prepared, Refused, prepare, prepare_all
from melanoma_tf.records.encode import Encoding


def files_of(listing):
    return [ImageFiles(lesion.image_path, lesion.mask_path) for lesion in listing.lesions]


def test_workers_never_load_tensorflow():
    """They start in a fraction of a second and stay small; spawned ones import this module."""
    code = (
        "import sys, melanoma_tf.records.build.prepare;"
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'keras') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
    assert one == two
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


def test_a_worker_that_dies_is_one_clear_error(make_listing):
    (item,) = files_of(make_listing(1))
    results = prepare_all(itertools.repeat(item), Encoding(), max_megapixels=200, workers=2)
    next(results)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(MelanomaError, match="a worker process died"):
        list(results)


def test_no_worker_is_refused(make_listing):
    with pytest.raises(MelanomaError, match="at least 1 worker; found 0"):
        list(prepare_all([], Encoding(), max_megapixels=200, workers=0))
