"""Draw the figures of purification from phantoms: before, what was found, after.

    python scripts/figures/purification.py --output docs/figures/purification.png --size-px 160
    python scripts/figures/purification.py --failures --output FILE

Like Figure 3 of Bisla et al. 2019, but on synthetic images, which may be shipped. With `--failures`
they show what the networks do badly: a thicket, broad ink, a sticker, bubbles over the lesion.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np

from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.core.files import write_atomically
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.purification.purifier import Purifier, load_tools, purifier
from melanoma_tf.purification.settings import PurificationSettings

# What the columns show; the rest is switched off.
COLUMNS = (
    ("melanoma", {"ruler": 1}),
    ("nevus", {"hairs": 1, "ruler": 1}),
    ("melanoma", {"hairs": 1}),
    ("seborrheic_keratosis", {"hairs": 1, "ink": 1}),
    ("nevus", {"hairs": 1, "bubbles": 1}),
)
NOTHING = {"hairs": 0, "ruler": 0, "ink": 0, "bubbles": 0, "dark_corners": 0}
FOUND = (0, 220, 0)


def thicket(image: np.ndarray, rng: np.random.Generator) -> None:
    side = image.shape[0]
    for _ in range(140):
        start, end = rng.uniform(-0.1, 1.1, (2, 2)) * side
        points = tuple(tuple(int(v) for v in point) for point in (start, end))
        tone = int(rng.integers(15, 60))
        cv2.line(image, *points, (tone + 10, tone, tone), max(1, side // 130), cv2.LINE_AA)


def broad_ink(image: np.ndarray, rng: np.random.Generator) -> None:
    side = image.shape[0]
    for offset in (0.1, 0.82):
        ends = (int(offset * side), 0), (int((offset + 0.12) * side), side)
        cv2.line(image, *ends, (90, 60, 150), side // 10, cv2.LINE_AA)


def sticker(image: np.ndarray, rng: np.random.Generator) -> None:
    side = image.shape[0]
    cv2.circle(image, (side, side // 5), side // 4, (60, 150, 190), -1, cv2.LINE_AA)


def bubbles_over_the_lesion(image: np.ndarray, rng: np.random.Generator) -> None:
    side = image.shape[0]
    for _ in range(9):
        place = tuple(int(v) for v in rng.uniform(0.25, 0.75, 2) * side)
        radius = int(rng.uniform(0.02, 0.1) * side)
        cv2.circle(image, place, radius, (95, 85, 95), 1, cv2.LINE_AA)
        for angle in (200, 20):
            ends = (angle, angle + 60)
            cv2.ellipse(image, place, (int(0.7 * radius),) * 2, 0, *ends, (250,) * 3, 1)


FAILURES: tuple[Callable[[np.ndarray, np.random.Generator], None], ...] = (
    thicket,
    broad_ink,
    sticker,
    bubbles_over_the_lesion,
)


def column(image: np.ndarray, purify: Purifier) -> np.ndarray:
    """Before, found and after, one above the other, RGB."""
    purified, mask = purify(image, None)
    found = np.where(mask[..., None] > 0, np.uint8(FOUND), image // 2 + 110)
    return sheets.stack([image, found, purified], 4)


def phantom(class_name: str, occlusions: dict[str, int], seed: int, size_px: int) -> np.ndarray:
    settings = PhantomSettings(size_px=size_px, **{**NOTHING, **occlusions})
    return draw_phantom(class_name, seed, settings).image


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--size-px", type=int, default=192, help="side of one picture")
    parser.add_argument("--seed", type=int, default=20, help="of the first phantom")
    parser.add_argument("--failures", action="store_true")
    options = parser.parse_args()
    if options.failures:
        images = []
        for index, draw in enumerate(FAILURES):
            image = phantom("nevus", {}, options.seed + index, options.size_px)
            draw(image, np.random.default_rng(index))
            images.append(image)
    else:
        images = [
            phantom(name, occlusions, options.seed + index, options.size_px)
            for index, (name, occlusions) in enumerate(COLUMNS)
        ]
    tools = load_tools(PurificationSettings())
    purify = purifier("network", None, tools.networks)
    encoded = sheets.encode_png(
        sheets.side_by_side([column(image, purify) for image in images], 4), compression=9
    )
    write_atomically(options.output, encoded)


if __name__ == "__main__":
    main()
