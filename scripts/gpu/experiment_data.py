"""The arms of `experiment.py`, and the images that they learn from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import augmentation
import cv2
import numpy as np
import torch
from train import DEVICE

STANDARD = augmentation.Views((0.7, 1.0), (0.85, 1.18), 0.6, 0.4, 0.0, 0.0, 0.0)
STRONG = augmentation.Views((0.5, 1.0), (0.75, 1.33), 0.8, 0.7, 0.0, 0.0, 0.0)
FOLDS = 5


@dataclass(frozen=True)
class Arm:
    """What one network learns from.

    Attributes:
        name: of the arm.
        training: names of the variants of the training images that are learned from.
        testing: names of the variants of the test images that are predicted.
        views: how far the views differ that are drawn at random; None: the images themselves.
        balance: whether all classes are drawn equally often.
        folds: whether a fifth of the training images, another for each seed, is tested on.
    """

    name: str
    training: tuple[str, ...] = ("raw",)
    testing: tuple[str, ...] = ("raw", "network", "classical")
    views: augmentation.Views | None = STANDARD
    balance: bool = False
    folds: bool = False


_RULERS = ("raw", "network", "ruler on nevi", "ruler on nevi, network")
_RULED = {"testing": _RULERS, "balance": True, "folds": True}
ARMS = {
    "tables": (
        Arm("baseline", views=None),
        Arm("augmented"),
        Arm("balanced", balance=True),
        Arm("purified", ("raw", "purified copies")),
        Arm("generated", ("raw", "generated")),
        Arm("all", ("raw", "purified copies", "generated"), balance=True),
    ),
    "shortcut": (
        Arm("no ruler", ("raw",), **_RULED),
        Arm("ruler", ("ruler on melanomas",), **_RULED),
        Arm("ruler, purified", ("ruler on melanomas, network",), **_RULED),
    ),
    "best": (Arm("best", views=STRONG, balance=True),),
}


class Images:
    """All variants of the images of a packed file, on the accelerator.

    A variant that has no copy of an image shows the image as it is, except `purified copies` and
    `generated`, which hold only what they have.
    """

    def __init__(self, path: Path, generated: Path | None):
        with np.load(path) as stored:
            self.description = json.loads(str(stored["description"]))
            self.names, self.labels = stored["names"], stored["labels"]
            self.groups, self.is_test = stored["groups"], stored["is_test"]
            copies = stored["copies"]
            kept = {
                name: [stored[f"{name} {part}"] for part in ("rows", "sizes", "images")]
                for name in self.description["variants"]
            }
        self.side = self.description["size"]
        self.rows: dict[str, np.ndarray] = {}
        pixels, labels = [], []
        for name, (rows, sizes, encoded) in kept.items():
            start = len(pixels)
            for chunk in np.split(encoded, np.cumsum(sizes)[:-1]):
                pixels.append(cv2.imdecode(chunk, cv2.IMREAD_COLOR)[..., ::-1])
            labels += self.labels[rows].tolist()
            places = self.rows["raw"].copy() if self.rows else np.zeros(len(self.names), int)
            places[rows] = start + np.arange(len(rows))
            self.rows[name] = places
        if "network" in self.rows:
            places = np.full(len(self.names), -1)
            places[copies] = self.rows["network"][copies]
            self.rows["purified copies"] = places
        self.extra = np.zeros(0, np.int64)
        if generated:
            with np.load(generated) as stored:
                added, their_labels = stored["images"], stored["labels"]
            size = (self.side, self.side)
            self.extra = len(pixels) + np.arange(len(added))
            pixels += [cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in added]
            labels += their_labels.tolist()
        stacked = np.ascontiguousarray(np.stack(pixels).transpose(0, 3, 1, 2))
        self.pixels = torch.from_numpy(stacked).to(DEVICE)
        self.pixel_labels = torch.tensor(labels, device=DEVICE)
        self.label_array = np.array(labels)
        self._mix_rulers()

    def _mix_rulers(self) -> None:
        """Training variants of the planted shortcut: a ruler on melanomas only."""
        if "ruler" not in self.rows:
            return
        melanoma = self.labels == self.description["classes"].index("melanoma")
        for suffix, plain in (("", "raw"), (", network", "network")):
            self.rows[f"ruler on melanomas{suffix}"] = np.where(
                melanoma, self.rows[f"ruler{suffix}"], self.rows[plain]
            )

    def places(self, variants: tuple[str, ...], chosen: np.ndarray) -> np.ndarray:
        """Rows of `pixels` that show the chosen images in these variants."""
        found = []
        for name in variants:
            if name == "generated":
                found.append(self.extra)
            else:
                places = self.rows[name][chosen]
                found.append(places[places >= 0])
        return np.concatenate(found)

    def test_places(self, variant: str, chosen: np.ndarray) -> np.ndarray:
        """Rows of `pixels` that show the chosen images in a variant for testing."""
        name, _, purified = variant.partition(", ")
        if name != "ruler on nevi":
            return self.places((name,), chosen)
        copy, plain = ("ruler, network", "network") if purified else ("ruler", "raw")
        nevus = self.labels[chosen] == self.description["classes"].index("nevus")
        return np.where(nevus, self.places((copy,), chosen), self.places((plain,), chosen))

    def divided(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The training and the test images of an arm."""
        training, testing = np.flatnonzero(~self.is_test), np.flatnonzero(self.is_test)
        if arm.folds:
            own = _folds(self.labels)[training] == seed % FOLDS
            training, testing = training[~own], training[own]
        return training, testing

    def order(self, arm: Arm, seed: int, steps: int, batch_size: int) -> torch.Tensor:
        """Rows of `pixels` for every step, `(steps, batch)`: whole passes, or equal classes."""
        places = self.places(arm.training, self.divided(arm, seed)[0])
        rng, count = np.random.default_rng(seed), steps * batch_size
        if arm.balance:
            labels = self.label_array[places]
            weights = 1.0 / np.bincount(labels)[labels]
            drawn = rng.choice(places, count, p=weights / weights.sum())
        else:
            passes = [rng.permutation(places) for _ in range(-(-count // len(places)))]
            drawn = np.concatenate(passes)[:count]
        return torch.from_numpy(drawn.reshape(steps, batch_size)).to(DEVICE)


def _folds(labels: np.ndarray) -> np.ndarray:
    """The fold of each image, stratified by class."""
    found = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        found[np.random.default_rng(label).permutation(rows)] = np.arange(len(rows)) % FOLDS
    return found
