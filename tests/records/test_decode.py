"""Against Pillow, which decodes the same files with code of its own."""

import io
import struct
import zlib

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from melanoma_tf.records.decode import decode_image, read_image, read_mask, read_portable
from melanoma_tf.records.header import UnreadableImageError, read_header

PICTURE = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8),
    (100, 80),
    interpolation=cv2.INTER_CUBIC,
)


def saved(image, image_format, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def as_pillow(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def assert_as_pillow(encoded):
    decoded = decode_image(encoded)
    assert decoded.dtype == np.uint8
    # 1: CMYK and YCbCr are rounded by each in its own way.
    assert np.abs(decoded.astype(int) - as_pillow(encoded)).max() <= 1


@pytest.mark.parametrize(
    ("mode", "image_format", "options"),
    [
        *[(mode, "PNG", {}) for mode in ("RGB", "L", "P", "1", "LA", "RGBA")],
        *[(mode, "BMP", {}) for mode in ("RGB", "L", "P", "1")],
        *[(mode, "JPEG", {"quality": 95}) for mode in ("RGB", "L", "CMYK")],
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"keep_rgb": True}),
        *[
            (mode, "TIFF", {"compression": compression})
            for mode in ("RGB", "L", "P", "1", "RGBA", "CMYK", "YCbCr")
            for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")
            if (mode, compression) != ("YCbCr", None)  # Pillow 12 does not read its own.
        ],
        ("RGB", "TIFF", {"compression": "jpeg"}),
        ("RGB", "TIFF", {"big_tiff": True}),
        *[(mode, "WEBP", {"lossless": True}) for mode in ("RGB", "RGBA")],
        ("RGB", "WEBP", {"quality": 80}),
    ],
)
def test_every_kind_of_file_gives_its_colours(mode, image_format, options):
    encoded = saved(Image.fromarray(PICTURE).convert(mode), image_format, **options)
    assert_as_pillow(encoded)
    header = read_header(encoded)
    assert (header.image_format, header.height, header.width) == (image_format.lower(), 80, 100)


def test_white_is_zero_in_some_grey_tiffs():
    grey = Image.fromarray(PICTURE).convert("L")
    inverted = Image.fromarray(255 - np.asarray(grey))
    encoded = saved(inverted, "TIFF", tiffinfo={262: 0})
    np.testing.assert_array_equal(decode_image(encoded)[..., 0], as_pillow(encoded)[..., 0])


def test_pixels_under_transparency_come_out_as_they_are():
    alpha = np.tile(np.linspace(0, 255, 100).astype(np.uint8), (80, 1))
    encoded = saved(Image.fromarray(np.dstack([PICTURE, alpha])), "PNG")
    np.testing.assert_array_equal(decode_image(encoded), PICTURE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_turns_image_and_mask_upright(image_format, orientation, tmp_path):
    path = tmp_path / "file"
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if image_format == "WEBP" else {}
    encoded = saved(Image.fromarray(PICTURE), image_format, exif=exif, **options)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))))
    np.testing.assert_array_equal(decode_image(encoded), upright)
    path.write_bytes(encoded)
    np.testing.assert_array_equal(as_pillow(read_portable(path)), upright)
    mask = Image.fromarray(np.where(PICTURE[..., 0] > 99, np.uint8(255), np.uint8(0)))
    path.write_bytes(saved(mask, image_format, exif=exif, **options))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(path.read_bytes())))
    np.testing.assert_array_equal(read_mask(path) > 0, np.asarray(upright.convert("L")) > 128)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_are_rounded_to_8(suffix):
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    encoded = cv2.imencode(suffix, deep[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode_image(encoded), np.rint(deep / 257).astype(np.uint8))
    grey = cv2.imencode(suffix, deep[..., 0])[1].tobytes()
    np.testing.assert_array_equal(decode_image(grey)[..., 1], np.rint(deep[..., 0] / 257))


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("image_format", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("BMP", {}), ("TIFF", {}),
     ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {}), ("WEBP", {"lossless": True})],
)  # fmt: skip
def test_truncated_files_are_refused(image_format, options, cut):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    encoded = saved(Image.fromarray(noise), image_format, **options)
    with pytest.raises(UnreadableImageError):
        decode_image(encoded[: int(len(encoded) * cut)])


def test_a_thumbnail_is_not_taken_for_the_end_of_a_truncated_jpeg():
    thumbnail = saved(Image.fromarray(PICTURE[:20, :20]), "JPEG")
    encoded = saved(Image.fromarray(PICTURE), "JPEG", quality=95)
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = encoded[:2] + segment + encoded[2:]
    np.testing.assert_array_equal(decode_image(whole), decode_image(encoded))
    with pytest.raises(UnreadableImageError, match="truncated: the JPEG data end too early"):
        decode_image(whole[:-200])


def test_a_changed_byte_in_a_png_is_refused():
    encoded = bytearray(saved(Image.fromarray(PICTURE), "PNG"))
    encoded[len(encoded) // 2] ^= 1
    with pytest.raises(UnreadableImageError, match="wrong checksum"):
        decode_image(bytes(encoded))


def png_that_claims(width, height) -> bytes:
    """A PNG of a few kilobytes that would unpack to gigabytes."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1_000_000, 9)
    parts = (b"IHDR", header), (b"IDAT", body), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    def decoder(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decoder)
    with pytest.raises(UnreadableImageError, match=r"claims 60000x60000 = 3,600\.0 megapixels"):
        decode_image(png_that_claims(60000, 60000))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "TIFF"])
def test_the_limit_is_the_users(image_format, tmp_path):
    path = tmp_path / "image"
    path.write_bytes(saved(Image.fromarray(PICTURE), image_format))
    assert read_image(path, max_megapixels=0.008).shape == (80, 100, 3)
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableImageError, match=r"megapixels; expected at most 0\.007 "):
            read(path, max_megapixels=0.007)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "the file is empty"),
        (b"GIF89a" + b"\0" * 200, "expected a JPEG, PNG, BMP, TIFF, WebP or DICOM file"),
        (cv2.imencode(".tiff", PICTURE[..., 0].astype(np.float32))[1].tobytes(), "floating-point"),
        (saved(Image.fromarray(PICTURE).convert("LAB"), "TIFF"), "colour space 8"),
        (png_that_claims(0, 5), "claims a size of 0x5"),
        (b"\xff\xd8\xff\xd9", "no frame"),
    ],
    ids=lambda value: "file" if isinstance(value, bytes) else value,
)
def test_what_would_not_come_out_right_is_refused_with_a_reason(encoded, message):
    with pytest.raises(UnreadableImageError, match=message):
        decode_image(encoded)


@given(
    magic=st.sampled_from(
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0+", b"RIFF\x10\0\0\0WEBP"]
    ),
    content=st.binary(max_size=300),
)
def test_any_bytes_give_a_size_or_a_refusal(magic, content):
    try:
        header = read_header(magic + content)
    except UnreadableImageError:
        return
    assert header.height > 0
    assert header.width > 0


def test_masks_of_every_coding(tmp_path):
    truth = np.zeros((40, 50), np.uint8)
    truth[10:20, 5:30] = 255
    path = tmp_path / "mask.png"
    for stored in (truth, truth // 255, truth.astype(np.uint16) * 257, np.dstack([truth] * 3)):
        cv2.imwrite(str(path), stored)
        np.testing.assert_array_equal(read_mask(path), truth)
    Image.fromarray(truth).convert("1").save(tmp_path / "mask.bmp")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.bmp"), truth)
    # JPEG noise around 0 is skin.
    cv2.imwrite(str(path), np.where(truth > 0, 250, 3).astype(np.uint8))
    np.testing.assert_array_equal(read_mask(path), truth)
    path.write_bytes(saved(Image.fromarray(truth).convert("P"), "PNG"))
    np.testing.assert_array_equal(read_mask(path), truth)
    cv2.imwrite(str(path), np.zeros((40, 50), np.uint8))
    assert not read_mask(path).any()


@pytest.mark.parametrize("size", [(1, 200), (5, 5), (2000, 50)])
def test_strips_are_no_photographs(tmp_path, size):
    path = tmp_path / "strip.png"
    Image.new("RGB", size).save(path)
    for read in (read_image, read_portable):
        with pytest.raises(UnreadableImageError, match=f"photograph.*found {size[0]}x{size[1]}"):
            read(path)


@pytest.mark.parametrize(
    ("mode", "image_format", "kept"),
    [
        ("RGB", "JPEG", True),
        ("L", "JPEG", True),
        ("CMYK", "JPEG", False),
        ("RGB", "PNG", True),
        ("L", "PNG", True),
        ("P", "PNG", False),
        ("RGBA", "PNG", False),
        ("1", "PNG", False),
        ("RGB", "BMP", False),
        ("P", "BMP", False),
        ("RGB", "TIFF", False),
        ("RGB", "WEBP", False),
    ],
)
def test_portable_bytes_have_the_pixels_of_the_file(tmp_path, mode, image_format, kept):
    path = tmp_path / "image"
    path.write_bytes(saved(Image.fromarray(PICTURE).convert(mode), image_format))
    portable = read_portable(path)
    assert (portable == path.read_bytes()) == kept
    np.testing.assert_array_equal(decode_image(portable), read_image(path))
    if not kept:
        np.testing.assert_array_equal(as_pillow(portable), read_image(path))


def test_images_in_an_hdf5_file_are_read_by_their_key(tmp_path):
    encoded = saved(Image.fromarray(PICTURE), "JPEG")
    path = tmp_path / "train-image.hdf5"
    with h5py.File(path, "w") as file:
        file["ISIC_0000001"] = np.bytes_(encoded)
        file["ISIC_0000002"] = np.void(encoded)
        file["ISIC_0000003"] = np.frombuffer(encoded, np.uint8)
        file["ISIC_0000004"] = 5
        file["broken"] = np.bytes_(encoded[:500])
        # Nothing of it is in the file.
        file.create_dataset("huge", (2**40,), np.uint8, chunks=(2**20,))
    for number in (1, 2, 3):
        decoded = read_image(path / f"ISIC_000000{number}")
        np.testing.assert_array_equal(decoded, decode_image(encoded))
    for key, message in (
        ("ISIC_0000004", "expected the content of an image file"),
        ("absent", "train-image.hdf5"),
        ("broken", "truncated"),
        ("huge", "expected at most 268,435,456 bytes under huge"),
    ):
        with pytest.raises(UnreadableImageError, match=message):
            read_image(path / key)


def test_real_images_come_out_as_pillow_decodes_them(real_data):
    for path in sorted((real_data / "isic2017").glob("*Data/*.jpg"))[:10]:
        encoded = path.read_bytes()
        assert np.abs(read_image(path).astype(int) - as_pillow(encoded)).max() <= 2
