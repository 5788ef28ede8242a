"""Lesion masks against the truth, by the definitions of the ISIC challenges 2017 and 2018.

rows = score_folders(Path("predicted"), Path("ISIC-2017_Test_v2_Part1_GroundTruth"))
summary = summarize(rows, rounds=1000, seed=0)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.bootstrap import resamples
from melanoma_tf.records.decode import read_mask as records_mask
from melanoma_tf.records.header import UnreadableImageError

METRICS = (
    "jaccard",
    "thresholded_jaccard",
    "dice",
    "accuracy",
    "sensitivity",
    "specificity",
    "jaccard_rowwise_2018",
)
LEAST_JACCARD = 0.65  # ISIC 2018: below it a segmentation counts as a failure.
_NAMED_AT_ONCE = 5


@dataclass(frozen=True)
class MaskScore:
    """Metrics of one image.

    Attributes:
        name: the mask's file name.
        jaccard: shared area over united area; empty against empty is 1.
        thresholded_jaccard: the same, but 0 where it is below 0.65.
        dice: twice the shared area over the sum of both; empty against empty is 1.
        accuracy: fraction of the pixels that agree.
        sensitivity: fraction of the lesion that was found; 1 where the truth is empty.
        specificity: fraction of the skin left out; 1 where the truth has no skin.
        jaccard_rowwise_2018: mean over the rows of pixels of each row's Jaccard index, rows
            without lesion in both counting 1, as the code of Bisla et al. has it. No index of the
            challenges, and higher than theirs; for comparison with the paper's 0.77 only.
    """

    name: str
    jaccard: float
    thresholded_jaccard: float
    dice: float
    accuracy: float
    sensitivity: float
    specificity: float
    jaccard_rowwise_2018: float


def score_mask(
    predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], name: str = ""
) -> MaskScore:
    """Score one mask.

    Args:
        predicted: bool `(height, width)`, True is lesion.
        truth: the same.
        name: what the score is called.

    Raises:
        MelanomaError: the sizes differ.
    """
    if predicted.shape != truth.shape:
        raise MelanomaError(
            f"{name}: expected a mask of the truth's size {_size(truth)}; found {_size(predicted)}"
        )
    shared, either = predicted & truth, predicted | truth
    jaccard = _ratio(shared.sum(), either.sum())
    return MaskScore(
        name=name,
        jaccard=jaccard,
        thresholded_jaccard=jaccard if jaccard >= LEAST_JACCARD else 0.0,
        dice=_ratio(2 * shared.sum(), predicted.sum() + truth.sum()),
        accuracy=_ratio((predicted == truth).sum(), truth.size),
        sensitivity=_ratio(shared.sum(), truth.sum()),
        specificity=_ratio((~either).sum(), (~truth).sum()),
        jaccard_rowwise_2018=_rowwise(shared.sum(axis=1), either.sum(axis=1)),
    )


def _ratio(part: int, whole: int) -> float:
    return float(part) / float(whole) if whole else 1.0


def _rowwise(shared: npt.NDArray[np.int_], either: npt.NDArray[np.int_]) -> float:
    return float(np.where(either > 0, shared / np.maximum(either, 1), 1.0).mean())


def _size(mask: npt.NDArray[np.bool_]) -> str:
    return "x".join(map(str, mask.shape))


def score_folders(predicted: Path, truth: Path) -> Iterator[MaskScore]:
    """Score every PNG of a folder against the one of the same name in another.

    Masks of any mode are read by their meaning, see `records.mask_values`; grey ones are binarised
    at > 128, as by the challenge.

    Args:
        predicted: folder of `NAME_segmentation.png`.
        truth: folder of the official masks.

    Returns:
        One score per image, sorted by name.

    Raises:
        MelanomaError: a folder without masks, masks without a partner (they are named), a file
            that is no image, or two masks of different size.
    """
    expected, found = _masks_in(truth), _masks_in(predicted)
    if expected - found:
        raise MelanomaError(
            f"{predicted}: expected a mask for each of {truth}; missing: "
            f"{_listed(expected - found)}"
        )
    if found - expected:
        raise MelanomaError(
            f"{predicted}: expected no masks but those of {truth}; found: "
            f"{_listed(found - expected)}"
        )
    return (
        score_mask(read_mask(predicted / name), read_mask(truth / name), name)
        for name in sorted(expected)
    )


def _masks_in(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise MelanomaError(f"expected a folder of masks; {folder} is none")
    names = {path.name for path in folder.iterdir() if path.suffix.lower() == ".png"}
    # The challenge publishes superpixels, also PNG, next to its images.
    names = {name for name in names if not name.endswith("_superpixels.png")}
    if not names:
        raise MelanomaError(f"{folder}: expected NAME_segmentation.png files; found none")
    return names


def _listed(names: set[str]) -> str:
    more = len(names) - _NAMED_AT_ONCE
    return ", ".join(sorted(names)[:_NAMED_AT_ONCE]) + (f" and {more} more" if more > 0 else "")


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask, as records do: bool `(height, width)`, True is lesion.

    Raises:
        MelanomaError: the file is no image, or a mask that would come out empty and is not.
    """
    try:
        return records_mask(path) > 0
    except UnreadableImageError as error:
        raise MelanomaError(f"{path}: expected a mask; {error}") from None


def summarize(scores: Sequence[MaskScore], *, rounds: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Means over images, with 95 % bootstrap intervals over images.

    Args:
        scores: at least one.
        rounds: of the bootstrap; 0 leaves the intervals out.
        seed: the same seed gives the same intervals.

    Returns:
        `n`, and for each of `METRICS` a dictionary of `mean` and `interval` (`low` and `high`;
        None without rounds).

    Raises:
        MelanomaError: no scores.
    """
    if not scores:
        raise MelanomaError("expected at least one mask to score; found none")
    values = np.array([[getattr(score, name) for name in METRICS] for score in scores])
    intervals: list[dict[str, float] | None] = [None] * len(METRICS)
    if rounds:
        blocks = resamples(np.arange(len(scores)), rounds, seed)
        means = np.concatenate([block @ values / len(scores) for block in blocks])
        lows, highs = np.percentile(means, [2.5, 97.5], axis=0)
        intervals = [{"low": float(a), "high": float(b)} for a, b in zip(lows, highs)]
    summary: dict[str, Any] = {"n": len(scores)}
    for name, mean, interval in zip(METRICS, values.mean(axis=0), intervals):
        summary[name] = {"mean": float(mean), "interval": interval}
    return summary
