"""Draw the figure of augmentation from phantoms: as they are, strongly augmented, and mixed.

python scripts/figures/augmentation.py --output docs/figures/augmentation.png
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from melanoma_tf.augmentation.classifier_augmentation import draw, view
from melanoma_tf.augmentation.mixing import mix
from melanoma_tf.augmentation.settings import CLASSIFIER_PRESETS
from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.random_streams import example_seed
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
VIEWS = 5


def row(image: np.ndarray, size_px: int, seed: int) -> list[np.ndarray]:
    """The middle of an image, and views of the preset `strong`."""
    names = ["none"] + ["strong"] * VIEWS
    views = []
    for number, name in enumerate(names):
        preset = CLASSIFIER_PRESETS[name]
        draws = draw(preset, example_seed(seed, tf.constant(number, tf.int64)))
        views.append(view(image, draws, preset, size_px).numpy())
    return views


def mixed(images: np.ndarray, seed: int) -> list[np.ndarray]:
    """As many mixup and cutmix pictures as there are images."""
    labels = np.arange(len(images))
    seeds = tf.constant([seed, 0], tf.int64)
    return list(mix(images, labels, len(images), mixup=1.0, cutmix=1.0, seed=seeds)[0].numpy())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--size-px", type=int, default=112, help="side of one picture")
    parser.add_argument("--seed", type=int, default=4, help="of phantoms and views")
    options = parser.parse_args()
    settings = PhantomSettings(size_px=options.size_px * 8 // 7)
    phantoms = [draw_phantom(name, options.seed, settings).image for name in CLASSES]
    rows = [row(one, options.size_px, options.seed + k) for k, one in enumerate(phantoms)]
    plain = np.stack([pictures[0] for pictures in rows])
    rows.append(mixed(np.concatenate([plain, plain[:, :, ::-1]]), options.seed))
    sheet = sheets.stack([sheets.side_by_side(line, 4) for line in rows], 4)
    write_atomically(options.output, sheets.encode_png(sheet, compression=9))


if __name__ == "__main__":
    main()
