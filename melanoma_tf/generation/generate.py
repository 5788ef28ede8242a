"""Generate images from a trained network, through the gate, into a record folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from melanoma_tf.backbones.features import load_extractor
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.generation.data import RealBlocks, real_blocks
from melanoma_tf.generation.monitor import Images
from melanoma_tf.generation.novelty_filter import Accepted, accept, default_min_mse
from melanoma_tf.generation.records import Generated, shown, write_generated
from melanoma_tf.generation.train import Sampler, load_sampler, sampler_config
from melanoma_tf.records.manifest import Manifest, read_manifest

_PERCENTILE = 1.0


@dataclass(frozen=True)
class GenerationSettings:
    """What decides the content of a folder of generated images.

    Attributes:
        count: images of each class.
        class_names: some of the run's; none for all.
        min_mse: least distance to a real image and to each other; None takes the first percentile
            of the distances from real images to their nearest other real image.
        latent_size: what the run's is expected to be; 0 for whatever it is.
        features: a second opinion in a space of features: `imagenet` or a classifier run; images
            nearer to a real one than the first percentile of real ones to each other are rejected.
        seed: of the latent vectors.
    """

    count: int
    class_names: tuple[str, ...] = ()
    min_mse: float | None = None
    latent_size: int = 0
    features: str | None = None
    seed: int = 0


def generate_records(
    run_dir: Path,
    output: Path,
    settings: GenerationSettings,
    *,
    records: Path | None = None,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> Manifest:
    """Write a record folder of generated images, none of them a copy of a real one.

    Args:
        run_dir: a finished run of `train gan` or `train coupled-gan`.
        output: the record folder to appear.
        settings: see `GenerationSettings`.
        records: the real images to compare with; by default those that the run was trained on.
        overwrite: replace an existing folder.
        log: takes a line for each class.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: no such run or class, another latent size, `output` exists, or too few
            candidates pass.
    """
    sampler = load_sampler(run_dir)
    config = sampler_config(run_dir)
    names = _checked(sampler, settings, run_dir)
    folder = Path(config["records"]) if records is None else records
    refuse_existing(output, overwrite, [run_dir, folder])
    manifest, size = read_manifest(folder), sampler.image_size_px
    blocks = real_blocks(folder, size)
    real = _without_keys(blocks)
    min_mse = default_min_mse(real) if settings.min_mse is None else settings.min_mse
    second = None if settings.features is None else _feature_space_filter(settings.features, real)
    generated = []
    for name in names:
        candidates = _candidates(sampler, name, settings.seed)
        accepted = accept(
            candidates,
            settings.count,
            real,
            min_mse,
            image_size_px=size,
            feature_space_filter=second,
        )
        log(_line(name, accepted))
        keys, images = _looked_up(blocks, accepted.nearest.index, shown(accepted))
        generated.append(Generated(name, accepted, keys, images))
    licences = sorted({row["licence"] for row in manifest.sources.values()})
    return write_generated(
        generated,
        output,
        run_id=sampler.run_id,
        min_mse=min_mse,
        taxonomy=manifest.taxonomy,
        class_names=manifest.class_names,
        settings={
            "image_size": size,
            "generate": {**dataclasses.asdict(settings), "run": config},
        },
        licence="; ".join(licences),
        overwrite=overwrite,
    )


def _without_keys(blocks: RealBlocks) -> Callable[[], Iterator[Images]]:
    return lambda: (images for images, _ in blocks())


def _feature_space_filter(
    source: str, real: Callable[[], Iterator[Images]]
) -> Callable[[Images], npt.NDArray[np.bool_]]:
    """Whether images are nearer to a real one in features than real ones usually are."""
    features = load_extractor(source).features
    search = NearestNeighbors(n_neighbors=2).fit(np.concatenate([features(one) for one in real()]))
    # Without arguments a point is not its own neighbour.
    nearest_other = search.kneighbors(n_neighbors=1)[0][:, 0]
    least = float(np.percentile(nearest_other, _PERCENTILE))
    return lambda images: search.kneighbors(features(images), 1)[0][:, 0] < least


def _line(class_name: str, accepted: Accepted) -> str:
    distance = accepted.nearest.distance
    return (
        f"{class_name}: {accepted.candidates} candidates, {accepted.near_real} too near to a real "
        f"image, {accepted.near_other} to another; distance to the nearest real image "
        f"{distance.mean():.4f} +- {distance.std():.4f}"
    )


def _checked(sampler: Sampler, settings: GenerationSettings, run_dir: Path) -> tuple[str, ...]:
    if settings.latent_size not in (0, sampler.latent_size):
        raise MelanomaError(
            f"{run_dir}: expected the run's latent size {sampler.latent_size}; "
            f"found {settings.latent_size}"
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
    index = sampler.class_names.index(class_name)

    def generate(count: int) -> Images:
        latents = random.standard_normal((count, sampler.latent_size)).astype(np.float32)
        # A few at a time: a coupled network makes every class's image of each.
        parts = [sampler.images(latents[at : at + 64])[:, index] for at in range(0, count, 64)]
        return np.concatenate(parts)

    return generate


def _looked_up(
    blocks: RealBlocks, places: np.ndarray, shown_places: set[int]
) -> tuple[list[str], dict[int, Images]]:
    """The keys at some places among the real images, and the images at some of these."""
    keys: dict[int, str] = {}
    images: dict[int, Images] = {}
    wanted = set(places.tolist())
    start = 0
    for block, names in blocks():
        for offset, name in enumerate(names):
            if start + offset in wanted:
                keys[start + offset] = name
            if start + offset in shown_places:
                images[start + offset] = block[offset]
        start += len(block)
    return [keys[place] for place in places.tolist()], images
