"""Make a finished run a network of the purification that ships: in the package, as float16.

    python scripts/ship_purification.py runs/filler
    python scripts/ship_purification.py runs/finder --threshold 0.5

The model card beside the weights, `melanoma_tf/pretrained/NAME.md`, is written by hand.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from melanoma_tf import pretrained as weights
from melanoma_tf import training
from melanoma_tf.purification.networks import (
    DETECTOR_KIND,
    load_inpainting,
    load_occlusion_detector,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path, help="of `train inpainter` or `occlusion-detector`")
    parser.add_argument("--threshold", type=float, default=0.5, help="of a detector")
    parser.add_argument("--output", type=Path, default=Path(weights.__file__).parent)
    given = parser.parse_args()
    kind = training.run_kind(given.run_dir)
    config = training.read_config(given.run_dir, kind)
    for name in ("records", "weights", "features"):  # Paths of one machine.
        config.pop(name, None)
    further = config.pop("further_records", [])
    config["shards"] = [config["shards"], *(each["shards"] for each in further)]
    if kind == DETECTOR_KIND:
        segmenter = load_occlusion_detector(str(given.run_dir))
        settings = {**config, "threshold": given.threshold}
        weights.write_detector(segmenter.model, given.output, settings)
        name = weights.DETECTOR
    else:
        weights.write_inpainter(load_inpainting(given.run_dir).model, given.output, config)
        name = weights.INPAINTER
    print((given.output / f"{name}.npz").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
