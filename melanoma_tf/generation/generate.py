"""Generate images with a trained network, through the novelty filter, into a record folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from melanoma_tf.backbones.features import load_extractor
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.generation.data import RealBlocks, real_at, real_blocks
from melanoma_tf.generation.monitor import Images
from melanoma_tf.generation.nearest_on_beam import BeamSearch
from melanoma_tf.generation.novelty_filter import (
    NovelImages,
    SearchReal,
    default_min_mse,
    sample_novel,
    search_here,
)
from melanoma_tf.generation.records import Generated, shown, write_generated
from melanoma_tf.generation.sampler import Sampler, load_sampler
from melanoma_tf.generation.settings import GenerationSettings
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.job import Log

_PERCENTILE = 1.0


def generate_records(
    run_dir: Path | str,
    output: Path | str,
    settings: GenerationSettings,
    *,
    records: RecordsLike | None = None,
    overwrite: bool = False,
    beam: Sequence[str] | None = None,
    log: Log = print,
) -> Manifest:
    """Write records of generated images, none of them a copy of a real one.

    Args:
        run_dir: a finished run of `train gan` or `train coupled-gan`.
        output: the record folder to appear.
        settings: see `GenerationSettings`.
        records: real images to compare with, of all splits; by default those of the training.
        overwrite: replace an existing folder.
        beam: options of Apache Beam, which then compares with the real images, as
            `runner=FlinkRunner`; None compares in this process, as the feature-space filter does.
        log: takes a line for each class.

    Raises:
        MelanomaError: no such run or class, an existing `output`, or too few candidates pass.

    Example:
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.generation.settings import GenerationSettings
        >>> settings = GenerationSettings(count=2, min_mse=0.0)
        >>> manifest = mt.generate_records("runs/gan", "tfrecords/generated", settings, log=len)
        >>> manifest.count(class_name="melanoma", origin="generated")
        2
    """
    sampler = load_sampler(Path(run_dir))
    names = _checked(sampler, settings, Path(run_dir))
    folders = RecordSet.read(sampler.record.record_paths() if records is None else records)
    refuse_existing(Path(output), overwrite, [Path(run_dir), *folders.folders])
    with folders.damage_named():
        search = None if beam is None else BeamSearch(folders, Path(output), beam)
        generated, min_mse = _sampled(sampler, names, folders, settings, search, log)
    return write_generated(
        generated,
        Path(output),
        folders,
        run_id=sampler.run_id,
        min_mse=min_mse,
        settings={
            "image_size": sampler.settings.image_size_px,
            "generate": _provenance(settings, sampler),
        },
        overwrite=overwrite,
    )


def _sampled(
    sampler: Sampler,
    names: Sequence[str],
    folders: RecordSet,
    settings: GenerationSettings,
    search: SearchReal | None,
    log: Log,
) -> tuple[list[Generated], float]:
    """Sample novel images of each class; also return the least distance to real ones."""
    size = sampler.settings.image_size_px
    real = _without_keys(real_blocks(folders, size))
    search = search or search_here(real)
    min_mse = default_min_mse(real, search) if settings.min_mse is None else settings.min_mse
    too_near = feature_space_filter(settings.features, real) if settings.features else None
    generated = []
    for name in names:
        novel = sample_novel(
            _candidates(sampler, name, settings.seed),
            settings.count,
            search,
            min_mse,
            image_size_px=size,
            feature_space_filter=too_near,
        )
        log(_line(name, novel))
        generated.append(_with_nearest(name, novel, folders, size))
    return generated, min_mse


def _provenance(settings: GenerationSettings, sampler: Sampler) -> dict[str, Any]:
    return {**settings.to_public_json(), "run": sampler.record.to_public_json()}


def _without_keys(blocks: RealBlocks) -> Callable[[], Iterator[Images]]:
    return lambda: (images for images, _ in blocks())


def feature_space_filter(
    source: str, real: Callable[[], Iterator[Images]]
) -> Callable[[Images], npt.NDArray[np.bool_]]:
    """Make a function that finds images too near to a real one in a space of features.

    Too near is nearer than the first percentile of the distances from real images to their nearest
    other real image.

    Args:
        source: see `backbones.features.load_extractor`.
        real: gives a new stream of blocks of real images.

    Returns:
        From uint8 `(images, size, size, 3)` to bool `(images,)`.
    """
    features = load_extractor(source).features
    search = NearestNeighbors(n_neighbors=2).fit(np.concatenate([features(one) for one in real()]))
    # Without arguments a point is not its own neighbour.
    nearest_other = search.kneighbors(n_neighbors=1)[0][:, 0]
    least = float(np.percentile(nearest_other, _PERCENTILE))
    return lambda images: search.kneighbors(features(images), 1)[0][:, 0] < least


def _line(class_name: str, novel: NovelImages) -> str:
    distance = novel.nearest.distance
    return (
        f"{class_name}: {novel.candidates} candidates, {len(novel.images)} accepted, "
        f"{novel.near_real} too near to a real image, {novel.near_other} to another, "
        f"{novel.surplus} more than wanted; distance to the nearest real image "
        f"{distance.mean():.4f} +- {distance.std():.4f}"
    )


def _checked(sampler: Sampler, settings: GenerationSettings, run_dir: Path) -> tuple[str, ...]:
    latent_size = sampler.settings.latent_size
    if settings.latent_size not in (0, latent_size):
        raise MelanomaError(
            f"{run_dir}: expected the run's latent size {latent_size}; found {settings.latent_size}"
        )
    for name in settings.class_names:
        if name not in sampler.class_names:
            raise MelanomaError(
                f"{run_dir}: expected a class out of {', '.join(sampler.class_names)}; found {name}"
            )
    return settings.class_names or sampler.class_names


def _candidates(sampler: Sampler, class_name: str, seed: int) -> Callable[[int], Images]:
    """New images of a class with every call; the same latent vectors for each class."""
    random = np.random.default_rng(seed)
    return lambda count: sampler.sample(class_name, count, random)


def _with_nearest(
    class_name: str, novel: NovelImages, folders: RecordSet, size_px: int
) -> Generated:
    """Look up the keys of the nearest real images, and the images that the sheets show."""
    places, shown_places = novel.nearest.index.tolist(), shown(novel)
    keys: dict[int, str] = {}
    images: dict[int, Images] = {}
    for place, key, image in real_at(folders, size_px, set(places)):
        keys[place] = key
        if place in shown_places:
            images[place] = image
    return Generated(class_name, novel, [keys[place] for place in places], images)
