"""Train generative networks of Bisla et al. 2019, several at once, in PyTorch on one accelerator.

    python scripts/gpu/train_gan.py scripts/gpu/gan_trainings.json results --seconds 240

The file lists trainings: each is a name, a file that `pack_gan.py` wrote, and the settings of
`melanoma-tf train gan` or `train coupled-gan`. Each runs on a stream of its own; with `--graphs`
its steps are recorded once and replayed, which small networks need to keep an accelerator busy. The
file `ready` appears when all are set up. Writes `NAME.npz` of the checkpoint with the smallest
sliced Wasserstein distance to training images, `NAME.json` and `NAME.png`; `convert_gan.py` makes
them runs of the package.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import threading
import time
import traceback
from pathlib import Path

import cv2
import gan_measures
import gan_networks
import numpy as np
import torch
from gan_augmentation import augment
from gan_data import Packed, Training
from torch.nn import functional

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
STARTED = time.monotonic()
# "Two rounds of additional generator training after every 10th round" (Section 3.3.2).
ROUNDS, EXTRA_UPDATES = 10, 2
FIRST_SHARE, RISE_SHARE = 0.05, 0.03
WARM_UP = 4
AVERAGE_FROM = 200
SHOWN, TILE_PX = 10, 160
BATCHES_OF_STATISTICS = 40


class Run:
    """One training."""

    def __init__(self, training: Training, packed: Packed, given: argparse.Namespace):
        self.training, self.given = training, given
        size, classes = training.image_size_px, training.classes
        self.references = {name: packed.reference(name, size) for name in classes}
        self.real = [
            torch.from_numpy(reference.training).permute(0, 3, 1, 2).contiguous().to(DEVICE)
            for reference in self.references.values()
        ]
        kind = (len(classes), training.coupled, size)
        self.generator = self._placed(gan_networks.Generator(*kind, training.latent_size))
        self.discriminator = self._placed(
            gan_networks.Discriminator(*kind, training.spectral_normalization)
        )
        self.average = copy.deepcopy(self.generator)
        self.stream = torch.cuda.Stream() if DEVICE.type == "cuda" else None
        self.optimizers = {
            id(network): self._adam(network) for network in (self.generator, self.discriminator)
        }
        self.sums = torch.zeros(4, device=DEVICE)
        self.rounds, self.counted, self.history, self.shown = 0, 0, [], []
        self.best: dict[str, np.ndarray] = {}
        self.least_distance = math.inf
        self.replay, self.replay_extra = self.joint_round, self.extra_update
        self.start = time.monotonic()
        if self.stream is not None:
            torch.cuda.synchronize()

    def _placed(self, network):
        return network.to(DEVICE, memory_format=torch.channels_last).train()

    def _adam(self, network) -> torch.optim.Optimizer:
        fast = DEVICE.type == "cuda"
        rate = torch.tensor(self.training.learning_rate, device=DEVICE)
        return torch.optim.Adam(
            network.parameters(),
            lr=rate if fast else self.training.learning_rate,
            betas=(0.5, 0.999),
            eps=1e-7,
            capturable=fast,
            foreach=True,
        )

    def on_stream(self):
        return torch.cuda.stream(self.stream)

    # Steps

    def batch(self) -> torch.Tensor:
        """Real images, mirrored at random, `(batch, classes, 3, size, size)` in [-1, 1]."""
        chosen = []
        for images in self.real:
            rows = torch.randint(len(images), (self.training.batch_size,), device=DEVICE)
            some = images[rows].float() / 127.5 - 1.0
            mirror = torch.rand(2, len(some), 1, 1, 1, device=DEVICE) < 0.5
            some = torch.where(mirror[0], some.flip(3), some)
            chosen.append(torch.where(mirror[1], some.flip(2), some))
        return torch.stack(chosen, 1)

    def latents(self) -> torch.Tensor:
        return torch.randn(self.training.batch_size, self.training.latent_size, device=DEVICE)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        if self.training.differentiable_augmentation:
            images = augment(images.flatten(0, 1)).reshape(images.shape)
        return self.discriminator(images)

    def autocast(self):
        enabled = DEVICE.type == "cuda"
        return torch.autocast(DEVICE.type, torch.bfloat16, enabled=enabled, cache_enabled=False)

    def apply(self, loss: torch.Tensor, network) -> None:
        parameters = list(network.parameters())
        for each in parameters:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        # Into gradients that lie in memory as the weights do, which the optimizer's speed needs.
        wanted = [each.grad for each in parameters]
        torch._foreach_copy_(wanted, torch.autograd.grad(loss, parameters))
        self.optimizers[id(network)].step()

    def joint_round(self) -> None:
        """The discriminator first, then the generator against it."""
        with self.autocast():
            generated = self.generator(self.latents())
            on_real = self.logits(self.batch())
            on_generated = self.logits(generated.detach())
            real_loss = entropy(on_real, 1.0 - self.training.label_smoothing)
            discriminator_loss = real_loss + entropy(on_generated, 0.0)
        self.apply(discriminator_loss, self.discriminator)
        with self.autocast():
            generator_loss = entropy(self.logits(generated), 1.0)
        self.apply(generator_loss, self.generator)
        with torch.no_grad():
            found = [discriminator_loss, generator_loss]
            found += [torch.sigmoid(each).mean() for each in (on_real, on_generated)]
            self.sums.add_(torch.stack([each.detach() for each in found]))
            if self.training.average_momentum:
                values = list(self.average.parameters()), list(self.generator.parameters())
                torch._foreach_lerp_(*values, 1.0 - self.training.average_momentum)

    def extra_update(self) -> None:
        with self.autocast():
            loss = entropy(self.logits(self.generator(self.latents())), 1.0)
        self.apply(loss, self.generator)

    # The training

    def record(self) -> None:
        """Record both kinds of steps, so that each is one call."""
        with self.on_stream():
            for _ in range(WARM_UP):
                self.joint_round()
                self.extra_update()
        torch.cuda.synchronize()
        recorded = []
        for step in (self.joint_round, self.extra_update):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                step()
            recorded.append(graph)
        self.replay, self.replay_extra = (graph.replay for graph in recorded)
        self._try_recorded()

    def _try_recorded(self, steps: int = 20) -> None:
        before = [value.detach().clone() for value in self.generator.parameters()]
        self.sums.zero_()
        torch.cuda.synchronize()
        begun = time.monotonic()
        with self.on_stream():
            for _ in range(steps):
                self.replay()
            self.replay_extra()
        torch.cuda.synchronize()
        seconds = (time.monotonic() - begun) / steps
        pairs = zip(before, self.generator.parameters())
        moved = max(float((now - then).detach().abs().max()) for then, now in pairs)
        print(f"{self.training.name}: {1000 * seconds:.2f} ms a step, moved by {moved:.2g}")
        if not (math.isfinite(float(self.sums.sum())) and moved > 0.0):
            raise SystemExit(f"{self.training.name}: expected the recorded steps to train")

    def progress(self) -> float:
        by_time = 0.0
        if self.given.seconds:
            left = STARTED + self.given.seconds - self.start
            by_time = (time.monotonic() - self.start) / max(left, 1e-3)
        return max(by_time, self.rounds / self.given.steps if self.given.steps else 0.0)

    def set_rate(self, progress: float) -> None:
        rate = self.training.learning_rate
        if self.training.schedule == "cosine":
            rise = progress / RISE_SHARE
            fall = (progress - RISE_SHARE) / (1 - RISE_SHARE)
            down = 0.5 * (1 + math.cos(math.pi * min(1.0, fall)))
            rate *= FIRST_SHARE + (1 - FIRST_SHARE) * rise if rise < 1 else down
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def train(self) -> None:
        self.start = time.monotonic()
        self.sums.zero_()
        marks = [(each + 1) / self.given.checkpoints for each in range(self.given.checkpoints - 1)]
        while (progress := self.progress()) < 1:
            if self.rounds % 16 == 0:
                self.set_rate(progress)
            self.replay()
            self.rounds += 1
            if self.rounds % ROUNDS == 0:
                for _ in range(EXTRA_UPDATES):
                    self.replay_extra()
            if self.rounds == AVERAGE_FROM:
                self.forget_average()
            if self.stream is not None and self.rounds % 32 == 0:
                self.stream.synchronize()  # The host would otherwise run ahead.
            if marks and progress >= marks[0]:
                marks.pop(0)
                self.examine(progress)
                self.write()
        self.examine(1.0)
        self.write()

    def forget_average(self) -> None:
        """Begin the average anew, at the present weights."""
        with torch.no_grad():
            values = list(self.average.parameters()), list(self.generator.parameters())
            torch._foreach_copy_(*values)

    # Checkpoints

    def images(self) -> np.ndarray:
        """Images of the averaged weights, uint8 `(count, classes, size, size, 3)`."""
        random = torch.Generator().manual_seed(self.training.seed + 1)
        network, parts = self.average, []
        layers = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
        for each in layers:
            each.reset_running_stats()
            each.momentum = None  # The plain mean of all batches.

        def draw() -> torch.Tensor:
            latents = torch.randn(64, self.training.latent_size, generator=random)
            return latents.to(DEVICE)

        with torch.no_grad():
            network.train()
            for _ in range(self.given.statistics):
                network(draw())
            network.eval()
            for _ in range(math.ceil(gan_measures.COMPARED / 64)):
                scaled = ((network(draw()) + 1) * 127.5).clamp(0, 255).round()
                parts.append(scaled.byte().permute(0, 1, 3, 4, 2).cpu().numpy())
        return np.concatenate(parts)[: gan_measures.COMPARED]

    def sample(self) -> dict[str, np.ndarray]:
        """A few pixels of a few images, by which `convert_gan.py` checks what it made."""
        random = torch.Generator().manual_seed(self.training.seed)
        latents = torch.randn(4, self.training.latent_size, generator=random)
        with torch.no_grad():
            images = self.average(latents.to(DEVICE))[..., ::8, ::8].permute(0, 1, 3, 4, 2)
        return {"latents": latents.numpy(), "pixels": images.float().cpu().numpy()}

    def examine(self, progress: float) -> None:
        """Measure, report, and keep the weights if they are the best so far."""
        if not self.training.average_momentum:
            self.forget_average()
        images = self.images()
        found = [
            gan_measures.measures(images[:, index], reference)
            for index, reference in enumerate(self.references.values())
        ]
        row = {"progress": round(progress, 3), "rounds": self.rounds}
        row["seconds"] = round(time.monotonic() - STARTED, 1)
        steps = max(1, self.rounds - self.counted)
        names = ("d_loss", "g_loss", "d_real", "d_generated")
        row.update(zip(names, (self.sums / steps).tolist()))
        row.update({key: float(np.mean([each[key] for each in found])) for key in found[0]})
        row["by_class"] = dict(zip(self.references, found))
        self.sums.zero_()
        self.counted = self.rounds
        finite = all(math.isfinite(row[key]) for key in ("d_loss", "g_loss", "swd"))
        if finite and row["swd"] < self.least_distance:
            self.least_distance = row["swd"]
            self.best = {
                **gan_networks.keras_arrays(self.average),
                **gan_networks.keras_arrays(self.discriminator),
                **self.sample(),
            }
            row["kept"] = True
        self.history.append(row)
        self.shown.append((f"{progress:.0%}: {row['swd']:.0f}", images[:SHOWN].copy()))
        text = " ".join(f"{key} {row[key]:.3g}" for key in (*names, *found[0]))
        print(f"{self.training.name}: {progress:.0%} rounds {self.rounds} {text}", flush=True)

    def write(self) -> None:
        folder, name = self.given.output, self.training.name
        floors = {
            key: {"swd": each.floor, "minimal_mse": each.minimal_mse, "images": len(each.training)}
            for key, each in self.references.items()
        }
        options = dataclasses.asdict(self.training)
        description = {"training": options, "rounds": self.rounds, "real": floors}
        description["history"] = self.history
        text = json.dumps(description, indent=1)
        (folder / f"{name}.json").write_text(text)
        arrays = {key: value.astype(np.float16) for key, value in self.best.items()}
        np.savez(folder / f"{name}.npz", description=np.array(text), **arrays)
        sheet = gan_measures.sheet(self.rows(), TILE_PX)
        cv2.imwrite(str(folder / f"{name}.png"), sheet[..., ::-1])

    def rows(self) -> list[tuple[str, list[np.ndarray]]]:
        """Titles and images of three checkpoints; coupled classes side by side."""
        count = len(self.shown)
        places = [max(0, math.ceil(part * count) - 1) for part in (0.25, 0.5, 1.0)]
        first, second, last = (self.shown[each] for each in places)
        title = f"{self.training.name}, distance at"
        if len(self.training.classes) > 1:
            rows = [(second, 0), (last, 0), (last, 1)]
            return [(f"{title} {each[0]}", list(each[1][latent])) for each, latent in rows]
        tiles = [*first[1][:2, 0], *second[1][2:4, 0], *last[1][4:, 0]]
        return [(f"{title} {first[0]} (2), {second[0]} (2), {last[0]} (6)", tiles)]


def entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def in_thread(run: Run, failed: list[str]) -> None:
    try:
        with run.on_stream():
            run.train()
    except Exception:
        failed.append(run.training.name)
        print(f"{run.training.name}: {traceback.format_exc()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trainings", type=Path, help="list of trainings")
    parser.add_argument("output", type=Path, help="folder for the results")
    parser.add_argument("--only", action="append", help="name of a training; default: all")
    parser.add_argument("--seconds", type=float, default=0.0, help="since the start of the process")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--checkpoints", type=int, default=8)
    parser.add_argument("--statistics", type=int, default=BATCHES_OF_STATISTICS)
    parser.add_argument("--graphs", action="store_true")
    given = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    trainings = [
        Training(**{**each, "classes": tuple(each["classes"])})
        for each in json.loads(given.trainings.read_text())
    ]
    chosen = [each for each in trainings if not given.only or each.name in given.only]
    given.output.mkdir(parents=True, exist_ok=True)
    packed: dict[str, Packed] = {}
    runs = []
    for each in chosen:
        torch.manual_seed(each.seed)
        if each.packed not in packed:
            packed[each.packed] = Packed(given.trainings.parent / each.packed)
        runs.append(Run(each, packed[each.packed], given))
        if given.graphs:
            runs[-1].record()
        print(f"{each.name}: ready after {time.monotonic() - STARTED:.1f} s", flush=True)
    (given.output / "ready").write_text(f"{time.monotonic() - STARTED:.1f}\n")
    failed: list[str] = []
    threads = [threading.Thread(target=in_thread, args=(run, failed)) for run in runs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
