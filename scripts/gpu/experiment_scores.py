"""Tables of the results that `experiment.py` wrote, with paired 95 % intervals, in Markdown.

    python scripts/gpu/experiment_scores.py isic_results.npz --reference augmented
    python scripts/gpu/experiment_scores.py isic_results.npz --table images/table.csv --parts ph2
    python scripts/gpu/experiment_scores.py ham_results.npz --variants raw network classical

A value is the mean over the seeds of a metric on the test images. An interval is the bootstrap's:
each round draws whole lesions and takes the same for all networks. A difference is to the reference
arm, or with `--variants` to the first variant of the same networks. `--together` scores the mean of
the probabilities of all seeds instead.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from melanoma_tf.evaluation.metrics.bootstrap import group_indices, percentile_interval, resamples
from melanoma_tf.evaluation.metrics.intervals import LEVEL
from melanoma_tf.evaluation.metrics.task import ISIC2017_PAIR, all_metrics, prepare

ROUNDS = 1000
Samples = dict[str, np.ndarray]
OTHERS = {
    "accuracy": ("accuracy",),
    "balanced accuracy": ("balanced_accuracy",),
    "sensitivity": ("macro_average", "sensitivity"),
    "specificity": ("macro_average", "specificity"),
    "Brier score": ("brier_score",),
    "calibration error": ("expected_calibration_error",),
    **{
        f"specificity at {level}": ("specificity_at_sensitivity", "melanoma", level)
        for level in ("0.82", "0.89", "0.95")
    },
}


class Results:
    """What `experiment.py` wrote."""

    def __init__(self, path: Path, table: Path | None, parts: list[str], together: bool):
        with np.load(path, allow_pickle=False) as stored:
            self.arrays = {name: stored[name] for name in stored.files if name != "description"}
            self.about = json.loads(str(stored["description"]))
        self.classes = self.about["classes"]
        groups = [str(group) for group in self.arrays["groups"]]
        self.groups = group_indices(groups, len(groups))
        self.seeds, self.together = int(self.about["options"]["seeds"]), together
        self.counted = np.ones(len(groups), bool)
        if table:
            with table.open(newline="") as stream:
                names = [
                    Path(row["file"]).stem for row in csv.DictReader(stream) if row["part"] in parts
                ]
            self.counted = np.isin(self.arrays["names"], names)

    def samples(self, arm: str, variant: str, only: Iterable[str]) -> Samples:
        """Metrics on all test images, then on each resample, float64 `(1 + rounds,)` each."""
        found: dict[str, list[np.ndarray]] = {}
        rows, probabilities = self._predictions(arm, variant)
        for own_rows, own in zip(rows, probabilities):
            labels = self.arrays["labels"][own_rows]
            kept = np.isin(labels, [self.classes.index(name) for name in only or self.classes])
            kept &= self.counted[own_rows]
            groups = np.unique(self.groups[own_rows[kept]], return_inverse=True)[1].reshape(-1)
            for name, values in metrics(labels[kept], own[kept], self.classes, groups).items():
                found.setdefault(name, []).append(values)
        return {name: np.mean(values, axis=0) for name, values in found.items()}

    def _predictions(self, arm: str, variant: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Rows of the test images, and their probabilities, of each seed or of all together."""
        rows = [self.arrays[f"{arm}/{seed}/rows"] for seed in range(self.seeds)]
        found = [
            softmax(self.arrays[f"{arm}/{seed}/{variant}"].astype(np.float64))
            for seed in range(self.seeds)
        ]
        return (rows[:1], [np.mean(found, axis=0)]) if self.together else (rows, found)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True)


def metrics(
    labels: np.ndarray, probabilities: np.ndarray, classes: list[str], groups: np.ndarray
) -> Samples:
    task = prepare(labels, probabilities, classes)
    blocks = [np.ones((1, len(labels)), np.int32), *resamples(groups, ROUNDS, 0)]
    parts = [all_metrics(task, block) for block in blocks]
    areas = {name: ("auc", name) for name in classes}
    paths = {f"AUC {name}": path for name, path in areas.items() if path in parts[0]}
    found = {name: np.concatenate([part[path] for part in parts]) for name, path in paths.items()}
    averaged = ISIC2017_PAIR if set(ISIC2017_PAIR) < set(classes) else classes
    if all(f"AUC {name}" in found for name in averaged):
        found["mean AUC"] = np.mean([found[f"AUC {name}"] for name in averaged], axis=0)
    for name, path in OTHERS.items():
        if path in parts[0]:
            found[name] = np.concatenate([part[path] for part in parts])
    return found


def cell(values: np.ndarray, signed: bool = False) -> str:
    """A value and its interval."""
    low, high = percentile_interval(values[1:], LEVEL) or (np.nan, np.nan)
    sign = "+" if signed else ""
    return f"{values[0]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def row(name: str, own: Samples, reference: Samples | None, shown: list[str]) -> str:
    cells = [cell(own[metric]) for metric in shown]
    if reference is not None:
        cells += [cell(own[metric] - reference[metric], signed=True) for metric in shown]
    else:
        cells += [""] * len(shown)
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--reference", help="the arm that the others are compared to")
    parser.add_argument("--variants", nargs="+", default=["raw"], help="of the test images")
    parser.add_argument("--metrics", nargs="+", default=["AUC melanoma", "mean AUC"])
    parser.add_argument("--only", nargs="+", default=[], help="classes of the images that count")
    parser.add_argument("--table", type=Path, help="CSV file with the columns file and part")
    parser.add_argument("--parts", nargs="+", default=[], help="parts of the images that count")
    parser.add_argument("--together", action="store_true", help="the mean of all seeds")
    given = parser.parse_args()
    results = Results(given.results, given.table, given.parts, given.together)
    about = results.about
    arms = about["arms"]
    print(
        f"{given.results.name}: {about['steps']} steps, {results.seeds} seeds, {about['size']} px"
    )
    heads = [*given.metrics, *(f"difference, {name}" for name in given.metrics)]
    print(f"| | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}")
    by_variant = len(given.variants) > 1
    wanted = given.reference or arms[0]
    reference = None
    if not by_variant:
        reference = results.samples(wanted, given.variants[0], given.only)
    for arm in arms:
        first = None
        same = not by_variant and arm == wanted
        for variant in given.variants:
            own = reference if same else results.samples(arm, variant, given.only)
            name = f"{arm}, {variant}" if by_variant else arm
            compared = first if by_variant else reference
            print(row(name, own, None if same else compared, given.metrics))
            first = first or own


if __name__ == "__main__":
    main()
