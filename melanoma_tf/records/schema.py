"""The Example schema: how an image and its labels are written into a TFRecord and read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

IMAGE_FORMATS = ("jpeg", "png")
ORIGINS = ("real", "purified", "generated")


@dataclass(frozen=True)
class Example:
    """One record.

    Attributes:
        image: JPEG or PNG bytes, uint8 RGB `(height, width, 3)`.
        image_format: `jpeg` or `png`.
        height, width: size of the image in pixels.
        key: the image's name.
        mask: PNG bytes, uint8 `(height, width, 1)`, 0 or 255; empty if the image has no mask.
        label: class index in the folder's taxonomy.
        label_text: class name.
        source, split, lesion_id, patient_id, sex, site: text, empty if unknown.
        age: age in years, NaN if unknown.
        origin: `real`, `purified` or `generated`.
        parent: key of the original image, or the generator's run; empty for `real`.
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


class Feature(NamedTuple):
    """A feature's field in `Example`, and the Python type of that field."""

    field: str
    type: type

    @property
    def dtype(self) -> str:
        """Name of the TensorFlow type."""
        return _TENSOR_TYPES[self.type][0]

    @property
    def list_name(self) -> str:
        """Name of the list in a `tf.train.Feature` that contains the value."""
        return _TENSOR_TYPES[self.type][1]


_TENSOR_TYPES: dict[type, tuple[str, str]] = {
    bytes: ("string", "bytes_list"),
    str: ("string", "bytes_list"),
    int: ("int64", "int64_list"),
    float: ("float32", "float_list"),
}
# One row per feature: reading and writing use the same table.
FEATURES: dict[str, Feature] = {
    "image/encoded": Feature("image", bytes),
    "image/format": Feature("image_format", str),
    "image/height": Feature("height", int),
    "image/width": Feature("width", int),
    "image/key": Feature("key", str),
    "mask/encoded": Feature("mask", bytes),
    "label": Feature("label", int),
    "label/text": Feature("label_text", str),
    "source": Feature("source", str),
    "split": Feature("split", str),
    "lesion/id": Feature("lesion_id", str),
    "patient/id": Feature("patient_id", str),
    "meta/age": Feature("age", float),
    "meta/sex": Feature("sex", str),
    "meta/site": Feature("site", str),
    "origin": Feature("origin", str),
    "origin/parent": Feature("parent", str),
}

# The same table as `serialize` reads it, for every example.
_COLUMNS = tuple(
    (name, feature.field, feature.list_name, feature.type is str)
    for name, feature in FEATURES.items()
)

# TensorFlow is imported where records are written or read: commands that only need the names of
# the origins start without it.


def serialize(example: Example) -> bytes:
    """Serialise a record; equal examples give equal bytes."""
    import tensorflow as tf

    message = tf.train.Example()
    features = message.features.feature
    for name, field, list_name, is_text in _COLUMNS:
        value = getattr(example, field)
        encoded = value.encode("utf-8") if is_text else value
        getattr(features[name], list_name).value.append(encoded)
    serialized: bytes = message.SerializeToString(deterministic=True)
    return serialized


def parse(serialized: tf.Tensor, names: Iterable[str] | None = None) -> dict[str, tf.Tensor]:
    """Parse records in the graph.

    Args:
        serialized: string, scalar or `(batch,)`.
        names: the features to parse, all by default; the others are not copied.

    Returns:
        The schema's features by name, each of the shape of `serialized`.
    """
    import tensorflow as tf

    names = FEATURES if names is None else names
    specification = {
        name: tf.io.FixedLenFeature([], tf.as_dtype(FEATURES[name].dtype)) for name in names
    }
    if serialized.shape.rank == 0:
        return tf.io.parse_single_example(serialized, specification)
    return tf.io.parse_example(serialized, specification)


def deserialize(serialized: bytes) -> Example:
    """Invert `serialize`, outside a graph.

    Raises:
        ValueError: the bytes are not an Example of this schema.
    """
    import tensorflow as tf

    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception as error:
        raise ValueError(f"expected a serialised Example, found {error}") from None
    fields: dict[str, Any] = {}
    for name, feature in FEATURES.items():
        values = getattr(features[name], feature.list_name).value
        if len(values) != 1:
            raise ValueError(f"expected one value in feature {name!r}, found {len(values)}")
        fields[feature.field] = values[0].decode("utf-8") if feature.type is str else values[0]
    return Example(**fields)
