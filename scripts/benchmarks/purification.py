"""Measure purification against a known truth: occlusions drawn on images that have few.

    python scripts/benchmarks/purification.py --half reporting --data DATA
    python scripts/benchmarks/purification.py --half reporting --data DATA --long-sides 96 160 200

DATA holds `isic2017/` in the challenge's layout; without it only phantoms are measured. Images
fall into a tuning and a reporting half by a hash of their name, phantoms by their seed, and each
half has an occlusion generator of its own (`occlusion_drawings.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np
from occlusion_drawings import draw_reporting, draw_tuning
from purification_methods import METHODS, Method, methods

from melanoma_tf.phantoms.image import PHANTOM_CLASSES, PhantomSettings, draw_phantom

# The shortest of these counts: other work on the machine can only lengthen a run.
TIMED_RUNS = 5
LEAST_CHANGE = 12
GENERATORS = {"tuning": draw_tuning, "reporting": draw_reporting}
# Images of isic2017 in which the eye finds next to no hair, ruler, ink or bubble.
CLEANEST = (
    *(0, 8, 13, 16, 37, 38, 39, 47, 52, 53, 63, 73, 108, 109, 122, 124, 141, 142, 145, 153, 156),
    *(172, 186, 196, 197, 199, 202, 203, 211, 213, 216, 221, 222, 225, 226, 227, 232, 233, 235),
    *(236, 263, 278, 292, 297, 311, 313, 316, 321, 329, 341, 423, 457, 525, 540, 543),
)


@dataclass(frozen=True)
class Case:
    """An image, the same one occluded, and where. `lesion` and `occluded_at` are bool masks."""

    source: str
    clean: np.ndarray
    lesion: np.ndarray
    occluded: np.ndarray
    occluded_at: np.ndarray


@dataclass(frozen=True)
class Scores:
    """What one method scores on one case, or on average.

    Attributes:
        psnr_inside: in dB, over the occluded pixels, against the clean image.
        ssim_inside: mean structural similarity over the occluded pixels.
        psnr_outside: in dB, over all other pixels.
        dice: of the occlusion mask.
        structure_lost: change of high-frequency energy inside the lesion, away from occlusions,
            as a share of what was there.
        milliseconds: per image, one image at a time, the best of `TIMED_RUNS` runs.
    """

    psnr_inside: float
    ssim_inside: float
    psnr_outside: float
    dice: float
    structure_lost: float
    milliseconds: float


def belongs_to(key: str, half: str) -> bool:
    """Whether an image falls into a half, by a hash of its name."""
    return (hashlib.sha256(key.encode()).digest()[0] % 2 == 1) == (half == "tuning")


def cases(half: str, seed: int, data: Path | None, phantoms: int) -> Iterator[Case]:
    """The half's cases: real images first, then phantoms."""
    for source, key, clean, lesion in (*real_images(half, data), *phantom_images(half, phantoms)):
        digest = hashlib.sha256(f"{seed}/{half}/{key}".encode()).digest()
        rng = np.random.default_rng(list(digest[:8]))
        occluded, mask = GENERATORS[half](clean, rng)
        yield Case(source, clean, lesion, occluded, mask)


def real_images(half: str, data: Path | None) -> Iterator[tuple]:
    if data is None:
        return
    root = data / "isic2017"
    for key in (f"ISIC_{number:07d}" for number in CLEANEST):
        if belongs_to(key, half):
            image = cv2.imread(str(root / "ISIC-2017_Training_Data" / f"{key}.jpg"))
            name = f"{key}_segmentation.png"
            mask = cv2.imread(
                str(root / "ISIC-2017_Training_Part1_GroundTruth" / name), cv2.IMREAD_GRAYSCALE
            )
            if image is None or mask is None:
                sys.exit(f"expected {key} with its lesion mask under {root}; it is not there")
            yield "real", key, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), mask > 127


def phantom_images(half: str, count: int) -> Iterator[tuple]:
    clear = PhantomSettings(size_px=(384, 512), hairs=0, ruler=0, ink=0, bubbles=0)
    for index in range(count):
        seed = 2 * index + (half == "reporting")
        phantom = draw_phantom(PHANTOM_CLASSES[index % len(PHANTOM_CLASSES)], seed, clear)
        yield "phantom", f"phantom_{seed}", phantom.clean, phantom.lesion_mask > 0


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """In dB, over the pixels of a mask; 99 where they are equal, NaN where there are none."""
    if not where.any():
        return float("nan")
    error = np.mean((one[where].astype(np.float64) - other[where]) ** 2)
    return 99.0 if error == 0 else float(min(99.0, 10 * np.log10(255.0**2 / error)))


def ssim_map(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Structural similarity per pixel (Wang et al. 2004: Gaussian window of 1.5), over channels."""

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    one, other = one.astype(np.float64), other.astype(np.float64)
    mean_one, mean_other = mean(one), mean(other)
    variances = mean(one**2) - mean_one**2 + mean(other**2) - mean_other**2
    covariance = mean(one * other) - mean_one * mean_other
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_one * mean_other + c1) * (2 * covariance + c2)
    similarity /= (mean_one**2 + mean_other**2 + c1) * (variances + c2)
    return similarity.mean(axis=2)


def structure_lost(case: Case, purified: np.ndarray) -> float:
    near = cv2.dilate(case.occluded_at.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    where = case.lesion & ~near
    fine_clean, fine_purified = _fine(case.clean), _fine(purified)
    energy = float((fine_clean[where] ** 2).sum())
    if energy == 0:
        return float("nan")
    return float(((fine_purified - fine_clean)[where] ** 2).sum()) / energy


def _fine(image: np.ndarray) -> np.ndarray:
    values = image.astype(np.float32)
    return values - cv2.GaussianBlur(values, (0, 0), 2.0)


def score(case: Case, method: Method, timed_runs: int = TIMED_RUNS) -> Scores:
    purified, mask = method(case.occluded, case.lesion)  # slower at a new size: not timed
    seconds = [_seconds(method, case) for _ in range(timed_runs)]
    truth = case.occluded_at
    both = int(mask.sum()) + int(truth.sum())
    inside = ssim_map(purified, case.clean)[truth]
    return Scores(
        psnr_inside=psnr(purified, case.clean, truth),
        ssim_inside=float(inside.mean()) if inside.size else float("nan"),
        psnr_outside=psnr(purified, case.clean, ~truth),
        dice=2 * int((mask & truth).sum()) / both if both else 1.0,
        structure_lost=structure_lost(case, purified),
        milliseconds=1000 * min(seconds, default=float("nan")),
    )


def _seconds(method: Method, case: Case) -> float:
    started = time.perf_counter()
    method(case.occluded, case.lesion)
    return time.perf_counter() - started


def average(rows: list[Scores]) -> Scores:
    """Means over cases; of the times the median, which no stray one moves."""
    values = {f.name: [getattr(row, f.name) for row in rows] for f in fields(Scores)}
    milliseconds = float(np.median(values.pop("milliseconds")))
    means = {name: float(np.nanmean(column)) for name, column in values.items()}
    return Scores(**means, milliseconds=milliseconds)


def measure(drawn: list[Case], names: list[str], timed_runs: int) -> dict[str, dict[str, Scores]]:
    """Averages by source (`real`, `phantom`, `all`) and method."""
    table: dict[str, dict[str, Scores]] = {}
    for name, method in methods(names).items():
        rows = [(case.source, score(case, method, timed_runs)) for case in drawn]
        for source in ("real", "phantom", "all"):
            chosen = [row for origin, row in rows if source in (origin, "all")]
            if chosen:
                table.setdefault(source, {})[name] = average(chosen)
    return table


@dataclass(frozen=True)
class ScaleScores:
    """How alike a method treats 256 and 2,048 pixels of one scene, compared at 256.

    Attributes:
        psnr: in dB, between the two purified pictures, over the pixels that either calls occluded.
        dice: of the two occlusion masks.
    """

    psnr: float
    dice: float


def measure_scale(half: str, count: int, names: list[str]) -> dict[str, ScaleScores]:
    """Scores by method, on phantoms with hairs and rulers of their own."""
    settings = PhantomSettings(size_px=(1536, 2048), hairs=1, ruler=0.5, ink=0, bubbles=0)
    rows: dict[str, list[tuple[float, float]]] = {}
    compared = methods(names) if count else {}
    for index in range(count):
        seed = 2 * index + (half == "reporting")
        phantom = draw_phantom(PHANTOM_CLASSES[index % len(PHANTOM_CLASSES)], seed, settings)
        large, lesion = phantom.image, phantom.lesion_mask > 0
        small, small_lesion = _reduced(large), _reduced(lesion.astype(np.float32)) > 0.5
        for name, method in compared.items():
            of_large, large_mask = method(large, lesion)
            of_small, small_mask = method(small, small_lesion)
            large_mask = _reduced(large_mask.astype(np.float32)) > 0.5
            either, both = large_mask | small_mask, large_mask & small_mask
            if either.any():
                dice = 2 * both.sum() / (large_mask.sum() + small_mask.sum())
                rows.setdefault(name, []).append((psnr(_reduced(of_large), of_small, either), dice))
    return {name: ScaleScores(*np.mean(values, axis=0).tolist()) for name, values in rows.items()}


def _reduced(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (256, 192), interpolation=cv2.INTER_AREA)


def measure_small(
    half: str, seed: int, data: Path, long_sides: list[int]
) -> dict[str, dict[int, tuple[float, float]]]:
    """PSNR in dB by method and long side, over the pixels that a drawing changed, and elsewhere.

    Real images are drawn on at their full size and reduced afterwards, as a record folder of small
    images is made. A pixel counts as changed where a channel differs by more than
    `LEAST_CHANGE` of 255.
    """
    found: dict[str, dict[int, list[tuple[float, float]]]] = {}
    drawn = list(cases(half, seed, data, phantoms=0))
    compared = methods(("nothing", "OpenCV recipe", "classical, OpenCV", "network"))
    for side in long_sides:
        for case in drawn:
            clean, occluded = (_to_long_side(each, side) for each in (case.clean, case.occluded))
            lesion = _to_long_side(case.lesion.astype(np.float32), side) > 0.5
            changed = np.abs(clean.astype(int) - occluded).max(axis=2) > LEAST_CHANGE
            for name, method in compared.items():
                purified, _ = method(occluded, lesion)
                pair = (psnr(purified, clean, changed), psnr(purified, clean, ~changed))
                found.setdefault(name, {}).setdefault(side, []).append(pair)
    return {
        name: {side: tuple(np.nanmean(rows, axis=0)) for side, rows in by_side.items()}
        for name, by_side in found.items()
    }


def _to_long_side(image: np.ndarray, side: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (round(width * scale), round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def print_small(found: dict[str, dict[int, tuple[float, float]]]) -> None:
    print("PSNR in dB over changed pixels / elsewhere, by long side in pixels")
    for name, by_side in found.items():
        cells = (f"{side}: {inside:.1f} / {out:.1f}" for side, (inside, out) in by_side.items())
        print(f"{name:30} {'   '.join(cells)}", flush=True)


def print_tables(table: dict[str, dict[str, Scores]]) -> None:
    for source, rows in table.items():
        print(f"\n{source}")
        print(
            f"{'method':30} {'PSNR in':>8} {'SSIM in':>8} {'PSNR out':>9} {'Dice':>6} "
            f"{'lost':>7} {'ms':>7}"
        )
        for name, s in rows.items():
            print(
                f"{name:30} {s.psnr_inside:8.2f} {s.ssim_inside:8.3f} {s.psnr_outside:9.2f} "
                f"{s.dice:6.3f} {s.structure_lost:7.1%} {s.milliseconds:7.1f}"
            )


def comparisons(table: dict[str, dict[str, Scores]]) -> list[Comparison]:
    """PSNR inside occlusions and time of the two methods of the package against the recipe's."""
    rows = []
    for source, scores in table.items():
        recipe = scores.get("OpenCV recipe")
        if recipe is None:
            continue
        for name in (name for name in ("classical, OpenCV", "network") if name in scores):
            ours, work = scores[name], f"{source}: {name}"
            quality = (ours.psnr_inside, recipe.psnr_inside)
            rows.append(Comparison(f"{work}, inside occlusions", *quality, "dB", "OpenCV recipe"))
            times = (ours.milliseconds, recipe.milliseconds)
            rows.append(Comparison(f"{work}, an image", *times, "ms", "OpenCV recipe"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder that holds isic2017/")
    parser.add_argument("--half", choices=GENERATORS, default="reporting")
    parser.add_argument("--phantoms", type=int, default=16, help="number of phantoms")
    parser.add_argument("--scale-phantoms", type=int, default=4, help="to compare sizes on")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--timed-runs", type=int, default=TIMED_RUNS, help="0: measure no time")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn occlusions")
    parser.add_argument(
        "--long-sides", type=int, nargs="+", help="measure real images reduced to these instead"
    )
    add_json_option(parser)
    options = parser.parse_args()
    if options.long_sides:
        if options.data is None:
            parser.error("expected --data with --long-sides")
        print_small(measure_small(options.half, options.seed, options.data, options.long_sides))
        return
    drawn = list(cases(options.half, options.seed, options.data, options.phantoms))
    table = measure(drawn, options.methods, options.timed_runs)
    print_tables(table)
    scale = measure_scale(options.half, options.scale_phantoms, options.methods)
    if scale:
        print(f"\n{'256 px against 2048 px':30} {'PSNR':>8} {'Dice':>8}")
    for name, alike in scale.items():
        print(f"{name:30} {alike.psnr:8.2f} {alike.dice:8.3f}")
    write_json(options.json, comparisons(table))


if __name__ == "__main__":
    main()
