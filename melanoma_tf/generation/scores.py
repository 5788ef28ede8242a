"""Scores of a trained generator against real images, each with its floor: real against real."""

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
from melanoma_tf.generation.data import read_real_images, require_classes
from melanoma_tf.generation.monitor import Images, diversity
from melanoma_tf.generation.sampler import load_sampler
from melanoma_tf.generation.settings import GeneratorScoreSettings
from melanoma_tf.generation.train import LEAST_HELD_OUT
from melanoma_tf.records.record_set import RecordSet, RecordsLike

Features = Callable[[Images], npt.NDArray[np.float64]]


def score_generator(
    run_dir: Path, records: RecordsLike, settings: GeneratorScoreSettings | None = None
) -> dict[str, Any]:
    """Compare generated images, as many as there are held-out real ones, with these, by class.

    The floor of a metric is its value for as many training images, drawn at random, in place of
    the generated ones.

    Args:
        run_dir: a finished run of a generative network.
        records: record folders with the run's classes; held out are validation and test.
        settings: see `GeneratorScoreSettings`.

    Returns:
        `extractor`, and for each class `held_out`, `compared`, `sliced_wasserstein`, `diversity`
        and, with features, `kid`, `fid`, `precision` and `recall`; each metric with `value` and
        `floor`.

    Raises:
        MelanomaError: no such runs, records without the class, or fewer than 8 held-out or training
            images of it.
    """
    chosen = GeneratorScoreSettings() if settings is None else settings
    sampler, folders = load_sampler(run_dir), RecordSet.read(records)
    require_classes(folders, sampler.class_names)
    folders.check_mixture()
    extractor = None if chosen.features is None else load_extractor(chosen.features)
    embed = None if extractor is None else extractor.features
    with folders.damage_named():
        real = read_real_images(folders, sampler.class_names, sampler.settings.image_size_px)
    random = np.random.default_rng(chosen.seed)
    scores: dict[str, Any] = {
        "extractor": "none" if extractor is None else extractor.name,
        "classes": {},
    }
    for name in sampler.class_names:
        held_out, training = real.held_out[name], real.training[name]
        count = min(len(held_out), len(training))
        if count < LEAST_HELD_OUT:
            raise MelanomaError(
                f"{folders}: expected at least {LEAST_HELD_OUT} held-out and training images of "
                f"{name}; found {len(held_out)} and {len(training)}"
            )
        generated = sampler.sample(name, count, random)
        others = training[random.permutation(len(training))[:count]]
        found, floor = (_metrics(held_out, each, embed) for each in (generated, others))
        metrics = {key: {"value": found[key], "floor": floor[key]} for key in found}
        scores["classes"][name] = {"held_out": len(held_out), "compared": count, **metrics}
    return scores


def _metrics(real: Images, other: Images, features: Features | None) -> dict[str, float]:
    levels = sliced_wasserstein(real, other)
    metrics = {
        "sliced_wasserstein": float(np.mean(list(levels.values()))),
        "diversity": diversity(other),
    }
    if features is not None:
        ours, theirs = features(real), features(other)
        metrics["kid"] = kernel_distance(ours, theirs)
        metrics["fid"] = frechet_distance(ours, theirs)
        metrics["precision"], metrics["recall"] = precision_and_recall(ours, theirs)
    return metrics
