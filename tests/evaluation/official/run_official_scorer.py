"""Run by the official scorer's own Python: scores cases for as long as it is asked to.

    python run_official_scorer.py

Each line of the input is a JSON list of cases, and each line of the output the list of their
results. A case has `kind` (`classification`, `segmentation` or `task2`), `truth` and `predictions`;
its result is what the scorer returns as a dictionary, or `{"refused": MESSAGE}`.
"""

import json
import math
import pathlib
import sys
import warnings

from isic_challenge_scoring import metrics, task2
from isic_challenge_scoring.classification import ClassificationMetric, ClassificationScore
from isic_challenge_scoring.segmentation import SegmentationScore
from isic_challenge_scoring.types import ScoreError


def score(case):
    truth, predictions = pathlib.Path(case["truth"]), pathlib.Path(case["predictions"])
    try:
        if case["kind"] == "classification":
            metric = ClassificationMetric(case.get("metric", "balanced_accuracy"))
            return ClassificationScore.from_file(truth, predictions, metric).to_dict(rocs=False)
        if case["kind"] == "segmentation":
            return SegmentationScore.from_dir(truth, predictions).to_dict()
        return task2.score(truth, predictions)
    except ScoreError as error:
        return {"refused": str(error)}


def without_nan(value):
    if isinstance(value, dict):
        return {str(key): without_nan(each) for key, each in value.items()}
    value = float(value) if not isinstance(value, str) else value
    return None if isinstance(value, float) and math.isnan(value) else value


def undefined_without_examples(area):
    """Let the scorer go on where it breaks: at a class without examples."""

    def guarded(*arguments):
        try:
            return area(*arguments)
        except ValueError:
            return math.nan

    return guarded


def main():
    warnings.simplefilter("ignore")
    # Simplifying the ROC curves for display takes most of the time, and changes no score.
    metrics.rdp = lambda points, **_: [True] * len(points)
    metrics.auc_above_sensitivity = undefined_without_examples(metrics.auc_above_sensitivity)
    for line in sys.stdin:
        print(json.dumps([without_nan(score(case)) for case in json.loads(line)]), flush=True)


if __name__ == "__main__":
    main()
