"""Do purified and generated images help? The same classifier trained with and without them.

    python scripts/benchmarks/arms.py --records tfrecords/ham10000 \\
        --purified tfrecords/ham10000-purified --generated tfrecords/ham10000-generated \\
        --work runs/arms-ham10000 --seeds 3 -- --backbone small --weights none --image-size 96 \\
        --epochs 25 --schedule cosine --warm-up-epochs 2

Trains four arms (the records; with their purified copies; with generated images; with both;
without `--purified` or `--generated` those that remain) with several seeds each, by
`melanoma-tf train classifier` and the options after `--`. Prints, for the test split, each
figure's mean and range over the seeds, and the paired difference of the arm's ensemble (mean of
the probabilities over the seeds) to the first arm's with its 95 % interval: DeLong's for areas, a
bootstrap over patients or images for the rest. What is finished is not done again. `--purified` is
the folder that `purify` made, which holds the originals too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from melanoma_tf.evaluation.compare import compare_predictions
from melanoma_tf.evaluation.predictions import read_predictions

FIGURES = ("auc.melanoma", "mean_auc", "balanced_accuracy", "accuracy")


def command(*arguments: object) -> None:
    done = [sys.executable, "-m", "melanoma_tf", *map(str, arguments)]
    subprocess.run(done, check=True)


def arms(options: argparse.Namespace) -> dict[str, list[Path]]:
    found = {
        "real": [options.records],
        "+ purified": [options.purified],
        "+ generated": [options.records, options.generated],
        "+ both": [options.purified, options.generated],
    }
    return {name: folders for name, folders in found.items() if None not in folders}


def trained(options: argparse.Namespace, training: list[str], name: str, seed: int) -> Path:
    """The run of an arm and a seed, evaluated."""
    folder = options.work / f"{name.replace('+ ', 'and-')}-{seed}"
    records = [word for path in arms(options)[name] for word in ("--records", path)]
    if not (folder / "weights.npz").exists():
        command(
            "train", "classifier", *records, "--run-dir", folder, "--seed", seed, "--overwrite",
            *training,
        )  # fmt: skip
    if not (folder / "metrics.json").exists():
        command(
            "evaluate", "--run-dir", folder, "--records", options.records, "--split", "test",
            "--overwrite",
        )  # fmt: skip
    return folder


def ensemble(options: argparse.Namespace, name: str, runs: list[Path]) -> Path:
    """Predictions of all seeds together."""
    folder = options.work / f"{name.replace('+ ', 'and-')}-ensemble"
    if not (folder / "metrics.json").exists():
        members = [word for run in runs for word in ("--run-dir", run)]
        command(
            "evaluate", *members, "--records", options.records, "--split", "test",
            "--output", folder, "--overwrite",
        )  # fmt: skip
    return folder / "predictions.csv"


def value(metrics: dict, figure: str) -> float:
    for key in figure.split("."):
        metrics = metrics[key]
    return float(metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--records", "--work"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--purified", "--generated"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    own, training = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, training = own[:at], own[at + 1 :]
    options = parser.parse_args(own)
    runs = {}
    # Seed by seed, so that a broken off series has compared all arms with fewer seeds.
    for seed in range(options.seeds):
        for name in arms(options):
            runs.setdefault(name, []).append(trained(options, training, name, seed))
    print("| mean and range over the seeds | " + " | ".join(FIGURES) + " |")
    print("|---" * (1 + len(FIGURES)) + "|")
    for name, folders in runs.items():
        scores = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
        cells = [[value(score, figure) for score in scores] for figure in FIGURES]
        shown = [f"{np.mean(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in cells]
        print(f"| {name} | " + " | ".join(shown) + " |")
    together = {name: ensemble(options, name, folders) for name, folders in runs.items()}
    baseline = read_predictions(together["real"])
    print("\n| ensembles, less the first arm's | " + " | ".join(FIGURES) + " |")
    print("|---" * (1 + len(FIGURES)) + "|")
    for name, path in together.items():
        rows = compare_predictions(baseline, read_predictions(path))["metrics"]
        found = {row["metric"]: row for row in rows}
        cells = [
            f"{found[f]['second']:.3f}"
            if name == "real"
            else f"{found[f]['difference']:+.3f} [{found[f]['low']:+.3f}, {found[f]['high']:+.3f}]"
            for f in FIGURES
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
