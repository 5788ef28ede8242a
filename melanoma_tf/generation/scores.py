"""Score a trained generator against real images, with real against real beside each figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from melanoma_tf.backbones.features import load_extractor
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.generation import (
    frechet_distance,
    kernel_distance,
    precision_and_recall,
)
from melanoma_tf.evaluation.metrics.sliced_wasserstein import sliced_wasserstein
from melanoma_tf.generation.data import GanInputs, real_images
from melanoma_tf.generation.monitor import Images, diversity
from melanoma_tf.generation.train import load_sampler
from melanoma_tf.records.manifest import read_manifest

_LEAST = 8
Features = Callable[[Images], npt.NDArray[np.float64]]


def score_generator(
    run_dir: Path, records: Path, *, features: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Compare as many generated images as there are held-out real ones with these, by class.

    The floor beside each figure is that of as many training images, drawn at random, in the
    generated ones' place.

    Args:
        run_dir: a finished run of a generative network.
        records: a record folder with the run's classes; held out are validation and test.
        features: of which KID, FID, precision and recall are computed: a finished classifier run,
            or `imagenet`; without them these are left out.
        seed: of the latent vectors and of the images drawn.

    Returns:
        `extractor`, and for each class `held_out`, `sliced_wasserstein`, `diversity` and, with
        features, `kid`, `fid`, `precision` and `recall`; each figure with its `floor`.

    Raises:
        MelanomaError: no such runs, records without the class, or fewer than 8 held-out or training
            images of it.
    """
    sampler = load_sampler(run_dir)
    manifest = read_manifest(records)
    missing = [name for name in sampler.class_names if name not in manifest.class_names]
    if missing:
        raise MelanomaError(f"{records}: expected the class {missing[0]}; there is none")
    extractor = None if features is None else load_extractor(features)
    embed = None if extractor is None else extractor.features
    inputs = GanInputs(sampler.class_names, sampler.image_size_px)
    splits = [name for name in ("validation", "test") if name in manifest.splits()]
    parts = [real_images(records, name, inputs) for name in splits]
    train = real_images(records, "train", inputs)
    random = np.random.default_rng(seed)
    scores: dict[str, Any] = {
        "extractor": "none" if extractor is None else extractor.name,
        "classes": {},
    }
    for index, name in enumerate(sampler.class_names):
        held_out = np.concatenate([part[name] for part in parts] or [train[name][:0]])
        count = min(len(held_out), len(train[name]))
        if count < _LEAST:
            raise MelanomaError(
                f"{records}: expected at least {_LEAST} held-out and training images of {name}; "
                f"found {len(held_out)} and {len(train[name])}"
            )
        latents = random.standard_normal((count, sampler.latent_size)).astype(np.float32)
        generated = np.concatenate(
            [sampler.images(latents[at : at + 64])[:, index] for at in range(0, count, 64)]
        )
        others = train[name][random.permutation(len(train[name]))[:count]]
        found, floor = (_figures(held_out, each, embed) for each in (generated, others))
        figures = {key: {"value": found[key], "floor": floor[key]} for key in found}
        scores["classes"][name] = {"held_out": len(held_out), "compared": count, **figures}
    return scores


def _figures(real: Images, other: Images, features: Features | None) -> dict[str, float]:
    levels = sliced_wasserstein(real, other)
    figures = {
        "sliced_wasserstein": float(np.mean(list(levels.values()))),
        "diversity": diversity(other),
    }
    if features is not None:
        ours, theirs = features(real), features(other)
        figures["kid"] = kernel_distance(ours, theirs)
        figures["fid"] = frechet_distance(ours, theirs)
        figures["precision"], figures["recall"] = precision_and_recall(ours, theirs)
    return figures
