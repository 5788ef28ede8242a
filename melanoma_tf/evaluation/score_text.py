"""Scores in words, for the screen and for the report: titles, values with intervals, remarks.

Nothing heavy is imported here: the command line reads it at its top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

OUT_OF_RANGE = "the scores are not all in [0, 1]"

# Titles of the metrics, with their path in the scores; a class's name stands after the first part.
PER_CLASS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AUC", ("auc",)),
    ("average precision", ("average_precision",)),
    ("AUC above sensitivity 0.8 (ISIC 2018)", ("auc_above_sensitivity_80",)),
    ("partial AUC (ISIC 2024)", ("partial_auc_isic2024",)),
    ("accuracy at 0.5", ("class_accuracy",)),
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
    ("sensitivity of the top 15 of each patient (ISIC 2024)", "top_15_retrieval_sensitivity"),
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
            f"{result['n_class_known']:,} of {result['n']:,} images are of a class with a column; "
            "the others count against the classes that they are known not to be of."
        )
    yield from _range_remark(result)
    if result["excluded"]:
        names = result["excluded"]
        yield f"Excluded, as by the official scorer: {len(names):,} ({_first(names)})."
    if result.get("without_class"):
        counts = [f"{name} ({n:,})" for name, n in result["without_class"].items()]
        yield (
            f"No class in {result['taxonomy']}: {_first(counts)}; these images count against each "
            "class, and are not decided."
        )
    if result.get("official_conventions"):
        yield (
            "By the official conventions, 0 / 0 at 0.5 is 1 (such as the PPV of a class that is "
            "never called), and the average precision of a class without examples is 0."
        )
    perfect = [name for name, value in result["auc"].items() if value == 1.0]
    if perfect and "interval" in result:
        yield (
            f"AUC of {_first(perfect)} is 1: the DeLong interval [1, 1] is no certainty; an exact "
            "bound depends on the number of images."
        )
    if result["unlabelled"]:
        yield f"Left out because they have no label: {result['unlabelled']:,}."
    reasons: dict[str, list[str]] = {}
    for metric, reason in result["undefined"].items():
        if reason == OUT_OF_RANGE:  # said above
            continue
        reasons.setdefault(reason, []).append(metric)
    for reason, metrics in reasons.items():
        more = f" and {len(metrics) - 3} more" if len(metrics) > 3 else ""
        yield f"Undefined ({reason}): {', '.join(metrics[:3])}{more}."


def class_rows(result: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Titles and paths of the metrics of each class that this result has at all."""
    points: dict[str, Any] = next(iter(result["specificity_at_sensitivity"].values()), {})
    rows = list(PER_CLASS)
    rows[4:4] = [
        (f"specificity at sensitivity {point}", ("specificity_at_sensitivity", point))
        for point in points
    ]
    names = result["classes"]
    return [
        (title, path)
        for title, path in rows
        if any(nested(result, (path[0], name, *path[1:])) is not None for name in names)
    ]


def overall_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Titles and keys of the metrics over all classes that this result has.

    `remarks` says why others are undefined; those of other challenges are not mentioned.
    """
    return [(title, key) for title, key in OVERALL if result.get(key) is not None]


def _range_remark(result: dict[str, Any]) -> Iterator[str]:
    """Say so where scores are no probabilities, and what they may be."""
    low, high = result["score_range"] or (0.0, 1.0)
    if low >= 0 and high <= 1:
        return
    guess = "logits: add --softmax" if low < 0 else "percentages: divide them by 100"
    yield (
        f"Scores reach from {low:g} to {high:g}, outside [0, 1] (are they {guess}?): metrics at "
        "0.5 are left out."
    )


def _first(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


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
