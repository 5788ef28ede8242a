"""Prepared images as bytes and back; what workers of another version may send is refused."""

import dataclasses
import json
import pickle

import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.build.on_beam import pack, unpack
from melanoma_tf.records.build.prepare import ImageFiles, Refused, prepare
from melanoma_tf.records.encode import Encoding


@pytest.fixture(scope="module")
def files(phantom_folder):
    image = phantom_folder / "ISIC-2017_Training_Data" / "PHANTOM_0000000.jpg"
    (mask,) = phantom_folder.rglob("PHANTOM_0000000_segmentation.png")
    return ImageFiles(image, mask)


@pytest.fixture(scope="module")
def prepared(files):
    return prepare(files, Encoding(40), 200.0)


def same(one, other):
    values = [dataclasses.asdict(each) for each in (one, other)]
    thumbnails = [each.pop("thumbnail") for each in values]
    np.testing.assert_array_equal(*thumbnails)
    return values[0] == values[1]


def test_a_prepared_image_comes_back(files, prepared):
    assert same(unpack(pack(prepared), files, "jpeg"), prepared)
    plain = ImageFiles(files.image_path, None)
    uniform = dataclasses.replace(prepare(plain, Encoding(40), 200.0), thumbnail=None)
    assert unpack(pack(uniform), plain, "jpeg") == uniform


def test_a_refused_file_comes_back(tmp_path):
    odd = tmp_path / "no\udcff.jpg"
    refused = Refused(odd, "the file is empty\n", (1, 2, -1, -1))
    assert unpack(pack(refused), ImageFiles(odd, None), "jpeg") == refused
    with pytest.raises(MelanomaError, match="do all workers have this version"):
        unpack(pack(refused), ImageFiles(tmp_path / "other.jpg", None), "jpeg")


def changed(prepared, **values):
    header, *pictures = pack(prepared)
    return [json.dumps({**json.loads(header), **values}).encode(), *pictures]


@pytest.mark.parametrize(
    "change",
    [
        lambda parts, image: [],
        lambda parts, image: parts[:3],
        lambda parts, image: [pickle.dumps(image), *parts[1:]],
        lambda parts, image: [b"[" * 100_000, *parts[1:]],
        lambda parts, image: changed(image, height=image.height + 1),
        lambda parts, image: changed(image, height=float(image.height)),
        lambda parts, image: changed(image, pixels=True),
        lambda parts, image: changed(image, pixels=-1),
        lambda parts, image: changed(image, inverted=1),
        lambda parts, image: changed(image, signature=[1, 2, 3]),
        lambda parts, image: changed(image, signature=[1, 2, 3, "4"]),
        lambda parts, image: changed(image, more=1),
        lambda parts, image: [parts[0], b"", *parts[2:]],
        lambda parts, image: [parts[0], parts[2], *parts[2:]],
        lambda parts, image: [parts[0], parts[1][:-9], *parts[2:]],
        lambda parts, image: [*parts[:2], b"", parts[3]],
        lambda parts, image: [*parts[:2], parts[1], parts[3]],
        lambda parts, image: [*parts[:3], parts[3][:-1]],
    ],
)
def test_what_is_no_result_is_refused(files, prepared, change):
    with pytest.raises(MelanomaError, match="result of a worker of Apache Beam: expected"):
        unpack(change(pack(prepared), prepared), files, "jpeg")
