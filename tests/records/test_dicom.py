"""Files made with pydicom, decoded by the package, compared with the arrays that went in."""

import io

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.decode import decode_image
from melanoma_tf.records.header import UnreadableImageError

COLOUR = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8), (100, 80)
)
GREY = cv2.cvtColor(COLOUR, cv2.COLOR_RGB2GRAY)


def dicom(
    pixels, colours, *, syntax=ExplicitVRLittleEndian, bits=8, stored=None, jpeg=None, **tags
):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.4"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientName = "Secret^Patient"
    dataset.PatientID = "SECRET-ID"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = colours
    dataset.BitsAllocated = bits
    dataset.BitsStored = stored or bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes() if jpeg is None else encapsulate([jpeg])
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    dataset["PixelData"].is_undefined_length = jpeg is not None
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_plain_pixels_come_out_exactly(syntax):
    np.testing.assert_array_equal(decode_image(dicom(COLOUR, "RGB", syntax=syntax)), COLOUR)
    grey = decode_image(dicom(GREY, "MONOCHROME2", syntax=syntax))
    np.testing.assert_array_equal(grey, np.dstack([GREY] * 3))


def test_jpeg_inside_dicom_as_isic_2020_has_it():
    jpeg = cv2.imencode(".jpg", COLOUR[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    encoded = dicom(COLOUR, "YBR_FULL_422", syntax=JPEGBaseline8Bit, jpeg=jpeg)
    np.testing.assert_array_equal(decode_image(encoded), decode_image(jpeg))


def test_inverted_and_deep_grey():
    inverted = decode_image(dicom(255 - GREY, "MONOCHROME1"))[..., 0]
    assert np.abs(inverted.astype(int) - GREY).max() <= 1
    deep = dicom(GREY.astype(np.uint16) * 257, "MONOCHROME2", bits=16)
    np.testing.assert_array_equal(decode_image(deep)[..., 0], GREY)
    twelve = (GREY.astype(np.uint32) * 4095 // 255).astype(np.uint16)
    found = decode_image(dicom(twelve, "MONOCHROME2", bits=16, stored=12))[..., 0]
    assert np.abs(found.astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("lost", [10, 5000, 23000, 24500])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_truncated_files_are_refused(syntax, lost):
    encoded = dicom(COLOUR, "RGB", syntax=syntax)
    with pytest.raises(UnreadableImageError):
        decode_image(encoded[:-lost])


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"\0" * 128 + b"DICM" + b"junk" * 50, "DICOM file without an image"),
        (dicom(COLOUR, "RGB", Rows=60000, Columns=60000), "claims 60000x60000"),
        (dicom(np.stack([GREY, GREY]).reshape(160, 100), "MONOCHROME2", Rows=80,
               NumberOfFrames=2), "2 frames"),
        (dicom(GREY, "PALETTE COLOR"), "DICOM of PALETTE COLOR"),
    ],
)  # fmt: skip
def test_what_cannot_be_decoded_right_is_refused(encoded, message):
    with pytest.raises(UnreadableImageError, match=message):
        decode_image(encoded)


def test_nothing_of_the_header_reaches_the_records(make_listing, tmp_path):
    listing = make_listing(3)
    for lesion in listing.lesions:
        lesion.image_path.write_bytes(dicom(COLOUR, "RGB"))
    assert pydicom.dcmread(listing.lesions[0].image_path).PatientID == "SECRET-ID"
    settings = BuildSettings("isic2017", image_size=64, split="official")
    build_records([listing], settings, tmp_path / "out")
    content = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"IMG_0001" in content
    assert b"SECRET" not in content.upper()
