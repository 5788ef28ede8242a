"""Make a finished run the inpainter that ships: weights as float16 and settings, in the package.

    python scripts/ship_inpainter.py runs/filler

The model card beside them, `melanoma_tf/weights/inpainter.md`, is written by hand.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from melanoma_tf import training, weights
from melanoma_tf.recipes.purification import KIND, load_filler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--output", type=Path, default=Path(weights.__file__).parent)
    given = parser.parse_args()
    config = training.read_config(given.run_dir, KIND)
    for name in ("records", "weights", "features"):  # Paths of one machine.
        config.pop(name)
    further = config.pop("further_records", [])
    config["shards"] = [config["shards"], *(each["shards"] for each in further)]
    weights.write_inpainter(load_filler(given.run_dir).model, given.output, config)
    print((given.output / f"{weights.INPAINTER}.npz").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
