"""Files made with pydicom, decoded by the package, compared with the arrays that went in."""

import importlib
import io

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
    generate_uid,
)

from melanoma_tf.core.stack import is_usable
from melanoma_tf.records import dicom as package
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.decode import decode_image
from melanoma_tf.records.header import UnreadableImageError

COLOUR = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8), (100, 80)
)
GREY = cv2.cvtColor(COLOUR, cv2.COLOR_RGB2GRAY)

HAS_PYDICOM_3 = int(pydicom.__version_info__[0]) >= 3  # Python 3.9 has 2.4.
DECODERS = [name for name, present in (
    ("dicom_tensorflow_io", is_usable("tensorflow_io")),
    ("dicom_pydicom", HAS_PYDICOM_3),
) if present]  # fmt: skip


def decoder_module(name):
    return importlib.import_module(f"melanoma_tf.records.{name}")


@pytest.fixture(params=DECODERS, autouse=True)
def each_decoder(request, monkeypatch):
    monkeypatch.setattr(package, "decoder", decoder_module(request.param))


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
    if HAS_PYDICOM_3:
        dataset.save_as(stream, enforce_file_format=True)
    else:
        dataset.is_little_endian, dataset.is_implicit_VR = True, syntax == ImplicitVRLittleEndian
        dataset.save_as(stream, write_like_original=False)
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
    # Not the bytes, of which the unique identifiers are random: pytest-xdist compares the names.
    ids=lambda value: "file" if isinstance(value, bytes) else value,
)  # fmt: skip
def test_what_cannot_be_decoded_right_is_refused(encoded, message):
    with pytest.raises(UnreadableImageError, match=message):
        decode_image(encoded)


def compressed(encoded, syntax):
    dataset = pydicom.dcmread(io.BytesIO(encoded))
    dataset.compress(syntax)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def transcoded(pixels, colours, syntax, folder, **options):
    """Compress by GDCM, which has encoders that pydicom lacks."""
    gdcm = pytest.importorskip("gdcm")
    path = str(folder / "image.dcm")
    (folder / "image.dcm").write_bytes(dicom(pixels, colours, **options))
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(path)
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(path)
    assert writer.Write()
    return (folder / "image.dcm").read_bytes()


@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless"]
)
def test_lossless_jpeg_comes_out_exactly(syntax, tmp_path):
    np.testing.assert_array_equal(decode_image(transcoded(COLOUR, "RGB", syntax, tmp_path)), COLOUR)
    deep = transcoded(
        GREY.astype(np.uint16) << 4, "MONOCHROME2", syntax, tmp_path, bits=16, stored=12
    )
    found = package.decoder.decode_frame(deep, wide=True)[..., 0]
    np.testing.assert_array_equal(found, GREY.astype(np.uint16) << 8)


def of_every_kind():
    """Yield name, file and whether it has more than 8 bits."""
    jpeg = cv2.imencode(".jpg", COLOUR[..., ::-1])[1].tobytes()
    progressive = cv2.imencode(".jpg", COLOUR[..., ::-1], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    luma_chroma = np.ascontiguousarray(cv2.cvtColor(COLOUR, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]])
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    plain = dicom(COLOUR, "RGB")
    yield "deflated", dicom(COLOUR, "RGB", syntax=DeflatedExplicitVRLittleEndian), False
    yield "run lengths", compressed(plain, RLELossless), False
    yield "grey run lengths", compressed(dicom(GREY, "MONOCHROME2"), RLELossless), False
    yield "YCbCr", dicom(luma_chroma, "YBR_FULL"), False
    for name, syntax in (("baseline", JPEGBaseline8Bit), ("extended", JPEGExtended12Bit)):
        yield name, dicom(COLOUR, "YBR_FULL_422", syntax=syntax, jpeg=jpeg), False
    yield "full", dicom(COLOUR, "YBR_FULL", syntax=JPEGBaseline8Bit, jpeg=jpeg), False
    progressive = progressive.tobytes()
    yield "progressive", dicom(COLOUR, "YBR_FULL", syntax=JPEGBaseline8Bit, jpeg=progressive), False
    grey = cv2.imencode(".jpg", GREY)[1].tobytes()
    yield "grey JPEG", dicom(GREY, "MONOCHROME2", syntax=JPEGBaseline8Bit, jpeg=grey), False
    wavelets = cv2.imencode(".jp2", COLOUR[..., ::-1])[1].tobytes()
    yield "JPEG 2000", dicom(COLOUR, "RGB", syntax=JPEG2000Lossless, jpeg=wavelets), False
    yield "inverted", dicom(ramp[:4].astype(np.uint8), "MONOCHROME1"), False
    yield "6 of 8 bits", dicom(GREY // 4, "MONOCHROME2", stored=6), False
    yield "signed", dicom((GREY.astype(int) - 128).astype(np.int8), "MONOCHROME2",
                          PixelRepresentation=1), False  # fmt: skip
    yield "colours of 16 bits", dicom(COLOUR.astype(np.uint16) * 257, "RGB", bits=16), True
    yield (
        "colours of 12 bits",
        dicom(COLOUR.astype(np.uint16) * 16, "RGB", bits=16, stored=12),
        True,
    )
    for colours in ("MONOCHROME1", "MONOCHROME2"):
        yield f"12 bits, {colours}", dicom(ramp, colours, bits=16, stored=12), True
        yield f"16 bits, {colours}", dicom(ramp * 16, colours, bits=16), True
    signed = (ramp.astype(int) - 2048 & 0xFFF).astype(np.uint16)
    options = {"bits": 16, "stored": 12, "PixelRepresentation": 1}
    yield "12 bits, signed", dicom(signed, "MONOCHROME2", **options), True
    yield "window", dicom(GREY, "MONOCHROME2", WindowCenter=100, WindowWidth=50), False


@pytest.mark.skipif(len(DECODERS) < 2, reason="needs TensorFlow I/O and pydicom 3")
def test_pydicom_gives_the_pixels_of_tensorflow_io():
    decoders = [decoder_module(name) for name in DECODERS]
    for name, encoded, wide in of_every_kind():
        by_io, by_pydicom = (one.decode_frame(encoded, wide) for one in decoders)
        assert by_io.dtype == by_pydicom.dtype, name
        np.testing.assert_array_equal(by_io, by_pydicom, err_msg=name)


def test_grey_of_physical_units_is_refused():
    with pytest.raises(UnreadableImageError, match="DICOM of MONOCHROME2"):
        decode_image(dicom(GREY, "MONOCHROME2", RescaleSlope=1, RescaleIntercept=-1024))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit])
def test_truncated_compressed_pixels_are_refused(syntax):
    if syntax == RLELossless:
        encoded = compressed(dicom(COLOUR, "RGB"), syntax)
    else:
        jpeg = cv2.imencode(".jpg", COLOUR)[1].tobytes()
        encoded = dicom(COLOUR, "YBR_FULL_422", syntax=syntax, jpeg=jpeg)
    for lost in (600, 2000):
        with pytest.raises(UnreadableImageError):
            decode_image(encoded[:-lost])


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
