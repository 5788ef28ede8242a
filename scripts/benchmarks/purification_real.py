"""Measure purification on real rulers and bubbles, on other devices' images, and on phantoms.

    python scripts/benchmarks/purification_real.py --half reporting --data DATA

DATA holds `artefacts/` (pairs of strips of photographs with a real ruler or real bubbles, and the
same strips repaired by hand), `isic2017-full/` and `ph2/`. Pairs and images fall into a tuning and
a reporting half by the order of their photographs' names. All methods run on the same cases:

- rulers, bubbles: a strip within skin of its repaired twin, mirrored to the size of a photograph;
  *inside* is what the repair changed, *elsewhere* the rest of the strip. Mirrored, what the strip's
  border cuts makes shapes that no skin has.
- no white: the rulers; white pixels, as of a frame behind the dermoscope, do not count elsewhere.
- in place: the same strips of bubbles in the photographs that they were cut from; the clean one has
  the twins of all its strips.
- hairs: the occlusions of `occlusion_drawings.py` on images of devices that no network here was
  trained on.
- phantoms: without occlusions; the fine structure of the lesion that a method takes away.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from comparison import Comparison, add_json_option, write_json
from occlusion_drawings import draw_reporting, draw_tuning
from purification import phantom_images, psnr, structure_lost
from purification_methods import Method, methods

HALVES = ("tuning", "reporting")
# A pixel is occluded where the repaired strip differs by more than this, of 255.
CHANGED_FROM = 12
# From here in each channel a repaired strip is white, as a frame behind the dermoscope is.
WHITE_FROM = 240
NEAR_WHITE_PX = 17
PHOTOGRAPH = (450, 600)
COMPARED = ("nothing", "OpenCV recipe", "classical, OpenCV", "network")
# Images of other devices in which the eye finds next to no hair, ruler, ink or bubble.
OTHER_DEVICES = {
    "isic2017-full": (
        *("ISIC_0006815", "ISIC_0008524", "ISIC_0014712", "ISIC_0014809", "ISIC_0014937"),
        *("ISIC_0014945", "ISIC_0014985", "ISIC_0015043", "ISIC_0015211", "ISIC_0015256"),
        *("ISIC_0015313", "ISIC_0015372", "ISIC_0015401", "ISIC_0015496", "ISIC_0015627"),
    ),
    "ph2": (
        *("IMD018", "IMD021", "IMD030", "IMD033", "IMD037", "IMD061", "IMD078", "IMD105"),
        *("IMD125", "IMD133", "IMD140", "IMD164", "IMD169", "IMD173", "IMD200", "IMD243"),
        *("IMD312", "IMD339", "IMD364", "IMD385", "IMD396", "IMD399", "IMD413", "IMD430"),
    ),
}


@dataclass(frozen=True)
class Pair:
    """A case: `kind`, an image and the clean one, and bool masks.

    They show what is occluded, what else counts, and the lesion.
    """

    kind: str
    name: str
    clean: np.ndarray
    occluded: np.ndarray
    occluded_at: np.ndarray
    elsewhere: np.ndarray
    lesion: np.ndarray


def of_half(names: list[str], half: str) -> list[str]:
    """Every second name."""
    return sorted(names)[HALVES.index(half) :: 2]


def read(path: Path) -> np.ndarray:
    """A uint8 RGB image; ends the program where there is none."""
    image = cv2.imread(str(path))
    if image is None:
        sys.exit(f"expected an image at {path}; found none")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def real_pairs(data: Path, kind: str, half: str) -> Iterator[Pair]:
    """Strips with their repaired twins; all strips of a photograph belong to one half."""
    folder = data / "artefacts" / kind
    paths = sorted((folder / "with").glob("*.png"))
    chosen = of_half(list({path.stem[:12] for path in paths}), half)
    for path in paths:
        if path.stem[:12] not in chosen:
            continue
        occluded, clean = read(path), read(folder / "without" / path.name)
        yield Pair(f"{kind}s", path.stem, *in_photograph(occluded, clean))


def without_white(pair: Pair) -> Pair:
    """The pair, with white pixels and those near them left out of what counts elsewhere."""
    white = (pair.clean >= WHITE_FROM).all(axis=2).astype(np.uint8)
    near = cv2.dilate(white, np.ones((NEAR_WHITE_PX, NEAR_WHITE_PX), np.uint8)) > 0
    return replace(pair, kind="no white", elsewhere=pair.elsewhere & ~near)


def pairs_in_place(data: Path, half: str) -> Iterator[Pair]:
    """The strips of bubbles in their photographs."""
    folder = data / "artefacts" / "bubble"
    paths = sorted((folder / "with").glob("*.png"))
    for name in of_half(list({path.stem[:12] for path in paths}), half):
        occluded = read(data / "artefacts" / "photographs" / f"{name}.jpg")
        strips = {
            path.stem: (
                place_in(occluded, read(path), path.name),
                read(folder / "without" / path.name),
            )
            for path in paths
            if path.stem[:12] == name
        }
        clean, changed = occluded.copy(), np.zeros(occluded.shape[:2], bool)
        for place, twin in strips.values():
            clean[place] = np.where(changed[place][..., None], clean[place], twin)
            apart = np.abs(occluded[place].astype(int) - twin).max(axis=2) > CHANGED_FROM
            clean[place][apart], changed[place] = twin[apart], changed[place] | apart
        for strip_name, (place, _) in strips.items():
            own = np.zeros_like(changed)
            own[place] = True
            masks = own & changed, own & ~changed, np.zeros_like(own)
            yield Pair("in place", strip_name, clean, occluded, *masks)


def place_in(photograph: np.ndarray, strip: np.ndarray, name: str) -> tuple[slice, slice]:
    """Where a strip was cut from; ends the program where it is not of the photograph."""
    apart = cv2.matchTemplate(photograph, strip, cv2.TM_SQDIFF)
    least, _, (column, row), _ = cv2.minMaxLoc(apart)
    if least > strip.size:
        sys.exit(f"expected {name} within its photograph; found no such place")
    return slice(row, row + strip.shape[0]), slice(column, column + strip.shape[1])


def in_photograph(strip: np.ndarray, twin: np.ndarray) -> tuple[np.ndarray, ...]:
    """The twin and the strip in mirrored skin of the twin, and the masks of a `Pair`."""
    height, width = twin.shape[:2]
    wide = max(PHOTOGRAPH[1], width)
    rows, columns = max(PHOTOGRAPH[0], wide * 3 // 4) - height, wide - width
    before, left = rows // 2, columns // 2
    margins = ((before, rows - before), (left, columns - left), (0, 0))
    clean = np.pad(twin, margins, mode="symmetric")
    occluded, own = clean.copy(), np.zeros(clean.shape[:2], bool)
    place = slice(before, before + height), slice(left, left + width)
    occluded[place], own[place] = strip, True
    changed = np.abs(occluded.astype(int) - clean).max(axis=2) > CHANGED_FROM
    return clean, occluded, changed, own & ~changed, np.zeros_like(changed)


def drawn_hairs(data: Path, half: str) -> Iterator[Pair]:
    """Images of other devices, drawn over by the half's own generator."""
    draw = {"tuning": draw_tuning, "reporting": draw_reporting}[half]
    for source, names in OTHER_DEVICES.items():
        for index, name in enumerate(of_half(list(names), half)):
            if source == "ph2":
                folder = data / "ph2" / "PH2 Dataset images" / name
                clean = read(folder / f"{name}_Dermoscopic_Image" / f"{name}.bmp")
            else:
                clean = read(data / source / "ISIC-2017_Validation_Data" / f"{name}.jpg")
            rng = np.random.default_rng([index, HALVES.index(half), len(source)])
            occluded, mask = draw(clean, rng)
            yield Pair("hairs", name, clean, occluded, mask, ~mask, np.zeros_like(mask))


def clean_phantoms(half: str, count: int) -> Iterator[Pair]:
    """Phantoms that nothing lies over."""
    for _, name, clean, lesion in phantom_images(half, count):
        nothing = np.zeros_like(lesion)
        yield Pair("phantoms", name, clean, clean, nothing, ~nothing, lesion)


def score(pair: Pair, method: Method) -> tuple[float, float, float]:
    """PSNR inside and elsewhere in dB, and the fraction of fine structure lost."""
    purified, _ = method(pair.occluded, pair.lesion)
    lost = structure_lost(pair, purified) if pair.kind == "phantoms" else float("nan")
    inside = psnr(purified, pair.clean, pair.occluded_at)
    return inside, psnr(purified, pair.clean, pair.elsewhere), lost


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--half", choices=HALVES, default="reporting")
    parser.add_argument("--phantoms", type=int, default=12)
    parser.add_argument("--methods", nargs="+", default=list(COMPARED))
    parser.add_argument("--verbose", action="store_true", help="print every case too")
    add_json_option(parser)
    given = parser.parse_args()
    rulers = list(real_pairs(given.data, "ruler", given.half))
    cases = [
        *rulers,
        *map(without_white, rulers),
        *real_pairs(given.data, "bubble", given.half),
        *pairs_in_place(given.data, given.half),
        *drawn_hairs(given.data, given.half),
        *clean_phantoms(given.half, given.phantoms),
    ]
    chosen = methods(given.methods)
    print(f"{'cases':10} {'method':30} {'images':>6} {'inside':>7} {'elsewhere':>9} {'lost':>7}")
    found: dict[tuple[str, str], float] = {}
    for kind in dict.fromkeys(case.kind for case in cases):
        own = [case for case in cases if case.kind == kind]
        for name, method in chosen.items():
            rows = [score(case, method) for case in own]
            if given.verbose:
                for case, row in zip(own, rows):
                    print(f"  {case.name:20} {name:24} {row[0]:7.2f} {row[1]:7.2f}")
            inside, elsewhere, lost = np.array(rows).mean(axis=0)
            inside_or_lost = f"{'':7} {elsewhere:9.2f} {lost:7.1%}"
            if kind != "phantoms":
                inside_or_lost = f"{inside:7.2f} {elsewhere:9.2f}"
                found[kind, name] = inside
            print(f"{kind:10} {name:30} {len(own):6} {inside_or_lost}", flush=True)
    peer = "OpenCV recipe"
    rows = [
        Comparison(f"{kind}: {name}, inside occlusions", value, found[kind, peer], "dB", peer)
        for (kind, name), value in found.items()
        if name != peer and (kind, peer) in found
    ]
    write_json(given.json, rows)


if __name__ == "__main__":
    main()
