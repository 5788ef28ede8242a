"""Metadata with which TensorFlow Datasets opens a record folder (`builder_from_directory`).

The files are plain JSON (https://www.tensorflow.org/datasets/external_tfrecord), written without
TensorFlow Datasets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from melanoma_tf.core.files import write_atomically, write_json
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.schema import FEATURES

_FEATURE_CLASSES = "tensorflow_datasets.core.features"
_FILE_NAMES = "{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}"


def write_tfds_metadata(folder: Path, manifest: Manifest, *, name: str) -> None:
    """Write `features.json`, `dataset_info.json` and the class names next to the shards.

    Args:
        folder: the record folder.
        manifest: its manifest.
        name: name of the data set.
    """
    write_json(folder / "features.json", _features(manifest))
    write_json(folder / "dataset_info.json", _dataset_info(manifest, name))
    names = "".join(f"{class_name}\n" for class_name in manifest.class_names)
    write_atomically(folder / "label.labels.txt", names)


def _features(manifest: Manifest) -> dict[str, Any]:
    features = {
        name: _image(manifest)
        if name == "image/encoded"
        else _class_label(manifest)
        if name == "label"
        else _scalar(feature.dtype)
        for name, feature in FEATURES.items()
    }
    return {
        "pythonClassName": f"{_FEATURE_CLASSES}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }


def _image(manifest: Manifest) -> dict[str, Any]:
    # Reading detects the format; it is stated for writers.
    return {
        "pythonClassName": f"{_FEATURE_CLASSES}.image_feature.Image",
        "image": {
            "dtype": "uint8",
            "encodingFormat": manifest.settings.get("image_format", "jpeg"),
            "shape": {"dimensions": ["-1", "-1", "3"]},
        },
    }


def _class_label(manifest: Manifest) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_FEATURE_CLASSES}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(len(manifest.class_names))},
    }


def _scalar(dtype: str) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_FEATURE_CLASSES}.tensor_feature.Tensor",
        "tensor": {"dtype": dtype, "encoding": "none", "shape": {}},
    }


def _dataset_info(manifest: Manifest, name: str) -> dict[str, Any]:
    splits = []
    for split in manifest.splits():
        shards = [shard for shard in manifest.shards if shard.split == split]
        splits.append(
            {
                "name": split,
                "shardLengths": [str(shard.count) for shard in shards],
                "numBytes": str(sum(shard.size_bytes for shard in shards)),
                "filepathTemplate": _FILE_NAMES,
            }
        )
    citation = "\n".join(row["attribution"] for row in manifest.sources.values())
    licences = {row["licence"] for row in manifest.sources.values()}
    return {
        "name": name,
        "version": "1.0.0",
        "description": f"Dermoscopic images in the classes of {manifest.taxonomy}.",
        "citation": citation,
        "redistributionInfo": {"license": ", ".join(sorted(licences))},
        "fileFormat": "tfrecord",
        "splits": splits,
    }
