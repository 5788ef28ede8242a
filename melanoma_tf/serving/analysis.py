"""A photograph analysed on this machine: outlined and purified by what ships, and classified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from melanoma_tf.purification.purifier import load_tools, purifier
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.decode import Pixels, read_image
from melanoma_tf.segmentation.predict import load_traced_segmenter
from melanoma_tf.serving.photograph_classifiers import PhotographClassifier

_LONG_SIDE_PX = 1024
_OUTLINE = (255, 255, 0)


@dataclass(frozen=True)
class Analysis:
    """What was found in a photograph.

    Attributes:
        name: of the file.
        picture: uint8 RGB `(height, width, 3)`, upright, its long side at most 1024 pixels.
        mask: uint8 `(height, width)` of the picture, 255 on the lesion.
        purified: the picture without hairs, rulers, ink and bubbles.
        occluded: fraction of the picture that they cover.
        probabilities: by class; empty without a classifier.
        reached: by class, the sensitivities whose thresholds the probability reaches.
        saliency: the picture with saliency over it; None where the classifier gives none.
    """

    name: str
    picture: Pixels
    mask: Pixels
    purified: Pixels
    occluded: float
    probabilities: Mapping[str, float] = field(default_factory=dict)
    reached: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    saliency: Pixels | None = None

    @property
    def lesion_fraction(self) -> float:
        """Fraction of the picture that is lesion."""
        return float(np.count_nonzero(self.mask)) / self.mask.size

    def outlined(self) -> Pixels:
        """The picture with the border of the lesion drawn on it."""
        contours, _ = cv2.findContours(self.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        width = max(1, round(max(self.mask.shape) / 300))
        return cv2.drawContours(self.picture.copy(), contours, -1, _OUTLINE, width)


class Analyser:
    """Analyses photographs; all networks are loaded once.

    Args:
        classifier: see `PhotographClassifier`; None outlines and purifies only.
    """

    def __init__(self, classifier: PhotographClassifier | None = None):
        self.classifier = classifier
        settings = PurificationSettings()
        tools = load_tools(settings)
        self._segmenter = load_traced_segmenter()
        self._purify = purifier(settings.method, tools.segment_lesion, tools.networks)

    def analyse(self, path: Path) -> Analysis:
        """Analyse an image file.

        Raises:
            MelanomaError: the file is no image; the message is the reason.
        """
        picture = _as_picture(read_image(path))
        mask = self._segmenter.mask(picture).numpy()
        purified, occlusions = self._purify(picture, mask)
        occluded = float(np.count_nonzero(occlusions)) / occlusions.size
        found = None if self.classifier is None else self.classifier.classify(path, picture)
        given = () if found is None else (found.probabilities, found.reached, found.saliency)
        return Analysis(path.name, picture, mask, purified, occluded, *given)


def _as_picture(pixels: Pixels) -> Pixels:
    scale = _LONG_SIDE_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
