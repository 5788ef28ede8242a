"""Masks of dermoscopic attributes against the truth: ISIC 2018, task 2.

Each image has a mask for each attribute, most of them empty, so that a mean over images would say
little: the areas of all images are added up first (`micro average`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import ATTRIBUTE_MASK, scan_masks
from melanoma_tf.evaluation.masks import MaskReader, read_mask, same_size
from melanoma_tf.evaluation.predictions import listed

_NAME = re.compile(r"(?P<image>.+)_attribute_(?P<attribute>[a-z_]+)", re.IGNORECASE)


@dataclass(frozen=True)
class AttributePair:
    """The predicted and the true mask of an attribute of an image."""

    image: str
    attribute: str
    predicted: Path
    truth: Path


def has_attributes(folder: Path) -> bool:
    """Tell whether a folder holds masks of attributes, and none of lesions."""
    return folder.is_dir() and bool(_attributes_in(folder)) and not scan_masks(folder).masks


def pair_attributes(predicted: Path, truth: Path) -> tuple[AttributePair, ...]:
    """Match the masks `IMAGE_attribute_NAME.png` of two folders.

    Raises:
        MelanomaError: a folder without such masks, or masks without a partner (they are named).
    """
    if not predicted.is_dir():
        raise MelanomaError(f"expected a folder of masks; {predicted} is none")
    expected, found = _attributes_in(truth), _attributes_in(predicted)
    for names, where, wanted in (
        (expected.keys() - found.keys(), "missing", f"a mask for each of {truth}"),
        (found.keys() - expected.keys(), "found", f"no masks but those of {truth}"),
    ):
        if names:
            shown = listed(sorted(f"{image}_attribute_{name}" for image, name in names))
            raise MelanomaError(f"{predicted}: expected {wanted}; {where}: {shown}")
    return tuple(AttributePair(*key, found[key], expected[key]) for key in sorted(expected))


def score_attributes(
    pairs: Iterable[AttributePair], read: MaskReader = read_mask
) -> dict[str, Any]:
    """Score pairs of masks of attributes.

    An image counts the same whatever its size: its areas are fractions of it.

    Args:
        pairs: see `pair_attributes`.
        read: reader of a mask file.

    Returns:
        `n` (images), `attributes` (by name `jaccard` and `dice`) and `micro_average` (over all).
        Empty against empty over all images is 1.

    Raises:
        MelanomaError: a file is no mask, or two masks differ in size.
    """
    sums: dict[str, npt.NDArray[np.float64]] = {}
    images = set()
    for pair in pairs:
        predicted, truth = read(pair.predicted), read(pair.truth)
        same_size(predicted, truth, pair.predicted.name)
        images.add(pair.image)
        areas = ((predicted & truth).mean(), predicted.mean(), truth.mean())
        sums[pair.attribute] = sums.get(pair.attribute, np.zeros(3)) + areas
    total = sum(sums.values(), np.zeros(3))
    return {
        "n": len(images),
        "attributes": {name: _scores(areas) for name, areas in sums.items()},
        "micro_average": _scores(total),
    }


def _scores(areas: npt.NDArray[np.float64]) -> dict[str, float]:
    shared, predicted, truth = areas.tolist()
    either = predicted + truth - shared
    if either <= 0:
        return {"jaccard": 1.0, "dice": 1.0}
    return {"jaccard": shared / either, "dice": 2 * shared / (predicted + truth)}


def _attributes_in(folder: Path) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    for each in scan_masks(folder).passed_over:
        name = _NAME.fullmatch(each.path.stem) if each.reason == ATTRIBUTE_MASK else None
        if name is None:
            continue
        key = (name["image"], name["attribute"].lower())
        if key in found:
            raise MelanomaError(
                f"{folder}: expected one mask of each attribute; found {found[key].name} and "
                f"{each.path.name}"
            )
        found[key] = each.path
    return found
