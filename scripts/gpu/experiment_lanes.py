"""Networks in training side by side, each on a stream of its own, for `experiment.py`."""

from __future__ import annotations

import time

import augmentation
import networks
import numpy as np
import torch
from experiment_data import Arm, Images
from torch.nn import functional
from train import DEVICE, PRETRAINED, eight_views, optimizer_groups

ON_GPU = DEVICE.type == "cuda"
WARM_UP, TRIAL_STEPS = 3, 20
PREDICTED_AT_ONCE = 256


class Lane:
    """A network that is trained again and again, from the same weights, by recorded steps."""

    def __init__(self, images: Images, given, precision: str, layout: torch.memory_format):
        self.images, self.given = images, given
        self.precision, self.layout = precision, layout
        self.network = networks.Classifier(given.variant, len(images.description["classes"]))
        with np.load(PRETRAINED / f"efficientnet_{given.variant}.npz") as stored:
            networks.load_keras_arrays(self.network, {key: stored[key] for key in stored.files})
        self.network.to(DEVICE, memory_format=layout).train()
        self.initial = [value.detach().clone() for value in self.network.state_dict().values()]
        self.rates = {name: torch.zeros((), device=DEVICE) for name in ("encoder", "head")}
        groups = optimizer_groups(self.network, given.decay)
        for group in groups:
            group["lr"] = self.rates["encoder" if group.pop("of_encoder") else "head"]
        self.optimizer = torch.optim.AdamW(groups, capturable=ON_GPU)
        self.chosen = torch.zeros(given.batch_size, dtype=torch.long, device=DEVICE)
        self.loss = torch.zeros((), device=DEVICE)
        self.stream = torch.cuda.Stream() if ON_GPU else None
        self.graphs: dict[augmentation.Views | None, torch.cuda.CUDAGraph] = {}

    def restart(self, seed: int) -> None:
        """Back to the ImageNet weights, with new random weights of the last layer."""
        torch.manual_seed(seed)
        last = self.network.layers["logits"]
        fresh = torch.nn.Linear(last.in_features, last.out_features)
        with torch.no_grad():
            for value, initial in zip(self.network.state_dict().values(), self.initial):
                value.copy_(initial)
            last.weight.copy_(fresh.weight)
            last.bias.copy_(fresh.bias)
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()
        self.network.train()

    def step(self, views: augmentation.Views | None) -> None:
        """One step on the batch whose rows are in `chosen`."""
        pixels, labels = self.images.pixels[self.chosen], self.images.pixel_labels[self.chosen]
        if views is None:
            seen = pixels.float()
        else:
            blank = torch.zeros_like(pixels[:, :1])
            seen, _ = augmentation.random_views(pixels, blank, self.images.side, views)
        self.optimizer.zero_grad(set_to_none=True)
        half = self.precision == "bf16"
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=half, cache_enabled=False):
            logits, _ = self.network(seen.contiguous(memory_format=self.layout))
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.given.smoothing)
        loss.backward()
        self.optimizer.step()
        self.loss.copy_(loss.detach())

    def record(self, views: augmentation.Views | None) -> None:
        """Record a step as a CUDA graph."""
        if not ON_GPU or views in self.graphs:
            return
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self.step(views)
        self.stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph, stream=self.stream):
            self.step(views)
        self.graphs[views] = graph

    def take(self, rows: torch.Tensor, rate: float, views: augmentation.Views | None) -> None:
        """One step on these rows; on a GPU it is only begun."""
        with torch.cuda.stream(self.stream):
            self.rates["head"].fill_(rate)
            self.rates["encoder"].fill_(rate / 3)
            self.chosen.copy_(rows)
            if ON_GPU:
                self.graphs[views].replay()
            else:
                self.step(views)

    def predict(self, places: np.ndarray) -> np.ndarray:
        """Logits of rows of the images, mean over `--views` views, float32 `(rows, classes)`."""
        self.network.eval()
        found = []
        with torch.no_grad():
            for start in range(0, len(places), PREDICTED_AT_ONCE):
                rows = torch.from_numpy(places[start : start + PREDICTED_AT_ONCE]).to(DEVICE)
                views = eight_views(self.images.pixels[rows].float())[: self.given.views]
                seen = [each.contiguous(memory_format=self.layout) for each in views]
                found.append(sum(self.network(each)[0] for each in seen) / len(seen))
        return torch.cat(found).float().cpu().numpy()


def make_lanes(images: Images, given) -> list[Lane]:
    """Lanes of the precision and layout that were asked for, or of the fastest here."""
    if not ON_GPU:
        return [Lane(images, given, "fp32", torch.contiguous_format)]
    if not given.trial:
        return [Lane(images, given, "bf16", torch.channels_last) for _ in range(given.lanes)]
    kinds = [("bf16", torch.channels_last), ("bf16", torch.contiguous_format)]
    kinds += [("tf32", torch.channels_last)]
    times = {}
    for kind in kinds:
        lanes = [Lane(images, given, *kind) for _ in range(given.lanes)]
        times[kind] = (1000 * seconds_of_round(lanes, given.arms[-1]), lanes)
    print({f"{p} {m}": f"{ms:.1f} ms" for (p, m), (ms, _) in times.items()}, flush=True)
    return min(times.values(), key=lambda each: each[0])[1]


def seconds_of_round(lanes: list[Lane], arm: Arm) -> float:
    """Time in which each lane takes a step."""
    for lane in lanes:
        lane.record(arm.views)
    rows = torch.zeros_like(lanes[0].chosen)
    steps = TRIAL_STEPS if ON_GPU else 1
    begun = time.monotonic()
    for _ in range(steps):
        for lane in lanes:
            lane.take(rows, 0.0, arm.views)
    if ON_GPU:
        torch.cuda.synchronize()
    return (time.monotonic() - begun) / steps


def train_together(lanes: list[Lane], arm: Arm, seeds: list[int], steps: int, given) -> None:
    """Train one arm from several seeds, a lane each: a short rise, then a half cosine."""
    lanes = lanes[: len(seeds)]
    orders = []
    for lane, seed in zip(lanes, seeds):
        lane.record(arm.views)
        lane.restart(seed)
        orders.append(lane.images.order(arm, seed, steps, given.batch_size))
    if ON_GPU:
        torch.cuda.synchronize()
    begun = time.monotonic()
    rise = min(100, steps // 10)
    for taken in range(steps):
        falling = 0.5 * (1 + np.cos(np.pi * taken / steps))
        rate = given.rate * min(1.0, (taken + 1) / (rise + 1)) * falling
        for lane, order in zip(lanes, orders):
            lane.take(order[taken], rate, arm.views)
        if ON_GPU and taken % 8 == 7:
            torch.cuda.synchronize()  # The host would otherwise run ahead.
    if ON_GPU:
        torch.cuda.synchronize()
    losses = [round(float(lane.loss), 3) for lane in lanes]
    print(f"{arm.name} {seeds}: losses {losses}, {time.monotonic() - begun:.0f} s", flush=True)
