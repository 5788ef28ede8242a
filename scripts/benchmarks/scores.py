"""Bootstrap of every figure: one vectorised pass against the plain loop over scikit-learn.

    python scripts/benchmarks/scores.py
    python scripts/benchmarks/scores.py --images 2000 --rounds 200 --plain-rounds 200

The plain loop draws an image as often as the resample says and calls scikit-learn once per figure
and class (one `roc_curve` serves all that can be read off it). It runs for a few rounds of the
same resamples, whose figures must agree to 1e-9; its time for all rounds is that, extrapolated.
Times are CPU seconds of this process, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time

import numpy as np
from comparison import Comparison, add_json_option, write_json
from scipy.special import softmax
from sklearn import metrics

from melanoma_tf.evaluation.metrics import prepare
from melanoma_tf.evaluation.metrics.bootstrap import bootstrap, resamples

SENSITIVITIES = (0.82, 0.89, 0.95)


def plain_class(truth: np.ndarray, score: np.ndarray) -> dict[str, float]:
    false_rate, true_rate, _ = metrics.roc_curve(truth, score, drop_intermediate=False)
    first = int(np.searchsorted(true_rate, 0.8))
    start = np.interp(0.8, true_rate[first - 1 : first + 1], false_rate[first - 1 : first + 1])
    x, y = np.insert(false_rate[first:], 0, start), np.insert(true_rate[first:], 0, 0.8)
    above = metrics.auc(x, y)
    ((tn, fp), (fn, tp)) = metrics.confusion_matrix(truth, score > 0.5)
    figures = {
        "auc": metrics.roc_auc_score(truth, score),
        "average_precision": metrics.average_precision_score(truth, score),
        "auc_above_sensitivity_80": above,
        "partial_auc_isic2024": above - 0.8 * (1 - start),
        "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "ppv": tp / (tp + fp),
        "npv": tn / (tn + fn),
        "dice": 2 * tp / (2 * tp + fp + fn),
    }
    for value in SENSITIVITIES:
        figures[f"specificity_at_sensitivity/{value}"] = 1 - false_rate[true_rate >= value][0]
    return figures


def plain_round(
    labels: np.ndarray, scores: np.ndarray, names: list[str]
) -> dict[tuple[str, ...], float]:
    figures = {}
    for index, name in enumerate(names):
        for figure, value in plain_class(labels == index, scores[:, index]).items():
            first, _, rest = figure.partition("/")
            figures[(first, name, rest) if rest else (first, name)] = value
    decided = scores.argmax(axis=1)
    figures["accuracy",] = metrics.accuracy_score(labels, decided)
    figures["balanced_accuracy",] = metrics.balanced_accuracy_score(labels, decided)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--plain-rounds", type=int, default=5)
    add_json_option(parser)
    options = parser.parse_args()

    generator = np.random.default_rng(0)
    labels = generator.integers(0, options.classes, options.images)
    logits = generator.normal(size=(options.images, options.classes))
    scores = softmax(logits + 2 * np.eye(options.classes)[labels], axis=1)
    names = [f"class{index}" for index in range(options.classes)]
    images = np.arange(options.images)

    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, start_wall = time.process_time(), time.perf_counter()
    task = prepare(labels, scores, names)
    ours = bootstrap(task, resamples(images, options.rounds, 0))
    our_seconds, our_wall = time.process_time() - start, time.perf_counter() - start_wall
    more_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mib

    blocks = resamples(images, options.rounds, 0)
    drawn = itertools.islice(itertools.chain.from_iterable(blocks), options.plain_rounds)
    start, worst = 0.0, 0.0
    for index, counts in enumerate(drawn):
        begin = time.process_time()
        rows = np.repeat(images, counts)
        plain = plain_round(labels[rows], scores[rows], names)
        start += time.process_time() - begin
        worst = max(worst, *(abs(ours[path][index] - value) for path, value in plain.items()))
    plain_seconds = start / options.plain_rounds * options.rounds

    print(f"{options.images:,} images, {options.classes} classes, {options.rounds:,} rounds")
    print(f"one pass:   {our_seconds:8.1f} s CPU ({our_wall:.1f} s wall), {len(ours)} figures")
    print(
        f"plain loop: {plain_seconds:8.1f} s CPU, {len(plain)} figures, "
        f"extrapolated from {options.plain_rounds} rounds ({start:.1f} s)"
    )
    print(f"ratio:      {plain_seconds / our_seconds:8.1f}")
    print(f"largest difference: {worst:.1e} (must be below 1e-9)")
    print(f"peak memory of the pass, beyond the data: {more_mib:.0f} MiB")
    work = f"{options.rounds:,} bootstrap rounds of {options.images:,} images"
    peer = "loop over scikit-learn"
    write_json(options.json, [Comparison(work, our_seconds, plain_seconds, "s", peer)])
    if not worst < 1e-9:
        raise SystemExit("the figures differ")


if __name__ == "__main__":
    main()
