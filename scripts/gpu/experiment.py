"""Train the arms of an experiment side by side, in PyTorch on one accelerator.

    python scripts/gpu/experiment.py isic.npz isic_results.npz --arms tables --seconds 150
    python scripts/gpu/experiment.py isic.npz ruler_results.npz --arms shortcut --seconds 60

Every arm is trained with `--seeds` seeds from the ImageNet weights that ship with the package. All
networks take turns, a step each, so that they get equally many steps and see the same schedule: a
half cosine over `--seconds`. `pack_experiment.py` makes the input, `experiment_scores.py` the
tables.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import augmentation
import cv2
import networks
import numpy as np
import torch
from torch.nn import functional
from train import DEVICE, PRETRAINED, Schedule, optimizer_groups

AUGMENT = augmentation.Views((0.7, 1.0), (0.85, 1.18), 0.6, 0.4, 0.0, 0.0, 0.0)
LANES = 3
FOLDS = 5


@dataclass(frozen=True)
class Arm:
    """What one network learns from.

    Attributes:
        name: of the arm.
        training: names of the variants of the training images that are learned from.
        testing: names of the variants of the test images that are predicted.
        augment: whether views are drawn at random.
        balance: whether all classes are drawn equally often.
        folds: whether a fifth of the training images, another for each seed, is tested on.
    """

    name: str
    training: tuple[str, ...] = ("raw",)
    testing: tuple[str, ...] = ("raw", "network", "classical")
    augment: bool = True
    balance: bool = False
    folds: bool = False


_RULERS = ("raw", "network", "ruler on nevi", "ruler on nevi, network")
ARMS = {
    "tables": (
        Arm("baseline", augment=False),
        Arm("augmented"),
        Arm("balanced", balance=True),
        Arm("purified", ("raw", "purified copies")),
        Arm("generated", ("raw", "generated")),
        Arm("all", ("raw", "purified copies", "generated"), balance=True),
    ),
    "shortcut": (
        Arm("no ruler", ("raw",), _RULERS, balance=True, folds=True),
        Arm("ruler", ("ruler on melanomas",), _RULERS, balance=True, folds=True),
        Arm("ruler, purified", ("ruler on melanomas, network",), _RULERS, balance=True, folds=True),
    ),
}


class Images:
    """All variants of the images of a packed file, on the accelerator.

    A variant that has no copy of an image shows the image as it is, except those of `ADDED`, which
    hold only what they have.
    """

    ADDED = ("purified copies", "generated")

    def __init__(self, path: Path, generated: Path | None):
        with np.load(path) as stored:
            self.description = json.loads(str(stored["description"]))
            self.names, self.labels = stored["names"], stored["labels"]
            self.is_test = stored["is_test"]
            kept = {
                name: [stored[f"{name} {part}"] for part in ("rows", "sizes", "images")]
                for name in self.description["variants"]
            }
        self.pixels, self.pixel_labels = [], []
        self.rows: dict[str, np.ndarray] = {}
        self.side = self.description["size"]
        for name, (rows, sizes, encoded) in kept.items():
            start = len(self.pixels)
            for chunk in np.split(encoded, np.cumsum(sizes)[:-1]):
                self.pixels.append(cv2.imdecode(chunk, cv2.IMREAD_COLOR)[..., ::-1])
            self.pixel_labels += self.labels[rows].tolist()
            places = np.full(len(self.names), -1) if name in self.ADDED else self.raw_places()
            places[rows] = start + np.arange(len(rows))
            self.rows[name] = places
        self.extra: np.ndarray = np.zeros(0, np.int64)
        if generated:
            with np.load(generated) as stored:
                added, labels = stored["images"], stored["labels"]
            start = len(self.pixels)
            for image in added:
                size = (self.side, self.side)
                self.pixels.append(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))
            self.pixel_labels += labels.tolist()
            self.extra = start + np.arange(len(added))
        stacked = np.ascontiguousarray(np.stack(self.pixels).transpose(0, 3, 1, 2))
        self.pixels = torch.from_numpy(stacked).to(DEVICE)
        self.pixel_labels = torch.tensor(self.pixel_labels, device=DEVICE)

    def raw_places(self) -> np.ndarray:
        return self.rows["raw"].copy() if "raw" in self.rows else np.zeros(len(self.names), int)

    def places(self, variants: tuple[str, ...], chosen: np.ndarray) -> np.ndarray:
        """Rows of `pixels` that show the chosen images in these variants."""
        found = []
        for name in variants:
            if name == "generated":
                found.append(self.extra)
            else:
                places = self.rows[name][chosen]
                found.append(places[places >= 0])
        return np.concatenate(found)


@dataclass
class Run:
    """One network in training, and its static buffers."""

    arm: Arm
    seed: int
    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    order: torch.Tensor
    testing: np.ndarray
    chosen: torch.Tensor
    loss: torch.Tensor
    graph: torch.cuda.CUDAGraph | None = None


def order_of(places: np.ndarray, labels: np.ndarray, balance: bool, shape, seed: int):
    """Rows of `pixels` for every step, `(steps, batch)`: whole passes, or equal classes."""
    rng = np.random.default_rng(seed)
    count = shape[0] * shape[1]
    if balance:
        weights = 1.0 / np.bincount(labels)[labels]
        drawn = rng.choice(places, count, p=weights / weights.sum())
    else:
        passes = [rng.permutation(places) for _ in range(-(-count // len(places)))]
        drawn = np.concatenate(passes)[:count]
    return torch.from_numpy(drawn.reshape(shape)).to(DEVICE)


def folds_of(labels: np.ndarray) -> np.ndarray:
    """The fold of each image, stratified by class."""
    found = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        found[np.random.default_rng(label).permutation(rows)] = np.arange(len(rows)) % FOLDS
    return found


def make_run(arm: Arm, seed: int, images: Images, given, rates: dict) -> Run:
    torch.manual_seed(seed)
    classes = len(images.description["classes"])
    network = networks.Classifier(given.variant, classes)
    with np.load(PRETRAINED / f"efficientnet_{given.variant}.npz") as stored:
        networks.load_keras_arrays(network, {name: stored[name] for name in stored.files})
    network.to(DEVICE, memory_format=given.memory_format).train()
    training = np.flatnonzero(~images.is_test)
    testing = np.flatnonzero(images.is_test)
    if arm.folds:
        folds = folds_of(images.labels)[training]
        training, testing = training[folds != seed % FOLDS], training[folds == seed % FOLDS]
    places = images.places(arm.training, training)
    labels = images.pixel_labels[torch.from_numpy(places).to(DEVICE)].cpu().numpy()
    shape = (given.max_steps, given.batch_size)
    groups = optimizer_groups(network, given.decay)
    for group in groups:
        group["lr"] = rates["encoder" if group.pop("of_encoder") else "head"]
    optimizer = torch.optim.AdamW(groups, capturable=DEVICE.type == "cuda")
    chosen = torch.from_numpy(places[: given.batch_size].copy()).to(DEVICE)
    order = order_of(places, labels, arm.balance, shape, seed)
    loss = torch.zeros((), device=DEVICE)
    return Run(arm, seed, network, optimizer, order, testing, chosen, loss)


def step(run: Run, images: Images, given) -> None:
    """One step on the batch whose rows are in `run.chosen`."""
    pixels, labels = images.pixels[run.chosen], images.pixel_labels[run.chosen]
    if run.arm.augment:
        blank = torch.zeros_like(pixels[:, :1])
        seen, _ = augmentation.random_views(pixels, blank, images.side, AUGMENT)
    else:
        seen = pixels.float()
    run.optimizer.zero_grad(set_to_none=True)
    enabled = given.precision == "bf16"
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=enabled, cache_enabled=False):
        logits, _ = run.network(seen.contiguous(memory_format=given.memory_format))
    loss = functional.cross_entropy(logits, labels, label_smoothing=given.smoothing)
    loss.backward()
    run.optimizer.step()
    run.loss.copy_(loss.detach())


def capture(run: Run, images: Images, given, pool, stream) -> None:
    """Record a step as a CUDA graph; its memory comes from the pool of its lane."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            step(run, images, given)
    stream.synchronize()
    run.graph = torch.cuda.CUDAGraph()
    run.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(run.graph, pool=pool, stream=stream):
        step(run, images, given)


def fastest(images: Images, given) -> None:
    """Choose the precision and memory layout that take the least time here."""
    rates = {name: torch.tensor(0.0, device=DEVICE) for name in ("encoder", "head")}
    times = {}
    for precision in ("bf16", "tf32"):
        for layout in (torch.contiguous_format, torch.channels_last):
            given.precision, given.memory_format = precision, layout
            run = make_run(Arm("trial"), 0, images, given, rates)
            for _ in range(6):
                step(run, images, given)
            torch.cuda.synchronize()
            start = time.monotonic()
            for _ in range(10):
                step(run, images, given)
            torch.cuda.synchronize()
            times[precision, layout] = (time.monotonic() - start) / 10
    print({f"{p} {m}": f"{1000 * s:.1f} ms" for (p, m), s in times.items()}, flush=True)
    given.precision, given.memory_format = min(times, key=times.get)


def train(runs: list[Run], images: Images, given, rates: list[dict]) -> int:
    """Let all networks take turns until the time or the steps are used up."""
    on_gpu = DEVICE.type == "cuda"
    graphs = on_gpu and not given.eager
    streams = [torch.cuda.Stream() for _ in range(LANES)] if on_gpu else [None]
    if graphs:
        pools = [torch.cuda.graph_pool_handle() for _ in range(LANES)]
        for index, run in enumerate(runs):
            lane = index % LANES
            capture(run, images, given, pools[lane], streams[lane])
        torch.cuda.synchronize()
        print(f"captured; {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)
    schedule = Schedule(given.max_steps, given.seconds)
    while schedule.progress() < 1:
        rate = given.rate * schedule.rate()
        for index, run in enumerate(runs):
            lane = index % LANES if on_gpu else 0
            with torch.cuda.stream(streams[lane]):
                if index < LANES:
                    rates[lane]["head"].fill_(rate)
                    rates[lane]["encoder"].fill_(rate / 3)
                run.chosen.copy_(run.order[schedule.taken])
                if run.graph:
                    run.graph.replay()
                else:
                    step(run, images, given)
        schedule.taken += 1
        if on_gpu and schedule.taken % 4 == 0:
            torch.cuda.synchronize()
        if schedule.taken % given.every == 0:
            losses = [float(run.loss) for run in runs]
            passed = time.monotonic() - schedule.start
            print(f"step {schedule.taken} losses {np.round(losses, 3)} {passed:.0f} s", flush=True)
    return schedule.taken


def predict(run: Run, images: Images, variant: str) -> np.ndarray:
    """Logits of the test images in one variant, float32 `(images, classes)`."""
    name, _, purified = variant.partition(", ")
    places = images.places((name if name in images.rows else "raw",), run.testing)
    if name == "ruler on nevi":
        copy = "ruler, network" if purified else "ruler"
        other = "network" if purified else "raw"
        nevus = images.description["classes"].index("nevus")
        with_ruler = images.places((copy,), run.testing)
        without = images.places((other,), run.testing)
        places = np.where(images.labels[run.testing] == nevus, with_ruler, without)
    run.network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(places), 256):
            rows = torch.from_numpy(places[start : start + 256]).to(DEVICE)
            found.append(run.network(images.pixels[rows].float())[0])
    return torch.cat(found).float().cpu().numpy()


def add_mixed_variants(images: Images) -> None:
    """Training variants of the planted shortcut: a ruler on melanomas only."""
    if "ruler" not in images.rows:
        return
    melanoma = images.labels == images.description["classes"].index("melanoma")
    for suffix, plain in (("", "raw"), (", network", "network")):
        images.rows[f"ruler on melanomas{suffix}"] = np.where(
            melanoma, images.rows[f"ruler{suffix}"], images.rows[plain]
        )


def keep(run: Run, given, images: Images, taken: int) -> None:
    """Write a network as float16, for `convert.py`."""
    options = {
        "kind": "classifier", "variant": given.variant, "size": images.side, "mixup": 0.0,
        "batch_size": given.batch_size, "rate": given.rate, "decay": given.decay,
        "smoothing": given.smoothing, "seed": run.seed, "arm": run.arm.name,
    }  # fmt: skip
    described = {
        "options": {name: str(value) for name, value in options.items()},
        "scores": {"steps": taken, "images": len(torch.unique(run.order))},
    }
    arrays = networks.keras_arrays(run.network)
    name = run.arm.name.replace(" ", "_").replace(",", "")
    path = given.output.with_name(f"{given.output.stem}_{name}.npz")
    np.savez_compressed(
        path,
        description=np.array(json.dumps(described)),
        **{key: value.astype(np.float16) for key, value in arrays.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--arms", choices=sorted(ARMS), required=True)
    parser.add_argument("--generated", type=Path, help="npz with `images` and `labels`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variant", default="lite0")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--eager", action="store_true", help="without CUDA graphs")
    parser.add_argument("--keep", nargs="*", default=[], help="arms whose first network is kept")
    given = parser.parse_args()
    given.precision, given.memory_format = "fp32", torch.contiguous_format
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    images = Images(given.data, given.generated)
    add_mixed_variants(images)
    print(f"{len(images.names)} images, {len(images.pixels)} with copies, on {DEVICE}", flush=True)
    if DEVICE.type == "cuda":
        fastest(images, given)
    rates = [
        {name: torch.tensor(0.0, device=DEVICE) for name in ("encoder", "head")}
        for _ in range(LANES)
    ]
    arms = [arm for arm in ARMS[given.arms] if "generated" not in arm.training or given.generated]
    wanted = [(arm, seed) for arm in arms for seed in range(given.seeds)]
    runs = [
        make_run(arm, seed, images, given, rates[index % LANES if DEVICE.type == "cuda" else 0])
        for index, (arm, seed) in enumerate(wanted)
    ]
    taken = train(runs, images, given, rates)
    arrays = {"names": images.names, "labels": images.labels}
    for run in runs:
        arrays[f"{run.arm.name}/{run.seed}/rows"] = run.testing
        for variant in run.arm.testing:
            key = f"{run.arm.name}/{run.seed}/{variant}"
            arrays[key] = predict(run, images, variant)
        if run.arm.name in given.keep and run.seed == 0:
            keep(run, given, images, taken)
    plain = {name: str(value) for name, value in vars(given).items()}
    plain["data"] = given.data.name
    about = {**images.description, "steps": taken, "options": plain, "arms": [a.name for a in arms]}
    np.savez_compressed(given.output, description=np.array(json.dumps(about)), **arrays)
    print(f"{given.output.name}: {taken} steps of {len(runs)} networks", flush=True)


if __name__ == "__main__":
    main()
