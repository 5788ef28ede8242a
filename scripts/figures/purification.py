"""Draw the figure of purification from phantoms: before, what was found, after.

    python scripts/figures/purification.py --output docs/figures/purification.png

Like Figure 3 of Bisla et al. 2019, but on synthetic images, which may be shipped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.core.files import write_atomically
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.purification.classical.opencv import purify_image

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


def column(class_name: str, occlusions: dict[str, int], seed: int, size_px: int) -> np.ndarray:
    """Before, found and after, one above the other, RGB."""
    settings = PhantomSettings(size_px=size_px, **{**NOTHING, **occlusions})
    image = draw_phantom(class_name, seed, settings).image
    purified, mask = purify_image(image)
    found = np.where(mask[..., None] > 0, np.uint8(FOUND), image // 2 + 110)
    return sheets.stack([image, found, purified], 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--size-px", type=int, default=192, help="side of one picture")
    parser.add_argument("--seed", type=int, default=20, help="of the first phantom")
    options = parser.parse_args()
    columns = [
        column(name, occlusions, options.seed + index, options.size_px)
        for index, (name, occlusions) in enumerate(COLUMNS)
    ]
    encoded = sheets.encode_png(sheets.side_by_side(columns, 4), compression=9)
    write_atomically(options.output, encoded)


if __name__ == "__main__":
    main()
