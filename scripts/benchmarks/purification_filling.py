"""Fillings compared in the same holes: those of the true masks, and those that the detector finds.

    python scripts/benchmarks/purification_filling.py --half reporting --data DATA
    python scripts/benchmarks/purification_filling.py --half tuning --data DATA --real

The cases are those of `purification.py`, or with `--real` the rulers and bubbles of
`purification_real.py`. Two libraries' fillings are compared where they are installed: biharmonic
(scikit-image), and the copying of shifted patches (opencv-contrib-python). Holes are a mask, one
pixel wider on each side; scores are of the occluded pixels within the holes, so that what the
detector misses does not count.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from comparison import Comparison, add_json_option, write_json
from purification import GENERATORS, Case, cases, psnr, ssim_map
from purification_real import real_pairs

from melanoma_tf.images.filling import fill
from melanoma_tf.purification.classical.opencv import purify_image
from melanoma_tf.purification.networks import load_inpainter

# (uint8 RGB image, bool holes) -> uint8 RGB image
Filling = Callable[[np.ndarray, np.ndarray], np.ndarray]


def opencv(algorithm: int) -> Filling:
    return lambda image, holes: cv2.inpaint(image, holes.astype(np.uint8), 3, algorithm)


def traced(fill_holes: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Filling:
    def run(image: np.ndarray, holes: np.ndarray) -> np.ndarray:
        pixels = tf.constant(image[None], tf.float32) / 255.0
        filled = fill_holes(pixels, tf.constant(holes[None, ..., None], tf.float32))[0].numpy()
        return np.clip(np.rint(255.0 * filled), 0, 255).astype(np.uint8)

    return run


def biharmonic(image: np.ndarray, holes: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(image, holes, channel_axis=-1, split_into_regions=True)
    return np.clip(np.rint(255.0 * filled), 0, 255).astype(np.uint8)


def shifted_patches(image: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """OpenCV's `xphoto`, in which holes are 0 and colours are CIELAB."""
    source = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    filled = np.zeros_like(image)
    cv2.xphoto.inpaint(source, np.uint8(~holes) * 255, filled, cv2.xphoto.INPAINT_SHIFTMAP)
    return cv2.cvtColor(filled, cv2.COLOR_Lab2RGB)


def library_fillings() -> dict[str, Filling]:
    """The fillings of libraries that this package does not need."""
    found: dict[str, Filling] = {}
    if find_spec("skimage"):
        found["biharmonic"] = biharmonic
    if hasattr(cv2, "xphoto"):
        found["shifted patches"] = shifted_patches
    return found


def fillings() -> dict[str, Filling]:
    return {
        **library_fillings(),
        "Telea": opencv(cv2.INPAINT_TELEA),
        "Navier-Stokes": opencv(cv2.INPAINT_NS),
        "classical": traced(fill),
        "network": traced(load_inpainter()),
    }


def holes_of(case: Case) -> dict[str, np.ndarray]:
    found = purify_image(case.occluded, case.lesion.astype(np.uint8) * 255)[1]
    masks = {"true masks": case.occluded_at, "found masks": found > 0}
    return {
        name: cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) > 0 for name, mask in masks.items()
    }


def real_cases(data: Path, half: str) -> Iterator[Case]:
    """Strips of photographs with a real ruler or real bubbles, and their repaired twins."""
    for kind in ("ruler", "bubble"):
        for pair in real_pairs(data, kind, half):
            yield Case(pair.kind, pair.clean, pair.lesion, pair.occluded, pair.occluded_at)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder that holds isic2017/")
    parser.add_argument("--half", choices=GENERATORS, default="reporting")
    parser.add_argument("--phantoms", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    add_json_option(parser)
    parser.add_argument("--real", action="store_true", help="real rulers and bubbles")
    given = parser.parse_args()
    if given.real and given.data is None:
        parser.error("expected --data with --real; found none")
    rows: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    methods = fillings()
    drawn = cases(given.half, given.seed, given.data, given.phantoms)
    for case in real_cases(given.data, given.half) if given.real else drawn:
        for masks, holes in holes_of(case).items():
            where = holes & case.occluded_at
            if not where.any():
                continue
            for name, method in methods.items():
                filled = np.where(holes[..., None], method(case.occluded, holes), case.occluded)
                score = psnr(filled, case.clean, where), ssim_map(filled, case.clean)[where].mean()
                for source in (case.source, "all"):
                    rows.setdefault((source, masks, name), []).append(score)
    print(f"{'images':8} {'holes':12} {'filling':14} {'PSNR':>6} {'SSIM':>6}")
    for (source, masks, name), scores in sorted(rows.items()):
        mean = np.mean(scores, axis=0)
        print(f"{source:8} {masks:12} {name:14} {mean[0]:6.2f} {mean[1]:6.3f}")
    write_json(given.json, comparisons(rows))


def comparisons(rows: dict[tuple[str, str, str], list[tuple[float, float]]]) -> list[Comparison]:
    """PSNR of the two fillings of the package against Telea's, over all images."""
    return [
        Comparison(f"{masks}: {name} filling", float(np.mean(rows["all", masks, name], axis=0)[0]),
                   float(np.mean(rows["all", masks, "Telea"], axis=0)[0]), "dB", "Telea")
        for masks in dict.fromkeys(each for _, each, _ in rows)
        for name in ("classical", "network")
    ]  # fmt: skip


if __name__ == "__main__":
    main()
