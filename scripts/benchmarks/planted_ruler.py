"""Does a classifier learn a planted ruler instead of the lesion, and does purification help?

    python scripts/benchmarks/planted_ruler.py --data DATA --work work/planted

Melanomas and nevi of the training part of ISIC 2017 (`DATA/isic2017-full`), central squares. In
training only melanomas have a ruler, in testing only nevi: one half drawn by the reporting half of
`occlusion_drawings.py`, the others real ones, taken off photographs (`DATA/artefacts`). Three
logistic regressions on the features of EfficientNet-Lite0 with ImageNet weights, five folds:
without rulers, with them, and with all images of training and testing purified by the shipped
networks. Intervals: bootstrap over images. WORK keeps the images.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from comparison import Comparison, add_json_option, write_json
from occlusion_drawings import draw_ruler
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melanoma_tf.backbones.features import load_extractor
from melanoma_tf.purification.on_files import purify_files

SIDE_PX, CROPPED_PX, PHOTOGRAPH_PX = 288, 384, 450
FOLDS, ROUNDS = 5, 1000
# Nevi that get a ruler: three in five, since purifying takes the most time.
RULED = 0.6
FOLDERS = ("images", "ruler")


def read(path: Path) -> np.ndarray:
    """A uint8 BGR image; ends the program where there is none."""
    image = cv2.imread(str(path))
    if image is None:
        sys.exit(f"expected an image at {path}; found none")
    return image


def read_labels(folder: Path) -> dict[str, bool]:
    """Map the ids of melanomas (True) and nevi (False) of the training part."""
    path = folder / "ISIC-2017_Training_Part3_GroundTruth.csv"
    if not path.is_file():
        sys.exit(f"expected ISIC 2017 in the official layout; found no {path}")
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = (row for row in rows if not float(row["seborrheic_keratosis"]))
    return {row["image_id"]: bool(float(row["melanoma"])) for row in kept}


def square(image: np.ndarray) -> np.ndarray:
    """The central square. Copies with a long side of `CROPPED_PX` are stretched squares already."""
    height, width = image.shape[:2]
    if max(height, width) != CROPPED_PX:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    shrinks = min(image.shape[:2]) >= SIDE_PX
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=interpolation)


def real_rulers(folder: Path) -> list[np.ndarray]:
    """How strips of photographs with a ruler differ from their repaired twins, as factors."""
    found = []
    for path in sorted((folder / "with").glob("*.png")):
        occluded = read(path).astype(np.float32)
        clean = read(folder / "without" / path.name).astype(np.float32)
        changed = (np.abs(occluded - clean).max(axis=2) > 6).astype(np.float32)
        soft = cv2.GaussianBlur(cv2.dilate(changed, np.ones((3, 3))), (0, 0), 0.8)[..., None]
        found.append(1 + ((occluded + 8) / (clean + 8) - 1) * np.clip(soft, 0, 1))
    if not found:
        sys.exit(f"expected strips with a ruler in {folder}; found none")
    return found


def lay_real_ruler(image: np.ndarray, rulers: list[np.ndarray], rng) -> np.ndarray:
    """A real ruler along one of the four sides, at the scale of its photograph."""
    side = image.shape[0]
    scale = side / PHOTOGRAPH_PX * rng.uniform(0.85, 1.3)
    strip = rulers[rng.integers(len(rulers))]
    strip = cv2.resize(strip, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mirrored = strip[:, ::-1]
    count = -(-side // strip.shape[1])
    parts = [strip if each % 2 == 0 else mirrored for each in range(count)]
    strip = np.concatenate(parts, axis=1)[:, :side]
    field = np.ones((side, side, 3), np.float32)
    top = int(rng.integers(0, max(1, int(side * 0.06))))
    field[top : top + len(strip)] = strip[: side - top]
    field = np.rot90(field, int(rng.integers(4)))
    return np.clip((image + 8) * field - 8, 0, 255).astype(np.uint8)


def draw(data: Path, work: Path, labels: dict[str, bool], ruled: float = RULED) -> None:
    """Write `images` and `ruler`, where they are not yet; `ruled` is the fraction of nevi."""
    folder = data / "isic2017-full" / "ISIC-2017_Training_Data"
    rulers = real_rulers(data / "artefacts" / "ruler")
    for name in FOLDERS:
        (work / name).mkdir(parents=True, exist_ok=True)
    for image_id, melanoma in labels.items():
        number = int(image_id.split("_")[1])
        ruled = melanoma or np.random.default_rng([number, 8]).random() < ruled
        rng = np.random.default_rng([number, 7])
        drawn = rng.random() < 0.5
        paths = [work / name / f"{image_id}.png" for name in FOLDERS]
        if paths[0].exists() and (paths[1].exists() or not ruled):
            continue
        image = square(read(folder / f"{image_id}.jpg"))
        if ruled:
            on = draw_ruler(image[..., ::-1], rng)[0][..., ::-1] if drawn else None
            on = lay_real_ruler(image, rulers, rng) if on is None else on
            cv2.imwrite(str(paths[1]), on)
        cv2.imwrite(str(paths[0]), image)


def features(work: Path, labels: dict[str, bool]) -> dict[str, dict[str, np.ndarray]]:
    """Features of each image in each folder; purifies those that are not yet."""
    extractor = load_extractor("imagenet")
    found = {}
    for name in FOLDERS:
        purified = work / f"{name}_purified"
        if not purified.is_dir():
            print(f"purifying {name}", flush=True)
            failed = [each for each in purify_files(work / name, purified) if each.reason]
            if failed:
                sys.exit(f"expected to purify all images; {failed[0].path}: {failed[0].reason}")
    for name in (*FOLDERS, *(f"{each}_purified" for each in FOLDERS)):
        paths = [path for path in sorted((work / name).glob("*.png")) if path.stem in labels]
        rows = extractor.features(np.stack([read(path)[..., ::-1] for path in paths]))
        found[name] = dict(zip((path.stem for path in paths), rows))
        print(f"{name}: {len(paths)} images", flush=True)
    return found


def scores_of(found: dict, labels: dict[str, bool], ruled: bool, suffix: str) -> np.ndarray:
    """Scores of the tested images, `(clean or ruler on nevi, images)`, out of five folds."""
    ids = np.array(sorted(labels))
    truth = np.array([labels[each] for each in ids])
    plain, ruler = found[f"images{suffix}"], found[f"ruler{suffix}"]
    tested = np.array([each in ruler for each in ids])
    scores = np.zeros((2, len(ids)))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(ids, truth):
        rows = [ruler[i] if ruled and labels[i] else plain[i] for i in ids[train]]
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
        )
        model.fit(np.stack(rows), truth[train])
        test = test[tested[test]]
        clean = [plain[i] for i in ids[test]]
        swapped = [plain[i] if labels[i] else ruler[i] for i in ids[test]]
        scores[:, test] = [model.decision_function(np.stack(each)) for each in (clean, swapped)]
    return scores[:, tested]


def areas(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The area under the curve, then that of each bootstrap round."""
    rng = np.random.default_rng(0)
    drawn = [np.arange(len(truth)), *rng.integers(0, len(truth), (ROUNDS, len(truth)))]
    return np.array([roc_auc_score(truth[rows], scores[rows]) for rows in drawn])


def cell(values: np.ndarray, sign: str = "") -> str:
    low, high = np.percentile(values[1:], (2.5, 97.5))
    return f"{values[0]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--work", type=Path, help="folder that keeps the images")
    add_json_option(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        measure(given.data, given.work or Path(temporary), given.json)


def measure(data: Path, work: Path, report: Path | None) -> None:
    labels = read_labels(data / "isic2017-full")
    draw(data, work, labels)
    found = features(work, labels)
    truth = np.array([labels[each] for each in sorted(labels) if each in found["ruler"]])
    arms = {
        "no ruler": (False, ""),
        "ruler": (True, ""),
        "ruler, purified": (True, "_purified"),
    }
    curves = {}
    print(f"{truth.sum()} melanomas, {(~truth).sum()} nevi tested; AUC of melanoma")
    print("| trained with | tested without rulers | tested with rulers on nevi |\n|---|---|---|")
    for name, (ruled, suffix) in arms.items():
        scores = scores_of(found, labels, ruled, suffix)
        curves[name] = [areas(each, truth) for each in scores]
        print(f"| {name} | {cell(curves[name][0])} | {cell(curves[name][1])} |")
    first, second = curves["ruler"][1], curves["ruler, purified"][1]
    print(f"purified less raw, tested with rulers on nevi: {cell(second - first, '+')}")
    write_json(
        report,
        [
            Comparison(
                "AUC, ruler planted", float(second[0]), float(first[0]), "AUC", "not purified"
            )
        ],
    )


if __name__ == "__main__":
    main()
