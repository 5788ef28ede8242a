"""Lesion masks against the truth, by the definitions of the ISIC challenges 2017 and 2018.

rows = score_folders(Path("predicted"), Path("ISIC-2017_Test_v2_Part1_GroundTruth"))
summary = summarize(rows, rounds=1000, seed=0)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import ImageScan, PassedOver, describe, scan_masks
from melanoma_tf.evaluation.metrics.bootstrap import resamples
from melanoma_tf.records.decode import read_mask_noted
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.records.mask_values import LEVEL

MaskReader = Callable[[Path], npt.NDArray[np.bool_]]

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
_NUMBER = re.compile(r"(?<!\d)\d{7}(?!\d)")


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
    same_size(predicted, truth, name)
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


def _ratio(part: SupportsFloat, whole: SupportsFloat) -> float:
    return float(part) / float(whole) if whole else 1.0


def _rowwise(shared: npt.NDArray[np.int_], either: npt.NDArray[np.int_]) -> float:
    return float(np.where(either > 0, shared / np.maximum(either, 1), 1.0).mean())


def same_size(
    predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], name: str = ""
) -> None:
    """Refuse a predicted mask of another size than the true one.

    Raises:
        MelanomaError: the sizes differ.
    """
    if predicted.shape != truth.shape:
        raise MelanomaError(
            f"{name}: expected a mask of the truth's size {_size(truth)}; found {_size(predicted)}"
        )


def _size(mask: npt.NDArray[np.bool_]) -> str:
    return "x".join(map(str, mask.shape))


@dataclass(frozen=True)
class MaskPairs:
    """The masks of two folders, matched by image.

    Attributes:
        pairs: name of the true mask, predicted mask and true mask, in order of image.
        passed_over: other files in the folders.
    """

    pairs: tuple[tuple[str, Path, Path], ...]
    passed_over: tuple[PassedOver, ...] = ()


def pair_masks(predicted: Path, truth: Path) -> MaskPairs:
    """Match the masks of two folders by image, whatever ending and type their names have.

    Args:
        predicted: folder of `NAME_segmentation.png`, `NAME.png` or the like, see
            `datasets.image_files.scan_masks`.
        truth: folder of the official masks.

    Raises:
        MelanomaError: a folder without masks, or masks without a partner (they are named).
    """
    expected, found = _masks_in(truth), _masks_in(predicted)
    masks = _by_isic_number(found.masks, expected.masks)
    missing, extra = expected.masks.keys() - masks, masks.keys() - expected.masks
    if missing:
        raise MelanomaError(
            f"{predicted}: expected a mask for each of {truth}; missing: {_listed(missing)}"
        )
    if extra:
        raise MelanomaError(
            f"{predicted}: expected no masks but those of {truth}; found: {_listed(extra)}"
        )
    pairs = (
        (expected.masks[key].name, masks[key], expected.masks[key])
        for key in sorted(expected.masks)
    )
    return MaskPairs(tuple(pairs), (*found.passed_over, *expected.passed_over))


def _by_isic_number(found: Mapping[str, Path], expected: Iterable[str]) -> dict[str, Path]:
    """Give masks the name of the image whose number theirs contains, as the official scorer does.

    Raises:
        MelanomaError: two masks have the number of one image.
    """
    expected = set(expected)
    named: dict[str, Path] = {}
    for key, path in found.items():
        number = None if key in expected else _NUMBER.search(key)
        image = f"ISIC_{number.group()}" if number else key
        image = image if image in expected else key
        if image in named:
            raise MelanomaError(
                f"expected one mask of {image}; found {named[image].name} and {path.name}"
            )
        named[image] = path
    return named


def score_pairs(
    pairs: MaskPairs, notes: dict[str, list[str]] | None = None, *, read: MaskReader | None = None
) -> Iterator[MaskScore]:
    """Score pairs of masks, in order.

    Args:
        pairs: see `pair_masks`.
        notes: filled with what is unusual about the masks, each with their names.
        read: reader of a mask file; None takes `read_mask`.

    Raises:
        MelanomaError: a file is no mask, or two masks differ in size.
    """
    read = read or functools.partial(read_mask, notes=notes)
    for name, predicted, truth in pairs.pairs:
        yield score_mask(read(predicted), read(truth), name)


def _masks_in(folder: Path) -> ImageScan:
    if not folder.is_dir():
        raise MelanomaError(f"expected a folder of masks; {folder} is none")
    scan = scan_masks(folder)
    if not scan.masks:
        beside = "; ".join(describe(scan.passed_over)) or "none"
        raise MelanomaError(f"{folder}: expected NAME_segmentation.png files; found {beside}")
    return scan


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _NAMED_AT_ONCE
    return ", ".join(ordered[:_NAMED_AT_ONCE]) + (f" and {more} more" if more > 0 else "")


def read_mask(path: Path, notes: dict[str, list[str]] | None = None) -> npt.NDArray[np.bool_]:
    """Read a mask, as records do: bool `(height, width)`, True is lesion.

    Masks of any mode are read by their meaning, see `records.mask_values`; grey ones are binarised
    at > 128, as by the challenge.

    Args:
        path: the file.
        notes: what is unusual about it is added here, with the file's name.

    Raises:
        MelanomaError: the file is no image, or a mask that would come out empty and is not.
    """
    try:
        mask = read_mask_noted(path)
    except UnreadableImageError as error:
        raise MelanomaError(f"{path}: expected a mask; {error}") from None
    for note in mask.notes:
        if notes is not None:
            notes.setdefault(note, []).append(str(path))
    return mask.pixels > 0


def read_mask_strictly(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask as the official scorer does: one channel of 8 bits or 1, binarised at > 128.

    Raises:
        MelanomaError: the file is no image, or one of another mode.
    """
    content = np.fromfile(path, np.uint8)
    # OpenCV raises at an empty buffer, and returns None at any other that is no image.
    mask = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if mask is None:
        raise MelanomaError(f"{path}: expected a mask as an image; found other bytes")
    if mask.ndim != 2 or mask.dtype != np.uint8:
        channels = 1 if mask.ndim == 2 else mask.shape[2]
        raise MelanomaError(
            f"{path}: expected a mask of one grey channel of 8 bits, as the official scorer does; "
            f"found {channels} of {8 * mask.itemsize} bits, or a palette"
        )
    return np.asarray(mask > LEVEL)


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
