"""Phantoms: synthetic dermoscopic images with known truth.

The class, the lesion mask, the occlusions and the picture without occlusions are known exactly for
each image, which no photograph offers. Phantoms serve tests, demonstrations and the measurement of
purification; they are not training data for a diagnosis.

    phantom = draw_phantom("melanoma", seed=7, settings=PhantomSettings(size_px=256, hairs=1))
    write_phantoms("phantoms", 300, settings=PhantomSettings(size_px=128), seed=0)
"""

from __future__ import annotations

from melanoma_tf.phantoms.folder import write_phantoms
from melanoma_tf.phantoms.image import (
    OCCLUSIONS,
    PHANTOM_CLASSES,
    Phantom,
    PhantomSettings,
    draw_phantom,
)

__all__ = [
    "OCCLUSIONS",
    "PHANTOM_CLASSES",
    "Phantom",
    "PhantomSettings",
    "draw_phantom",
    "write_phantoms",
]
