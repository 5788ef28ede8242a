"""The Example schema: how an image and what is known of it lie in a TFRecord, and come back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import tensorflow as tf

ORIGINS = ("real", "purified", "generated")

# One row per feature: the reading side is made from the same table as the writing side.
# Absent text is "", an absent number NaN, an absent mask b"".
FEATURES = {
    "image/encoded": tf.string,
    "image/format": tf.string,
    "image/height": tf.int64,
    "image/width": tf.int64,
    "image/key": tf.string,
    "mask/encoded": tf.string,
    "label": tf.int64,
    "label/text": tf.string,
    "source": tf.string,
    "split": tf.string,
    "lesion/id": tf.string,
    "patient/id": tf.string,
    "meta/age": tf.float32,
    "meta/sex": tf.string,
    "meta/site": tf.string,
    "origin": tf.string,
    "origin/parent": tf.string,
}


@dataclass(frozen=True)
class Example:
    """One record.

    Attributes:
        image: JPEG or PNG bytes, uint8 RGB `(height, width, 3)`.
        image_format: `jpeg` or `png`.
        height, width: of the image in pixels.
        key: the image's name.
        mask: PNG bytes, uint8 `(height, width, 1)`, 0 or 255; empty where there is none.
        label: class index in the folder's taxonomy.
        label_text: class name.
        source, split, lesion_id, patient_id, sex, site: text, empty where unknown.
        age: years, NaN where unknown.
        origin: `real`, `purified` or `generated`.
        parent: key of the image that it was made from, or the generator's run; empty for `real`.
    """

    image: bytes
    image_format: str
    height: int
    width: int
    key: str
    mask: bytes
    label: int
    label_text: str
    source: str
    split: str
    lesion_id: str = ""
    patient_id: str = ""
    age: float = float("nan")
    sex: str = ""
    site: str = ""
    origin: str = "real"
    parent: str = ""


def _values(example: Example) -> dict[str, object]:
    return {
        "image/encoded": example.image,
        "image/format": example.image_format,
        "image/height": example.height,
        "image/width": example.width,
        "image/key": example.key,
        "mask/encoded": example.mask,
        "label": example.label,
        "label/text": example.label_text,
        "source": example.source,
        "split": example.split,
        "lesion/id": example.lesion_id,
        "patient/id": example.patient_id,
        "meta/age": example.age,
        "meta/sex": example.sex,
        "meta/site": example.site,
        "origin": example.origin,
        "origin/parent": example.parent,
    }


def _feature(value: object) -> tf.train.Feature:
    if isinstance(value, str):
        value = value.encode("utf-8")
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def serialize(example: Example) -> bytes:
    """The record's bytes; equal examples give equal bytes."""
    features = {name: _feature(value) for name, value in _values(example).items()}
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString(deterministic=True)


def parse(serialized: tf.Tensor, names: Iterable[str] | None = None) -> dict[str, tf.Tensor]:
    """Parse records in the graph.

    Args:
        serialized: string, scalar or `(batch,)`.
        names: the features to parse, all by default; what is not asked for is not copied.

    Returns:
        The schema's features by name, each of the shape of `serialized`.
    """
    names = FEATURES if names is None else names
    specification = {name: tf.io.FixedLenFeature([], FEATURES[name]) for name in names}
    if serialized.shape.rank == 0:
        return tf.io.parse_single_example(serialized, specification)
    return tf.io.parse_example(serialized, specification)


def deserialize(serialized: bytes) -> Example:
    """The inverse of `serialize`, outside a graph.

    Raises:
        ValueError: the bytes are no Example of this schema.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception as error:
        raise ValueError(f"expected a serialised Example, found {error}") from None

    def value(name: str) -> object:
        feature = features[name]
        dtype = FEATURES[name]
        if dtype == tf.string:
            values = feature.bytes_list.value
        elif dtype == tf.float32:
            values = feature.float_list.value
        else:
            values = feature.int64_list.value
        if len(values) != 1:
            raise ValueError(f"expected one value in feature {name!r}, found {len(values)}")
        return values[0]

    def text(name: str) -> str:
        return bytes(value(name)).decode("utf-8")  # type: ignore[call-overload]

    return Example(
        image=value("image/encoded"),  # type: ignore[arg-type]
        image_format=text("image/format"),
        height=value("image/height"),  # type: ignore[arg-type]
        width=value("image/width"),  # type: ignore[arg-type]
        key=text("image/key"),
        mask=value("mask/encoded"),  # type: ignore[arg-type]
        label=value("label"),  # type: ignore[arg-type]
        label_text=text("label/text"),
        source=text("source"),
        split=text("split"),
        lesion_id=text("lesion/id"),
        patient_id=text("patient/id"),
        age=value("meta/age"),  # type: ignore[arg-type]
        sex=text("meta/sex"),
        site=text("meta/site"),
        origin=text("origin"),
        parent=text("origin/parent"),
    )
