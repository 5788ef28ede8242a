"""Make a finished run the network that ships: weights as float16, settings, graphs, answers.

    python scripts/ship_network.py runs/outlines
    python scripts/ship_network.py runs/detector --threshold 0.5
    python scripts/ship_network.py

Without a run, only the graphs are traced again, and the answers that `melanoma-tf doctor` compares
are computed again: after a change to the code that they are made of.

The run is one of `train segmenter`, `inpainter` or `occlusion-detector`, or a calibrated one of
`train classifier`. The model card next to the weights, `melanoma_tf/pretrained/NAME.md`, is written
by hand.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from melanoma_tf.classification.calibrate import FILE as CALIBRATION
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.purification import shipped as purification
from melanoma_tf.purification import traced
from melanoma_tf.purification.detector.inference import DETECTOR
from melanoma_tf.purification.inpainter.inference import INPAINTER
from melanoma_tf.purification.networks import load_detector, load_inpainter
from melanoma_tf.segmentation import shipped as segmentation
from melanoma_tf.segmentation.predict import load_segmenter
from melanoma_tf.segmentation.train import SEGMENTER
from melanoma_tf.training.run_record import CONFIG, WEIGHTS, RunRecord, read_run, run_kind
from melanoma_tf.workflows.shipped_answers import write_answers

# Settings that name files of one machine.
_PATHS = ("weights", "features")


def ship(
    run_dir: Path, output: Path, threshold: float, small_thresholds: list[float] | None = None
) -> str:
    """Write the network of a run into a folder; returns its name there."""
    if run_kind(run_dir) == CLASSIFIER.name:
        return ship_classifier(run_dir, output)
    record = read_run(run_dir, SEGMENTER, INPAINTER, DETECTOR)
    settings = described(record)
    if record.kind == SEGMENTER.name:
        segmenter = load_segmenter(run_dir)
        settings.update(segmenter.settings.to_json())
        segmentation.write_segmenter(segmenter.model, output, settings)
        return segmentation.NAME
    if record.kind == INPAINTER.name:
        purification.write_inpainter(load_inpainter(run_dir).model, output, settings)
        return purification.INPAINTER_NAME
    detector = load_detector(run_dir)
    if detector is None:
        raise MelanomaError(f"expected a trained detector at {run_dir}; found the classical one")
    settings["threshold"] = threshold
    if small_thresholds is not None:
        settings["small_thresholds"] = small_thresholds
    purification.write_detector(detector.model, output, settings)
    return purification.DETECTOR_NAME


def ship_classifier(run_dir: Path, output: Path) -> str:
    """Copy a calibrated run: as a run folder, it works wherever one is expected."""
    read_run(run_dir, CLASSIFIER)
    if read_calibration(run_dir) is None:
        raise MelanomaError(f"expected a calibrated run; {run_dir} has no {CALIBRATION}")
    folder = output / CLASSIFIER.name
    folder.mkdir(exist_ok=True)
    for name in (CONFIG, WEIGHTS, CALIBRATION):
        write_atomically(folder / name, (run_dir / name).read_bytes())
    return CLASSIFIER.name


def described(record: RunRecord[Any]) -> dict[str, Any]:
    """What ships of a run's record: all but paths of one machine."""
    settings = record.settings.to_json()
    return {
        "kind": record.kind,
        **{name: value for name, value in settings.items() if name not in _PATHS},
        "shards": [dict(folder.shards) for folder in record.records],
        "sources": record.to_json()["sources"],
        "versions": dict(record.versions),
        "details": dict(record.details),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path, nargs="?", help="a finished run")
    parser.add_argument("--threshold", type=float, default=0.5, help="of an occlusion detector")
    parser.add_argument(
        "--small-thresholds",
        type=float,
        nargs=2,
        help="of a detector, for long sides of 192 and 256 pixels",
    )
    parser.add_argument("--output", type=Path, default=shipped_folder())
    given = parser.parse_args()
    if given.run_dir is not None:
        print("shipped", ship(given.run_dir, given.output, given.threshold, given.small_thresholds))
    segmentation.write_traced(given.output)
    traced.write_traced(given.output)
    if given.output == shipped_folder():
        write_answers(given.output)
    for path in sorted(given.output.glob("*.npz")):
        print(f"{path.stat().st_size:10,} bytes  {path.name}")


if __name__ == "__main__":
    main()
