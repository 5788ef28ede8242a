"""The settings of a training of generative networks, and the images that it takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import gan_measures
import numpy as np


@dataclasses.dataclass(frozen=True)
class Training:
    """Settings, named as those of the package; `packed` is a file beside the list."""

    name: str
    packed: str
    classes: tuple[str, ...]
    coupled: bool = False
    image_size_px: int = 256
    latent_size: int = 10
    batch_size: int = 32
    learning_rate: float = 2e-4
    schedule: str = "cosine"
    average_momentum: float = 0.999
    label_smoothing: float = 0.1
    differentiable_augmentation: bool = True
    spectral_normalization: bool = False
    seed: int = 0


class Packed:
    """The training images of a file, by class and size."""

    def __init__(self, path: Path):
        with np.load(path, allow_pickle=False) as stored:
            self.names = [str(name) for name in stored["classes"]]
            labels, training = stored["labels"], stored["training"]
            encoded = np.split(stored["images"], np.cumsum(stored["sizes"])[:-1])
        self.images: dict[str, list[np.ndarray]] = {name: [] for name in self.names}
        for each, label, taken in zip(encoded, labels, training):
            if taken:
                image = cv2.imdecode(each, cv2.IMREAD_COLOR)[..., ::-1]
                self.images[self.names[label]].append(image)
        self.references: dict[tuple[str, int], gan_measures.Reference] = {}

    def reference(self, name: str, size_px: int) -> gan_measures.Reference:
        key = (name, size_px)
        if key not in self.references:
            size = (size_px, size_px)
            scaled = [
                cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in self.images[name]
            ]
            self.references[key] = gan_measures.Reference.of(np.stack(scaled))
        return self.references[key]
