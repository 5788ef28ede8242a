"""Make weights that `train.py` wrote a run of the package.

    python scripts/gpu/convert.py segmenter.npz packed.npz runs/segmenter
    python scripts/gpu/convert.py classifier.npz packed.npz runs/classifier

Weights are rounded to float16, as they ship. The run's `config.json` has the settings of
`melanoma-tf train` that come closest; `details` has the options and scores of the training itself.
`scripts/ship_network.py` makes the run the network that ships.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from melanoma_tf import __version__
from melanoma_tf.backbones.efficientnet_lite import named_variables
from melanoma_tf.classification.settings import (
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
    NetworkSettings,
    OptimizationSettings,
)
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.arrays import write_arrays
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import sha256, write_checked_json
from melanoma_tf.core.keras import keras
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.datasets.sources.isic2017 import ISIC2017
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.segmentation.train import SEGMENTER, THRESHOLD_FILE
from melanoma_tf.training.run_record import CONFIG, WEIGHTS, RecordFolder, RunRecord
from melanoma_tf.training.weights import named_weights

CLASS_NAMES = ("melanoma", "nevus", "seborrheic_keratosis")
THRESHOLD = 0.5


def convert(weights: Path, packed: Path, run_dir: Path, size_px: int = 0) -> None:
    """Write the run folder of a network that `train.py` trained.

    Args:
        weights: the file that it wrote.
        packed: the file that it was trained on.
        run_dir: folder to create.
        size_px: side of the network's input; 0 takes that of the training.
    """
    refuse_existing(run_dir, False)
    with np.load(weights, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if "/" in name}
        described = json.loads(str(stored["description"]))
    plain = {name: Path(value).name for name, value in described["options"].items()}
    trained = {"options": plain, "scores": described["scores"]}
    options, scores = described["options"], described["scores"]
    options["size"] = str(size_px or options["size"])
    segments = options["kind"] == "segmenter"
    kind = SEGMENTER if segments else CLASSIFIER
    settings = (segmenter_settings if segments else classifier_settings)(options, scores)
    record: RunRecord[Any] = RunRecord(
        kind=kind.name,
        settings=settings,
        records=(RecordFolder(packed.name, {packed.name: sha256(packed)}),),
        taxonomy="isic2017",
        class_names=CLASS_NAMES,
        sources={"isic2017": {"licence": ISIC2017.licence, "attribution": ISIC2017.attribution}},
        details={"trained_by": "scripts/gpu/train.py", **trained},
        versions={"melanoma_tf": __version__},
    )
    network = kind.network(record)
    assign(network, arrays)
    run_dir.mkdir(parents=True)
    write_checked_json(run_dir / CONFIG, record.to_json())
    if segments:
        write_checked_json(run_dir / THRESHOLD_FILE, {"threshold": THRESHOLD})
    arrays16 = {name: value.numpy() for name, value in named_weights(network).items()}
    arrays16 = {name: value.astype(np.float16) for name, value in arrays16.items()}
    write_arrays(run_dir / WEIGHTS, arrays16, compressed=True)


def epochs_of(options: dict[str, str], scores: dict[str, Any]) -> int:
    """Passes over the training images, rounded."""
    return max(1, round(scores["steps"] * int(options["batch_size"]) / scores["images"]))


def segmenter_settings(options: dict[str, str], scores: dict[str, Any]) -> SegmenterSettings:
    """The settings of `melanoma-tf train segmenter` that come closest."""
    return SegmenterSettings(
        image_size_px=int(options["size"]),
        encoder=f"efficientnet-{options['variant']}",
        weights="imagenet",
        normalization="batch",
        dropout=0.1,
        epochs=epochs_of(options, scores),
        batch_size=int(options["batch_size"]),
        learning_rate=float(options["rate"]),
        schedule="cosine",
        overlap="jaccard",
        augment="mixed",
        threshold=THRESHOLD,
        seed=int(options["seed"]),
    )


def classifier_settings(options: dict[str, str], scores: dict[str, Any]) -> ClassifierSettings:
    """The settings of `melanoma-tf train classifier` that come closest."""
    size_px = int(options["size"])
    return ClassifierSettings(
        epochs=epochs_of(options, scores),
        batch_size=int(options["batch_size"]),
        seed=int(options["seed"]),
        network=NetworkSettings(
            f"efficientnet-{options['variant']}", "imagenet", size_px, resize_px=size_px
        ),
        optimization=OptimizationSettings(
            "adamw",
            float(options["rate"]),
            weight_decay=float(options["decay"]),
            schedule="cosine",
            label_smoothing=float(options["smoothing"]),
        ),
        batches=BatchSettings(balance="batch"),
        augmentation=AugmentationSettings("strong", mixup=float(options["mixup"])),
    )


def assign(network: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Give every variable of a network, and of the networks within it, its array."""
    variables: dict[str, Any] = {}
    for each in (network, *(layer for layer in network.layers if hasattr(layer, "layers"))):
        variables.update(named_variables(each))
    given = {id(variable) for name, variable in variables.items() if name in arrays}
    missing = [variable.name for variable in network.weights if id(variable) not in given]
    if missing:
        raise MelanomaError(f"expected an array for every variable; found none for {missing[0]}")
    for name, variable in variables.items():
        if name in arrays:
            variable.assign(arrays[name].astype(np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="a file that train.py wrote")
    parser.add_argument("packed", type=Path, help="the file that it was trained on")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--size", type=int, default=0, help="input of the network, px")
    given = parser.parse_args()
    convert(given.weights, given.packed, given.run_dir, given.size)
    print(given.run_dir)


if __name__ == "__main__":
    main()
