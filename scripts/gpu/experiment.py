"""Train the arms of an experiment, several seeds side by side, in PyTorch on one accelerator.

    python scripts/gpu/experiment.py isic.npz isic_results.npz --arms tables --seconds 150
    python scripts/gpu/experiment.py isic.npz ruler_results.npz --arms shortcut --seeds 5

Every arm is trained with `--seeds` seeds from the ImageNet weights that ship with the package, all
with equally many steps: `--max-steps`, or fewer so that all arms fit into `--seconds`. The results
are written after each arm. `pack_experiment.py` makes the input, `experiment_scores.py` the tables.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import networks
import numpy as np
import torch
from experiment_data import ARMS, Arm, Images
from experiment_lanes import ON_GPU, Lane, make_lanes, seconds_of_round, train_together
from train import DEVICE


def keep(lane: Lane, arm: Arm, seed: int, steps: int) -> None:
    """Write a network as float16, for `convert.py`."""
    given, images = lane.given, lane.images
    options = {
        "kind": "classifier", "variant": given.variant, "size": images.side, "mixup": 0.0,
        "batch_size": given.batch_size, "rate": given.rate, "decay": given.decay,
        "smoothing": given.smoothing, "seed": seed, "arm": arm.name,
    }  # fmt: skip
    described = {
        "options": {name: str(value) for name, value in options.items()},
        "scores": {"steps": steps, "images": len(images.divided(arm, seed)[0])},
    }
    arrays = networks.keras_arrays(lane.network)
    name = f"{arm.name} {seed}".replace(" ", "_").replace(",", "")
    np.savez_compressed(
        given.output.with_name(f"{given.output.stem}_{name}.npz"),
        description=np.array(json.dumps(described)),
        **{key: value.astype(np.float16) for key, value in arrays.items()},
    )


def write(given, images: Images, arrays: dict, steps: int, done: list[str]) -> None:
    """Write what is there so far."""
    plain = {name: str(value) for name, value in vars(given).items() if name != "arms"}
    plain["data"] = given.data.name
    about = {**images.description, "steps": steps, "options": plain, "arms": done}
    path = given.output.with_suffix(".part.npz")
    np.savez_compressed(path, description=np.array(json.dumps(about)), **arrays)
    path.replace(given.output)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--arms", choices=sorted(ARMS), required=True)
    parser.add_argument("--generated", type=Path, help="npz with `images` and `labels`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lanes", type=int, default=3, help="networks side by side")
    parser.add_argument("--trial", action="store_true", help="try precisions and layouts first")
    parser.add_argument("--variant", default="lite0")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--views", type=int, default=1, help="of each test image, up to 8")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--keep", action="store_true", help="write the networks of the last arm")
    given = parser.parse_args()
    given.lanes = min(given.lanes, given.seeds) if ON_GPU else 1
    given.arms = [
        arm for arm in ARMS[given.arms] if "generated" not in arm.training or given.generated
    ]
    return given


def main() -> None:
    begun = time.monotonic()
    given = parse()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    images = Images(given.data, given.generated)
    print(f"{len(images.names)} images, {len(images.pixels)} with copies, on {DEVICE}", flush=True)
    lanes = make_lanes(images, given)
    second = seconds_of_round(lanes, given.arms[-1])
    rounds = len(given.arms) * math.ceil(given.seeds / given.lanes)
    left = given.seconds - (time.monotonic() - begun)
    steps = min(given.max_steps, max(10, int(left / second / rounds)))
    print(f"{1000 * second:.1f} ms for {given.lanes} steps; {steps} steps each", flush=True)
    arrays = {"names": images.names, "labels": images.labels, "groups": images.groups}
    done: list[str] = []
    for arm in given.arms:
        for first in range(0, given.seeds, given.lanes):
            seeds = list(range(first, min(first + given.lanes, given.seeds)))
            train_together(lanes, arm, seeds, steps, given)
            for lane, seed in zip(lanes, seeds):
                testing = images.divided(arm, seed)[1]
                arrays[f"{arm.name}/{seed}/rows"] = testing
                for variant in arm.testing:
                    places = images.test_places(variant, testing)
                    arrays[f"{arm.name}/{seed}/{variant}"] = lane.predict(places)
                if given.keep and arm == given.arms[-1]:
                    keep(lane, arm, seed, steps)
        done.append(arm.name)
        write(given, images, arrays, steps, done)
    print(f"{given.output.name}: {steps} steps, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
