"""Scores in words, for the screen and for the report: titles, values with intervals, remarks.

Nothing heavy is imported here: the command line reads it at its top.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Titles of the metrics, with their path in the scores; a class's name stands after the first part.
PER_CLASS = (
    ("AUC", ("auc",)),
    ("average precision", ("average_precision",)),
    ("AUC above sensitivity 0.8 (ISIC 2018)", ("auc_above_sensitivity_80",)),
    ("partial AUC (ISIC 2024)", ("partial_auc_isic2024",)),
    ("specificity at sensitivity 0.82", ("specificity_at_sensitivity", "0.82")),
    ("specificity at sensitivity 0.89", ("specificity_at_sensitivity", "0.89")),
    ("specificity at sensitivity 0.95", ("specificity_at_sensitivity", "0.95")),
    ("sensitivity at 0.5", ("sensitivity",)),
    ("specificity at 0.5", ("specificity",)),
    ("PPV at 0.5", ("ppv",)),
    ("NPV at 0.5", ("npv",)),
    ("Dice at 0.5", ("dice",)),
)
OVERALL = (
    ("mean AUC", "mean_auc"),
    ("mean AUC of melanoma and seborrheic keratosis (ISIC 2017)", "mean_auc_isic2017"),
    ("balanced accuracy (ISIC 2018)", "balanced_accuracy"),
    ("accuracy", "accuracy"),
    ("expected calibration error", "expected_calibration_error"),
    ("Brier score", "brier_score"),
)


def remarks(result: dict[str, Any]) -> Iterator[str]:
    """Sentences on what was scored, and on what is missing."""
    kind = "probabilities" if result["are_probabilities"] else "no probabilities"
    how = "after softmax" if result.get("softmax") else "used as given"
    yield f"Scores: {kind}, {how}."
    if "bootstrap" in result:
        drawn = result["bootstrap"]
        yield (
            f"95 % intervals: DeLong for AUC where defined; else {drawn['rounds']:,} bootstrap "
            f"rounds over {drawn['units']:,} {drawn['unit']}s."
        )
    if result["n_class_known"] < result["n"]:
        yield (
            f"The class is known for {result['n_class_known']:,} of {result['n']:,} images; an "
            "image counts in the metrics of the classes that the truth states."
        )
    if result["excluded"]:
        yield f"Excluded by the truth: {', '.join(result['excluded'])}."
    if result["unlabelled"]:
        yield f"Left out because they have no label: {result['unlabelled']:,}."
    reasons: dict[str, list[str]] = {}
    for metric, reason in result["undefined"].items():
        reasons.setdefault(reason, []).append(metric)
    for reason, metrics in reasons.items():
        more = f" and {len(metrics) - 3} more" if len(metrics) > 3 else ""
        yield f"Undefined ({reason}): {', '.join(metrics[:3])}{more}."


def nested(tree: Any, path: tuple[str, ...]) -> Any:
    """`tree[path[0]][path[1]]...`, None where it ends early."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def shown(value: float | None, interval: dict[str, Any] | None) -> str:
    """`0.880 [0.840, 0.920]`, or `undefined`."""
    if value is None:
        return "undefined"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
