"""Draw what the networks that ship make of phantoms: occlusions, purified, outline, saliency.

python scripts/figures/overview.py --output docs/figures/overview.png --size-px 160
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np

from melanoma_tf.classification.explain import load_run
from melanoma_tf.classification.explain_files import explained_files
from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.images.masks import draw_outline
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.purification.purifier import load_tools, purifier
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.segmentation.predict import load_traced_segmenter, segment_files

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis", "melanoma")
TITLES = ("image", "occlusions", "purified", "outline", "saliency")
FOUND, TRUTH = (0, 220, 0), (255, 255, 255)
GAP_PX = 4


def outlined(image: np.ndarray, found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The image with the true outline in white and the segmenter's in green over it."""
    drawn = image[np.newaxis]
    for mask, colour in ((truth, TRUTH), (found, FOUND)):
        drawn = draw_outline(drawn, mask[np.newaxis, ..., np.newaxis] > 0, colour, width_px=2)
    return drawn[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--size-px", type=int, default=160, help="side of one picture")
    parser.add_argument("--seed", type=int, default=40, help="of the first phantom")
    options = parser.parse_args()
    settings = PhantomSettings(size_px=options.size_px, hairs=1, bubbles=0.5)
    phantoms = [
        draw_phantom(name, options.seed + index, settings) for index, name in enumerate(CLASSES)
    ]
    purify = purifier("network", None, load_tools(PurificationSettings()).networks)
    results = [purify(phantom.image, None) for phantom in phantoms]
    explainer = load_run(Path(SHIPPED), shown_px=options.size_px, even=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.png" for index in range(len(phantoms))]
        for path, (purified, _) in zip(paths, results):
            path.write_bytes(sheets.encode_png(purified))
        masks = [each.mask for each in segment_files(paths, load_traced_segmenter())]
        explanations = list(explained_files(explainer, paths))
    rows = []
    for phantom, (purified, occluded), mask, explanation in zip(
        phantoms, results, masks, explanations
    ):
        lesion = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
        found = np.where(occluded[..., None] > 0, np.uint8(FOUND), phantom.image // 2 + 110)
        pictures = [phantom.image, found, purified, outlined(purified, lesion, phantom.lesion_mask),
                    explanation.overlay]  # fmt: skip
        rows.append(sheets.side_by_side(pictures, GAP_PX))
    titles = sheets.side_by_side(
        [sheets.caption(title, options.size_px) for title in TITLES], GAP_PX
    )
    write_atomically(
        options.output, sheets.encode_png(sheets.stack([titles, *rows], GAP_PX), compression=9)
    )


if __name__ == "__main__":
    main()
