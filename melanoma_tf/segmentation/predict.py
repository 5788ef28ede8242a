"""Find lesions with a trained segmenter: in image files, and in records without masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.datasets.image_files import SUPERPIXELS_ENDING, find_images, refuse_equal_names
from melanoma_tf.images import masks
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Description, skipped_before, write_records
from melanoma_tf.segmentation.lesion_segmenter import InferenceSettings, LesionSegmenter
from melanoma_tf.segmentation.shipped import load_segmenter
from melanoma_tf.segmentation.train import SEGMENTER, THRESHOLD_FILE
from melanoma_tf.training.run import load_model
from melanoma_tf.training.run_record import read_run

_OUTLINE = (255, 255, 0)
_OUTLINE_SHARE = 1 / 300  # Width of the outline as a share of the image's longer side.


@dataclass(frozen=True)
class Segmentation:
    """An image and the lesion found in it.

    Attributes:
        name: of the image, without suffix.
        mask: PNG bytes of the original size, 0 or 255; None where it is no image.
        overlay: JPEG bytes, the image with the lesion's outline; None where not asked for.
        error: why there is no mask, else empty.
    """

    name: str
    mask: bytes | None
    overlay: bytes | None = None
    error: str = ""


def load_lesion_segmenter(
    run_dir: Path | None = None,
    *,
    adapt: bool | None = None,
    flips: bool | None = None,
    refine: bool | None = None,
    largest_only: bool | None = None,
) -> LesionSegmenter:
    """The segmenter of a finished run, or the one that ships with the package.

    Args:
        run_dir: a finished run; None takes the shipped segmenter.
        adapt: see `segmentation.lesion_segmenter.Use`; None is as shipped, and True for a run.
        flips: likewise.
        refine: likewise.
        largest_only: likewise.

    Raises:
        MelanomaError: the run has not finished, or trains something else.
    """
    if run_dir is None:
        segmenter = load_segmenter()
    else:
        read_run(run_dir, SEGMENTER)
        threshold = read_json(run_dir / THRESHOLD_FILE)["threshold"]
        use = InferenceSettings(threshold, adapt=True, flips=True, refine=True, largest_only=True)
        segmenter = LesionSegmenter(load_model(run_dir), use)
    return segmenter.with_settings(
        adapt=adapt, flips=flips, refine=refine, largest_only=largest_only
    )


def image_files(path: Path) -> list[Path]:
    """The images of a folder, or the image itself; superpixel maps are left out.

    Raises:
        MelanomaError: there are none, or two of one name, whose masks would be one file.
    """
    paths = [each for each in find_images([path]) if not each.stem.endswith(SUPERPIXELS_ENDING)]
    refuse_equal_names(paths)
    return paths


def segment_files(
    paths: Sequence[Path], segmenter: LesionSegmenter, *, overlay: bool = False, batch_size: int = 8
) -> Iterator[Segmentation]:
    """Segment image files, in order; one that is no image yields its error.

    Reading and writing of images runs in threads beside the network.

    Args:
        paths: the files.
        segmenter: see `load_lesion_segmenter`.
        overlay: draw the outlines too.
        batch_size: images in a batch.
    """
    images = ((path.stem, path.read_bytes()) for path in paths)
    return segment_images(images, segmenter, overlay=overlay, batch_size=batch_size)


def segment_images(
    images: Iterable[tuple[str, bytes]],
    segmenter: LesionSegmenter,
    *,
    overlay: bool = False,
    batch_size: int = 8,
) -> Iterator[Segmentation]:
    """Segment encoded images, given as pairs of name and bytes; see `segment_files`."""
    prepare = _preparation(segmenter.square_px)
    complete = _completion(segmenter.use.threshold, overlay)

    def read(named: tuple[str, bytes]) -> _Prepared:
        name, encoded = named
        try:
            return _Prepared(name, *prepare(tf.constant(encoded)))
        except tf.errors.InvalidArgumentError:
            return _Prepared(name, error="expected a JPEG or PNG image, found other bytes")

    def write(prepared: _Prepared, probability: tf.Tensor | None) -> Segmentation:
        if probability is None:
            return Segmentation(prepared.name, None, error=prepared.error)
        mask, drawn = complete(prepared.image, probability)
        return Segmentation(prepared.name, mask.numpy(), drawn.numpy() or None)

    iterator = iter(images)
    with ThreadPoolExecutor() as pool:
        # One batch is read ahead of the network, and one written behind it.
        ahead = [pool.submit(read, each) for each in islice(iterator, batch_size)]
        behind: list[Future[Segmentation]] = []
        while ahead:
            batch = [future.result() for future in ahead]
            ahead = [pool.submit(read, each) for each in islice(iterator, batch_size)]
            found = _probabilities(batch, segmenter)
            written = [pool.submit(write, *pair) for pair in zip(batch, found)]
            yield from (future.result() for future in behind)
            behind = written
        yield from (future.result() for future in behind)


@dataclass(frozen=True)
class _Prepared:
    name: str
    image: tf.Tensor | None = None
    square: tf.Tensor | None = None
    error: str = ""


def _probabilities(
    batch: Sequence[_Prepared], segmenter: LesionSegmenter
) -> list[tf.Tensor | None]:
    """One map for each image, None for what is none."""
    good = [each.square for each in batch if each.square is not None]
    if not good:
        return [None] * len(batch)
    maps = iter(tf.unstack(segmenter.probabilities(tf.stack(good))))
    return [None if each.square is None else next(maps) for each in batch]


def _preparation(size_px: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def prepare(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        image = tf.ensure_shape(image, [None, None, 3])
        return image, masks.squeeze(image, size_px)

    # Traced once, here: each thread would trace it again.
    return prepare.get_concrete_function()


def _completion(
    threshold: float, overlay: bool
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 3], tf.uint8),
            tf.TensorSpec([None, None, 1], tf.float32),
        ]
    )
    def complete(image: tf.Tensor, probability: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shape = tf.shape(image)
        found = masks.restore(probability, shape[0], shape[1]) > threshold
        mask = tf.io.encode_png(tf.where(found, tf.constant(255, tf.uint8), 0))
        if not overlay:
            return mask, tf.constant("")
        longer = tf.cast(tf.reduce_max(shape[:2]), tf.float32)
        width = tf.cast(tf.math.ceil(longer * _OUTLINE_SHARE), tf.int32)
        drawn = masks.draw_outline(image[tf.newaxis], found[tf.newaxis], _OUTLINE, width_px=width)
        return mask, tf.io.encode_jpeg(drawn[0], quality=92)

    return complete.get_concrete_function()


def segment_records(
    records: Path,
    output: Path,
    segmenter: LesionSegmenter,
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    progress: Callable[[Iterator[Example], int], Iterator[Example]] | None = None,
) -> int:
    """Copy a record folder, with a mask for every example that lacks one.

    Args:
        records: a record folder; it stays as it is.
        output: the folder to appear.
        segmenter: see `load_lesion_segmenter`.
        batch_size: images in a batch.
        overwrite: replace an existing folder.
        progress: wraps the examples, given their number.

    Returns:
        The number of masks that were filled in.

    Raises:
        MelanomaError: unfinished records, an example that is no image, or `output` exists.
    """
    refuse_existing(output, overwrite, [records])
    manifest = read_manifest(records)
    filled: list[str] = []
    examples = _with_masks(read_examples(records), segmenter, batch_size, filled)
    if progress is not None:
        examples = progress(examples, sum(shard.count for shard in manifest.shards))
    write_records(
        chain(skipped_before(manifest), examples),
        output,
        Description.of_copy(manifest, masks=f"segmented where absent, from {records}"),
        overwrite=overwrite,
    )
    return len(filled)


def _with_masks(
    examples: Iterator[Example], segmenter: LesionSegmenter, batch_size: int, filled: list[str]
) -> Iterator[Example]:
    while batch := list(islice(examples, batch_size)):
        bare = [example for example in batch if not example.mask]
        images = [(example.key, example.image) for example in bare]
        found = segment_images(images, segmenter, batch_size=batch_size)
        masks_found = {id(example): result for example, result in zip(bare, found)}
        for example in batch:
            result = masks_found.get(id(example))
            if result is None:
                yield example
                continue
            if result.mask is None:
                raise MelanomaError(f"{example.key}: {result.error}")
            filled.append(example.key)
            yield dataclasses.replace(example, mask=result.mask)
