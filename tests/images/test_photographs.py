"""Photographs as cameras and strangers send them: the graph reads what the file reader reads."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from melanoma_tf.images import photographs
from melanoma_tf.images.loading import load_crop, load_image, load_photograph
from melanoma_tf.images.orientation import read_orientation
from melanoma_tf.records.decode import decode_image

ORIENTATION = 0x0112


def picture(height=61, width=83):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).astype(float)
    return ((smooth - smooth.min()) * 255 / np.ptp(smooth)).astype(np.uint8)


def saved(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(value):
    tags = Image.Exif()
    tags[ORIENTATION] = value
    return tags


# Traced once: a file after the other is then read fast.
@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def read_whole(encoded):
    return load_photograph(encoded, read_orientation(encoded))


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def check(encoded):
    return photographs.check_photograph(encoded, 1.0)


orientation_of = tf.function(read_orientation, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied_as_the_reader_of_files_applies_it(kind, orientation):
    file = saved(picture(), kind, exif=exif(orientation))
    assert orientation_of(file) == orientation
    np.testing.assert_array_equal(read_whole(file), decode_image(file))


def files_of_many_kinds():
    image, rng = picture(), np.random.default_rng(1)
    whole = Image.fromarray(image)
    deep = rng.integers(0, 65536, (61, 83, 3), dtype=np.uint16)
    yield "progressive", saved(image, "JPEG", progressive=True)
    yield "full chroma", saved(image, "JPEG", subsampling=0)
    yield "grey JPEG", saved(whole.convert("L"), "JPEG")
    yield "bytes behind the end", saved(image, "JPEG") + b"more"
    yield "damaged pixels", saved(image, "JPEG")[:-300] + bytes(298) + b"\xff\xd9"
    yield "alpha", saved(np.dstack([image, image[..., 0]]), "PNG")
    yield "palette", saved(whole.quantize(64), "PNG", transparency=3)
    yield "16 colours", saved(whole.quantize(16), "PNG", bits=4)
    yield "1 bit", saved(whole.convert("1"), "PNG")
    yield "16 bits", cv2.imencode(".png", deep)[1].tobytes()
    yield "16 bits grey", cv2.imencode(".png", deep[..., 0])[1].tobytes()
    yield "BMP", saved(image, "BMP")


@pytest.mark.parametrize("file", [pytest.param(f, id=name) for name, f in files_of_many_kinds()])
def test_pixels_are_those_of_the_reader_of_files(file):
    assert check(file) == photographs.OK
    np.testing.assert_array_equal(read_whole(file), decode_image(file))


def test_cmyk_is_read_to_within_one_level():
    file = saved(Image.fromarray(picture()).convert("CMYK"), "JPEG")
    np.testing.assert_allclose(read_whole(file), decode_image(file).astype(int), atol=1)


def with_segments(file, *segments):
    """A JPEG with APP1 segments before its own."""
    added = b"".join(b"\xff\xe1" + struct.pack(">H", len(each) + 2) + each for each in segments)
    return file[:2] + added + file[2:]


def test_exif_is_found_behind_other_segments_in_either_byte_order():
    file = saved(picture(), "JPEG")
    for order, magic in ((">", b"MM\0*"), ("<", b"II*\0")):
        entries = struct.pack(order + "HHIHH", 0x010F, 3, 1, 5, 0)
        entries += struct.pack(order + "HHIHH", ORIENTATION, 3, 1, 6, 0)
        content = b"Exif\0\0" + magic + struct.pack(order + "IH", 8, 2) + entries + bytes(4)
        turned = with_segments(file, b"http://ns.adobe.com/xap/1.0/\0<x/>", content)
        assert orientation_of(turned) == 6
        assert read_whole(turned).shape == (83, 61, 3)
    assert orientation_of(file) == 1


def test_the_orientation_of_an_embedded_thumbnail_is_not_that_of_the_photograph():
    inner = saved(picture(16, 16), "JPEG", exif=exif(3))
    assert orientation_of(with_segments(saved(picture(), "JPEG"), b"JFXX\0" + inner)) == 1


@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_damaged_exif_never_hides_the_photograph(content, start):
    file = with_segments(saved(picture(8, 8), "JPEG"), b"Exif\0\0" + start + content)
    assert 1 <= orientation_of(file) <= 8
    assert read_whole(file).shape == (8, 8, 3)


def test_very_many_segments_are_refused_and_not_walked():
    with pytest.raises(tf.errors.InvalidArgumentError):
        orientation_of(with_segments(saved(picture(8, 8), "JPEG"), *[b""] * 300))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_scaling_and_cropping_see_the_upright_photograph(orientation):
    upright = np.asarray(Image.fromarray(picture(96, 128)))
    turned = saved(upright, "PNG", exif=exif(orientation))
    expected = load_image(saved(decode_image(turned), "PNG"), 40)
    orientation = orientation_of(turned)
    np.testing.assert_array_equal(load_image(turned, 40, orientation), expected)
    shape = expected.shape[:2]
    square = load_crop(turned, 40, 32, lambda shape: (shape - 32) // 2, orientation)
    top, left = (shape[0] - 32) // 2, (shape[1] - 32) // 2
    np.testing.assert_array_equal(square, expected[top : top + 32, left : left + 32])


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("file", "status"),
    [
        (b"", photographs.EMPTY),
        (b"BM", photographs.UNKNOWN_FORMAT),
        (b"no image", photographs.UNKNOWN_FORMAT),
        (saved(picture(), "GIF"), photographs.UNKNOWN_FORMAT),
        (saved(picture(), "TIFF"), photographs.UNKNOWN_FORMAT),
        (saved(Image.fromarray(picture()).quantize(64), "BMP"), photographs.UNKNOWN_FORMAT),
        (png_header(1000, 1000), photographs.OK),
        (png_header(1000, 1001), photographs.TOO_LARGE),
        (png_header(2**31 - 1, 2**31 - 1), photographs.TOO_LARGE),
        (png_header(1, 200_000), photographs.NO_PHOTOGRAPH),
        (png_header(160, 8), photographs.OK),
        (png_header(161, 8), photographs.NO_PHOTOGRAPH),
        (png_header(7, 7), photographs.NO_PHOTOGRAPH),
        (png_header(0, 10), photographs.UNREADABLE),
        (saved(picture(1100, 1000), "JPEG"), photographs.TOO_LARGE),
        (saved(picture(1100, 1000), "BMP"), photographs.TOO_LARGE),
    ],
)
def test_what_may_not_be_decoded_is_known_from_the_header(file, status):
    assert check(file) == status
    assert bool(photographs.messages(1.0)[status]) == (status != photographs.OK)
