"""Draw images from networks that `train_gan.py` trained, for `experiment.py --generated`.

    python scripts/gpu/sample_gan.py results generated.npz --packs packs --size 160 \\
        --classes melanoma nevus seborrheic_keratosis \\
        --draw melanoma=350 --draw seborrheic_keratosis=750

Of the trainings of a class, the one is taken whose sliced Wasserstein distance is smallest in
proportion to that of real images. An image that is nearer to a training image than the first
percentile of the distances between training images is left out, as by the novelty filter.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import gan_networks
import numpy as np
import torch
from gan_data import Packed
from train_gan import DEVICE

from melanoma_tf.generation.nearest_neighbours import nearest

LEAST_DIVERSITY, MOST_DUPLICATES = 0.5, 0.2
ROUNDS = 8


def load_generator(path: Path, training: dict) -> torch.nn.Module:
    """The generator of a finished training."""
    size, latent = training["image_size_px"], training["latent_size"]
    kind = (len(training["classes"]), training["coupled"], size)
    network = gan_networks.Generator(*kind, latent)
    with np.load(path, allow_pickle=False) as stored, torch.no_grad():
        for name, layer in network.layers.items():
            given = {
                key.split("/")[1]: torch.from_numpy(stored[key].astype(np.float32))
                for key in stored.files
                if key.split("/")[0] == name
            }
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight.copy_(given["gamma"])
                layer.bias.copy_(given["beta"])
                layer.running_mean.copy_(given["moving_mean"])
                layer.running_var.copy_(given["moving_variance"])
            else:
                layer.weight.copy_(given["kernel"].permute(3, 2, 0, 1))
                if layer.bias is not None:
                    layer.bias.copy_(given["bias"])
    return network.to(DEVICE).eval()


def best_training(folder: Path, name: str) -> tuple[Path, dict] | None:
    """The training of a class that is nearest to real images and has not collapsed."""
    found = []
    for path in sorted(folder.glob("*.json")):
        described = json.loads(path.read_text())
        kept = [row for row in described["history"] if row.get("kept")]
        if name not in described["training"]["classes"] or not kept:
            continue
        own = kept[-1]["by_class"][name]
        collapsed = own["diversity"] < LEAST_DIVERSITY or own["near_duplicates"] > MOST_DUPLICATES
        ratio = own["swd"] / described["real"][name]["swd"]
        found.append((collapsed, ratio, path.with_suffix(".npz"), described["training"]))
    if not found:
        return None
    collapsed, ratio, path, training = min(found, key=lambda each: each[:2])
    print(f"{name}: {path.stem}, distance {ratio:.2f} of real, collapsed: {collapsed}", flush=True)
    return path, training


def draw(path: Path, training: dict, name: str, count: int, packed: Packed) -> np.ndarray:
    """Novel images of a class, uint8 `(at most count, size, size, 3)`."""
    network, index = load_generator(path, training), training["classes"].index(name)
    reference = packed.reference(name, training["image_size_px"])
    random = torch.Generator().manual_seed(1)
    kept: list[np.ndarray] = []
    drawn = 0
    while len(kept) < count and drawn < ROUNDS * count:
        latents = torch.randn(64, training["latent_size"], generator=random).to(DEVICE)
        with torch.no_grad():
            scaled = ((network(latents)[:, index] + 1) * 127.5).clamp(0, 255).round().byte()
        images = scaled.permute(0, 2, 3, 1).cpu().numpy()
        distance = nearest(images, [reference.training]).distance
        kept += list(images[distance > reference.least])
        drawn += len(images)
    print(f"{name}: {min(len(kept), count)} of {drawn} drawn are kept", flush=True)
    return np.stack(kept[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder that train_gan.py wrote")
    parser.add_argument("output", type=Path)
    parser.add_argument("--packs", type=Path, required=True, help="folder of the packed images")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--classes", nargs="+", required=True, help="of the experiment, in order")
    parser.add_argument("--draw", action="append", required=True, metavar="CLASS=COUNT")
    given = parser.parse_args()
    images, labels = [], []
    for text in given.draw:
        name, _, count = text.partition("=")
        best = best_training(given.results, name)
        if best is None:
            raise SystemExit(f"expected a training of {name} in {given.results}; found none")
        packed = Packed(given.packs / best[1]["packed"])
        for each in draw(*best, name, int(count), packed):
            size = (given.size, given.size)
            images.append(cv2.resize(each, size, interpolation=cv2.INTER_AREA))
            labels.append(given.classes.index(name))
    np.savez(given.output, images=np.stack(images), labels=np.array(labels))


if __name__ == "__main__":
    main()
