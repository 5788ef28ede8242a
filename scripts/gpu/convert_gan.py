"""Make generative networks that `train_gan.py` trained runs of the package.

    python scripts/gpu/convert_gan.py results/melanoma.npz tfrecords/isic2017 runs/gan-melanoma

The record folder is the one that `pack_gan.py` packed: `melanoma-tf generate` compares with it. The
run's `config.json` has the settings of `melanoma-tf train gan` or `train coupled-gan`; `details`
has the options and measures of the training itself. Weights are float16. The run appears only if
its images are those of the training. Where the file has no discriminator, which generating does not
need, `details` says so and the run has an untrained one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from convert import assign

from melanoma_tf.core.arrays import write_arrays
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_checked_json
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.generation.data import require_classes
from melanoma_tf.generation.settings import (
    CoupledGanSettings,
    DiscriminatorSettings,
    GanSettings,
    StabiliserSettings,
)
from melanoma_tf.generation.train import COUPLED_GAN, GAN
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.training.run_record import CONFIG, WEIGHTS, describe_run
from melanoma_tf.training.weights import named_weights

# Mean over pixels: rounding to float16 and reduced precision on the accelerator.
MOST_DIFFERENCE = 0.02


def convert(weights: Path, records: Path, run_dir: Path) -> None:
    """Write the run folder of a training.

    Args:
        weights: the file that `train_gan.py` wrote.
        records: the folder that it was trained on.
        run_dir: folder to create.
    """
    refuse_existing(run_dir, False)
    with np.load(weights, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if "/" in name}
        latents, pixels = (stored[name].astype(np.float32) for name in ("latents", "pixels"))
        described = json.loads(str(stored["description"]))
    folders = RecordSet.read(records)
    settings = settings_of(described)
    require_classes(folders, settings.class_names)
    kind = COUPLED_GAN if described["training"]["coupled"] else GAN
    whole = any("down_" in name for name in arrays)
    details = {
        "trained_by": "scripts/gpu/train_gan.py",
        "training": described["training"],
        "rounds": described["rounds"],
        "checkpoint": kept(described),
        "discriminator": "trained" if whole else "not kept: its weights are initial ones",
    }
    record = describe_run(
        kind, settings, folders, class_names=settings.class_names, details=details
    )
    network: Any = kind.network(record)
    assign(network if whole else network.generator, arrays)
    found = network(latents, training=False).numpy()[:, :, ::8, ::8]
    difference = float(np.abs(found - pixels).mean())
    if difference > MOST_DIFFERENCE:
        raise MelanomaError(
            f"expected the images of the training, to {MOST_DIFFERENCE} of pixels in [-1, 1]; "
            f"found {difference:.3g}"
        )
    run_dir.mkdir(parents=True)
    write_checked_json(run_dir / CONFIG, record.to_json())
    arrays16 = {name: value.numpy() for name, value in named_weights(network).items()}
    arrays16 = {name: value.astype(np.float16) for name, value in arrays16.items()}
    write_arrays(run_dir / WEIGHTS, arrays16, compressed=True)


def kept(described: dict[str, Any]) -> dict[str, Any]:
    """The measures of the checkpoint whose weights were kept."""
    rows = [row for row in described["history"] if row.get("kept")]
    if not rows:
        raise MelanomaError("expected a checkpoint with finite losses; the training has none")
    return rows[-1]


def settings_of(described: dict[str, Any]) -> GanSettings:
    """The settings of the package; an epoch is one pass over the largest class."""
    given = described["training"]
    images = max(each["images"] for each in described["real"].values())
    steps = math.ceil(images / given["batch_size"])
    kind = CoupledGanSettings if given["coupled"] else GanSettings
    return kind(
        class_names=tuple(given["classes"]),
        image_size_px=given["image_size_px"],
        latent_size=given["latent_size"],
        discriminator=DiscriminatorSettings(given["spectral_normalization"]),
        stabilisers=StabiliserSettings(
            label_smoothing=given["label_smoothing"],
            differentiable_augmentation=given["differentiable_augmentation"],
        ),
        epochs=max(1, round(described["rounds"] / steps)),
        batch_size=given["batch_size"],
        average_momentum=given["average_momentum"],
        learning_rate=given["learning_rate"],
        schedule=given["schedule"],
        seed=given["seed"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="a file that train_gan.py wrote")
    parser.add_argument("records", type=Path, help="the record folder that was packed")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args()
    try:
        convert(given.weights, given.records, given.run_dir)
    except MelanomaError as error:
        raise SystemExit(f"{given.weights}: {error}") from None
    print(given.run_dir)


if __name__ == "__main__":
    main()
