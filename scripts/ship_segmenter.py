"""Make a finished run the segmenter that ships: weights as float16 and settings, in the package.

    python scripts/ship_segmenter.py runs/outlines

The model card beside them, `melanoma_tf/pretrained/segmenter.md`, is written by hand.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from melanoma_tf import pretrained as weights
from melanoma_tf import training
from melanoma_tf.segmentation.predict import load_lesion_segmenter
from melanoma_tf.segmentation.train import KIND


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--output", type=Path, default=Path(weights.__file__).parent)
    given = parser.parse_args()
    config = training.read_config(given.run_dir, KIND)
    segmenter = load_lesion_segmenter(given.run_dir)
    for name in ("records", "weights"):  # Paths of one machine.
        config.pop(name)
    settings = {**config, **dataclasses.asdict(segmenter.use)}
    weights.write_segmenter(segmenter.model, given.output, settings)
    print((given.output / f"{weights.SEGMENTER}.npz").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
