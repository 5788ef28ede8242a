"""Train the networks that ship, in PyTorch on one accelerator.

    python scripts/gpu/train.py segmenter packed.npz segmenter.npz --steps 6000
    python scripts/gpu/train.py classifier packed.npz fold0.npz --variant lite2 --folds 5 --fold 0
    python scripts/gpu/train.py classifier packed.npz classifier.npz --soft-labels fold*.npz

Starts from the ImageNet weights that ship with the package (or `--weights FILE.npz`). The rate
falls along a half cosine over the steps, or over `--seconds`, whichever ends first. The weights
that are written are the moving average. `convert.py` makes them networks of the package.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import augmentation
import cv2
import networks
import numpy as np
import torch
from torch import nn
from torch.nn import functional

PRETRAINED = Path(__file__).resolve().parents[2] / "melanoma_tf" / "pretrained"
CLASSES = 3
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Data:
    """Images, masks and labels of one packed file, on the accelerator."""

    def __init__(self, path: Path, limit: int = 0):
        with np.load(path) as stored:
            self.ids, self.parts = stored["ids"], stored["parts"]
            self.labels = torch.from_numpy(stored["labels"])
            ends = np.cumsum(stored["sizes"])
            encoded, packed = np.split(stored["images"], ends[:-1]), stored["masks"]
        if limit:
            chosen = np.random.default_rng(0).permutation(len(self.ids))[:limit]
            self.ids, self.parts = self.ids[chosen], self.parts[chosen]
            self.labels, packed = self.labels[chosen], packed[chosen]
            encoded = [encoded[each] for each in chosen]
        decoded = [cv2.imdecode(each, cv2.IMREAD_COLOR)[..., ::-1] for each in encoded]
        images = np.stack(decoded).transpose(0, 3, 1, 2)
        self.side = images.shape[-1]
        masks = np.unpackbits(packed, axis=1).reshape(-1, 1, self.side, self.side)
        self.images = torch.from_numpy(np.ascontiguousarray(images)).to(DEVICE)
        self.masks = torch.from_numpy(np.ascontiguousarray(masks)).to(DEVICE)
        self.labels = self.labels.to(DEVICE)

    def first_copies(self) -> np.ndarray:
        """The rows that are the first of their id; the packed file may hold another copy."""
        return np.sort(np.unique(self.ids, return_index=True)[1])

    def folds(self, count: int) -> np.ndarray:
        """The fold of each row: equal for copies, stratified by class."""
        fold = {}
        unique = self.first_copies()
        labels = self.labels.cpu().numpy()
        for label in range(CLASSES):
            ids = self.ids[unique][labels[unique] == label]
            order = np.random.default_rng(label).permutation(len(ids))
            fold.update({ids[each]: place % count for place, each in enumerate(order)})
        return np.array([fold[each] for each in self.ids])


class Average:
    """A moving average of a network's weights; the statistics are the network's own."""

    def __init__(self, network: nn.Module, momentum: float):
        self.momentum = momentum
        self.values = [each.detach().clone() for each in network.parameters()]
        self.steps = 0

    def update(self, network: nn.Module) -> None:
        self.steps += 1
        momentum = min(self.momentum, self.steps / (self.steps + 10))
        current = [each.detach() for each in network.parameters()]
        torch._foreach_lerp_(self.values, current, 1 - momentum)

    def apply(self, network: nn.Module) -> None:
        for value, average in zip(network.parameters(), self.values):
            value.data.copy_(average)


class Schedule:
    """Progress from 0 to 1 by steps or seconds, and the rate along a half cosine."""

    def __init__(self, steps: int, seconds: float):
        self.steps, self.seconds = steps, seconds
        self.start, self.taken = time.monotonic(), 0

    def progress(self) -> float:
        passed = time.monotonic() - self.start
        by_time = passed / self.seconds if self.seconds else 0.0
        return max(by_time, self.taken / self.steps)

    def rate(self) -> float:
        warm = min(1.0, (self.taken + 1) / 200)
        return warm * 0.5 * (1 + np.cos(np.pi * min(1.0, self.progress())))


def optimizer_groups(network: nn.Module, decay: float) -> list[dict]:
    """Parameters by whether they are the encoder's and decay; vectors do not."""
    groups: dict[tuple, list] = {}
    for name, value in network.named_parameters():
        key = (name.startswith("encoder."), value.ndim > 1)
        groups.setdefault(key, []).append(value)
    return [
        {
            "params": values,
            "weight_decay": decay if matrices else 0.0,
            "of_encoder": of_encoder,
        }
        for (of_encoder, matrices), values in groups.items()
    ]


def optimizer_of(network: nn.Module, rate: float, decay: float) -> torch.optim.Optimizer:
    """AdamW: the encoder at a third of the rate, no decay of vectors."""
    groups = optimizer_groups(network, decay)
    for group in groups:
        group["base"] = rate / 3 if group.pop("of_encoder") else rate
    return torch.optim.AdamW(groups, lr=rate, fused=DEVICE.type == "cuda")


def train(network: nn.Module, step, schedule: Schedule, given) -> Average:
    """Run steps until the schedule ends; `step` returns the loss of a new batch."""
    optimizer = optimizer_of(network, given.rate, given.decay)
    average = Average(network, given.momentum)
    total, since = 0.0, 0
    while schedule.progress() < 1:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * schedule.rate()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
            loss = step()
        loss.backward()
        optimizer.step()
        average.update(network)
        schedule.taken += 1
        total, since = total + loss.detach(), since + 1
        if schedule.taken % given.every == 0:
            value, passed = float(total) / since, time.monotonic() - schedule.start
            print(
                f"{given.output.stem}: step {schedule.taken} loss {value:.4f} {passed:.0f} s",
                flush=True,
            )
            total, since = 0.0, 0
    average.apply(network)
    return average


def restore_statistics(network: nn.Module, forward, batches: int = 60) -> None:
    """Estimate the statistics of batch normalisation anew for the averaged weights."""
    layers = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    before = [each.momentum for each in layers]
    for each in layers:
        each.reset_running_stats()
        each.momentum = None
    network.train()
    with torch.no_grad():
        for _ in range(batches):
            forward()
    for each, momentum in zip(layers, before):
        each.momentum = momentum
    network.eval()


class Batches:
    """Endless shuffled rows; with labels, equally many of each class in expectation."""

    def __init__(self, rows: np.ndarray, size: int, labels: np.ndarray | None = None, power=1.0):
        self.rows, self.size = torch.from_numpy(rows).to(DEVICE), size
        self.weights, self.queue = None, self.rows[:0]
        if labels is not None:
            frequency = np.bincount(labels, minlength=CLASSES)[labels].astype(float)
            self.weights = torch.from_numpy(frequency**-power).to(DEVICE)

    def next(self) -> torch.Tensor:
        if self.weights is not None:
            return self.rows[torch.multinomial(self.weights, self.size, replacement=True)]
        if len(self.queue) < self.size:
            self.queue = self.rows[torch.randperm(len(self.rows), device=DEVICE)]
        rows, self.queue = self.queue[: self.size], self.queue[self.size :]
        return rows


def eight_views(images: torch.Tensor) -> list[torch.Tensor]:
    """The images under the symmetries of the square."""
    views = [images, images.flip(3)]
    views += [view.flip(2) for view in views]
    return views + [view.transpose(2, 3) for view in views]


# Segmenter


def overlap_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus one minus the soft Jaccard index of each image."""
    probability = torch.sigmoid(logits)
    axes = (1, 2, 3)
    both = (probability * masks).sum(axes)
    either = (probability + masks).sum(axes) - both
    jaccard = (both + 1) / (either + 1)
    return functional.binary_cross_entropy_with_logits(logits, masks) + (1 - jaccard).mean()


def segment(network: nn.Module, images: torch.Tensor, size_px: int) -> torch.Tensor:
    """Probabilities of whole images, averaged over four mirror images."""
    squares = functional.interpolate(images.float(), (size_px, size_px), mode="area")
    found = 0
    for view in ((), (3,), (2,), (2, 3)):
        seen = squares.flip(view) if view else squares
        probability = torch.sigmoid(network(seen))
        found = found + (probability.flip(view) if view else probability)
    return found / 4


def jaccard(network: nn.Module, data: Data, rows: np.ndarray, size_px: int) -> np.ndarray:
    """The Jaccard index of each image, on squares of the packed size."""
    values = []
    network.eval()
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            chosen = torch.from_numpy(rows[start : start + 64]).to(DEVICE)
            found = segment(network, data.images[chosen], size_px)
            found = functional.interpolate(found, (data.side, data.side), mode="bilinear") > 0.5
            truth = data.masks[chosen] > 0
            axes = (1, 2, 3)
            values.append((found & truth).sum(axes) / (found | truth).sum(axes))
    return torch.cat(values).cpu().numpy()


def train_segmenter(data: Data, given) -> tuple[nn.Module, dict]:
    network = networks.Segmenter(given.variant)
    initialise(network, given)
    rows = np.flatnonzero(data.parts == "training")
    held_out = rows[:0]
    if given.folds:
        folds = data.folds(given.folds)
        held_out = np.array([r for r in data.first_copies() if folds[r] == given.fold])
        held_out = held_out[data.parts[held_out] == "training"]
        rows = rows[folds[rows] != given.fold]
    batches = Batches(rows, given.batch_size)

    def forward() -> tuple[torch.Tensor, torch.Tensor]:
        chosen = batches.next()
        views = augmentation.SEGMENTER
        images, masks = augmentation.random_views(
            data.images[chosen], data.masks[chosen], given.size, views
        )
        return network(images.contiguous(memory_format=given.memory_format)), masks

    schedule = Schedule(given.steps, given.seconds)
    train(network, lambda: overlap_loss(*forward()), schedule, given)
    restore_statistics(network, forward)
    scores = {"steps": schedule.taken, "images": len(rows)}
    names = {"held out": held_out, "validation": validation_rows(data)}
    for name, chosen in names.items():
        if len(chosen):
            for size_px in {given.size, given.size + 32, given.size - 32}:
                found = jaccard(network, data, chosen, size_px)
                scores[f"jaccard {name} ({len(chosen)}) at {size_px}"] = float(found.mean())
    return network, scores


def validation_rows(data: Data) -> np.ndarray:
    chosen = data.first_copies()
    return chosen[data.parts[chosen] == "validation"]


# Classifier


def tool_squares(images: torch.Tensor, size_px: int, stretch: float = 1.0) -> torch.Tensor:
    """What the classifier of the package sees: the central square of an image.

    Args:
        images: uint8 squares.
        size_px: side of the network's input.
        stretch: width over height of the copy that the package is given.
    """
    width = round(images.shape[-1] / stretch)
    left = (images.shape[-1] - width) // 2
    cut = images[..., left : left + width].float()
    return functional.interpolate(cut, (size_px, size_px), mode="bilinear", antialias=True)


def classify(network, data, rows, size_px, stretch=1.0) -> np.ndarray:
    """Logits averaged over eight views, float64 `(images, classes)`."""
    found = []
    network.eval()
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            chosen = torch.from_numpy(rows[start : start + 64]).to(DEVICE)
            squares = tool_squares(data.images[chosen], size_px, stretch)
            found.append(sum(network(view)[0] for view in eight_views(squares)) / 8)
    return torch.cat(found).double().cpu().numpy()


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """The rank statistic, ties counted half."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    first = np.searchsorted(ordered, scores, "left")
    last = np.searchsorted(ordered, scores, "right")
    ranks = (first + last + 1) / 2
    count = positive.sum()
    return float(
        (ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count))
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True)


def train_classifier(data: Data, given) -> tuple[nn.Module, dict]:
    network = networks.Classifier(given.variant)
    initialise(network, given)
    rows = data.first_copies()
    rows = rows[data.parts[rows] == "training"]
    held_out = rows[:0]
    folds = data.folds(given.folds) if given.folds else np.zeros(len(data.ids))
    if given.folds:
        held_out, rows = rows[folds[rows] == given.fold], rows[folds[rows] != given.fold]
    labels = data.labels.cpu().numpy()
    targets = functional.one_hot(data.labels, CLASSES).float()
    targets = (1 - given.smoothing) * targets + given.smoothing / CLASSES
    if given.soft_labels:
        targets = soften(targets, data, given)
    batches = Batches(rows, given.batch_size, labels[rows], given.balance)

    def forward() -> torch.Tensor:
        chosen = batches.next()
        images, masks = augmentation.random_views(
            data.images[chosen], data.masks[chosen], given.size, augmentation.CLASSIFIER
        )
        wanted = targets[chosen]
        if given.mixup:
            part = float(np.random.beta(given.mixup, given.mixup))
            images, masks, wanted = (
                torch.lerp(each.flip(0), each, part) for each in (images, masks, wanted)
            )
        logits, outline = network(images.contiguous(memory_format=given.memory_format))
        loss = -(wanted * functional.log_softmax(logits, 1)).sum(1).mean()
        small = functional.adaptive_avg_pool2d(masks, outline.shape[2:])
        return loss + given.outline * functional.binary_cross_entropy_with_logits(outline, small)

    schedule = Schedule(given.steps, given.seconds)
    train(network, forward, schedule, given)
    restore_statistics(network, forward)
    scores = {"steps": schedule.taken, "images": len(rows)}
    network.results = {}
    sets = {"held out": held_out, "validation": validation_rows(data)}
    for name, chosen in sets.items():
        if not len(chosen):
            continue
        for stretch in (1.0, 4 / 3):
            logits = classify(network, data, chosen, given.size, stretch)
            found = softmax(logits)
            melanoma = area_under_curve(found[:, 0], labels[chosen] == 0)
            keratosis = area_under_curve(found[:, 2], labels[chosen] == 2)
            text = f"{name} ({len(chosen)}) stretch {stretch:.2f}"
            scores[text] = [melanoma, keratosis, (melanoma + keratosis) / 2]
            network.results[f"{name} {stretch:.2f}"] = (data.ids[chosen], logits)
    return network, scores


def soften(targets: torch.Tensor, data: Data, given) -> torch.Tensor:
    """Average labels with what networks that had not seen an image say of it."""
    found = {}
    for path in given.soft_labels:
        with np.load(path) as stored:
            logits = (stored["held out 1.00"] + stored["held out 1.33"]) / 2
            for key, value in zip(stored["held out ids"], softmax(logits)):
                found.setdefault(str(key), []).append(value)
    softened = targets.clone()
    for row, key in enumerate(data.ids):
        if str(key) in found:
            soft = torch.from_numpy(np.mean(found[str(key)], 0)).float().to(DEVICE)
            softened[row] = torch.lerp(targets[row], soft, given.soft_fraction)
    print(f"soft labels of {len(found)} images", flush=True)
    return softened


# Both


def initialise(network: nn.Module, given) -> None:
    path = given.weights or PRETRAINED / f"efficientnet_{given.variant}.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    loaded = networks.load_keras_arrays(network, arrays)
    print(f"{path}: {loaded} arrays taken over", flush=True)
    network.to(DEVICE, memory_format=given.memory_format)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("segmenter", "classifier"))
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--variant", default="lite0")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--momentum", type=float, default=0.998)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--balance", type=float, default=1.0, help="1: equal; 0: as it is")
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--mixup", type=float, default=0.2)
    parser.add_argument("--outline", type=float, default=0.5, help="weight of the map's loss")
    parser.add_argument("--soft-labels", type=Path, nargs="*", default=[])
    parser.add_argument("--soft-fraction", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--channels-last", action="store_true")
    given = parser.parse_args()
    last = given.channels_last
    given.memory_format = torch.channels_last if last else torch.contiguous_format
    torch.manual_seed(given.seed)
    np.random.seed(given.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    data = Data(given.data, given.limit)
    print(f"{len(data.ids)} images of {data.side} px on {DEVICE}", flush=True)
    function = train_segmenter if given.kind == "segmenter" else train_classifier
    network, scores = function(data, given)
    arrays = networks.keras_arrays(network)
    for name, (ids, logits) in getattr(network, "results", {}).items():
        arrays[name] = logits
        arrays[f"{name.rsplit(' ', 1)[0]} ids"] = ids
    options = {name: str(value) for name, value in vars(given).items()}
    arrays["description"] = np.array(json.dumps({"options": options, "scores": scores}))
    np.savez(given.output, **arrays)
    print(given.output.name, json.dumps(scores), flush=True)


if __name__ == "__main__":
    main()
