"""Outline lesions with a trained segmenter: in image files, and in records without masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import public_name, read_checked_json
from melanoma_tf.core.outputs import published_folder, refuse_existing
from melanoma_tf.core.remote_outputs import refuse_remote
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.datasets.image_files import (
    FoundImages,
    PassedOver,
    find_images,
    refuse_equal_names,
)
from melanoma_tf.images import masks
from melanoma_tf.images.loading import load_photograph
from melanoma_tf.records.decode import read_portable
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.records.manifest import is_record_folder, read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Description, skipped_before, write_records
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter, TracedSegmenter
from melanoma_tf.segmentation.settings import InferenceSettings, SegmentationSettings
from melanoma_tf.segmentation.shipped import shipped_segmenter, traced_segmenter

_OUTLINE = (255, 255, 0)
_OUTLINE_FRACTION = 1 / 300  # Width of the outline as a fraction of the image's longer side.


# Wraps a stream, given its length.
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Segmentation:
    """An image and the lesion found in it.

    Attributes:
        name: of the image, without suffix.
        mask: PNG bytes of the original size, 0 or 255; None where the file is no image.
        overlay: JPEG bytes, the image with the lesion's outline; None unless requested.
        error: the reason where `mask` is None, else empty.
    """

    name: str
    mask: bytes | None
    overlay: bytes | None = None
    error: str = ""


@dataclass(frozen=True)
class SegmentationResult:
    """The output of `segment`.

    Attributes:
        masks: number of masks.
        failures: one line for each file that could not be segmented.
        passed_over: files of the folder that are no photographs, each with the reason.
    """

    masks: int
    failures: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()


def segment(
    source: Path,
    output: Path,
    settings: SegmentationSettings | None = None,
    *,
    network: str | Path = SHIPPED,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SegmentationResult:
    """Outline the lesion in an image, in each image of a folder, or in records without masks.

    For images, `output` gets `NAME_segmentation.png` in the challenge's form: 0 skin, 255 lesion,
    the image's size. For records, it is a copy in which every example has a mask; masks of
    `source` stay.

    Args:
        source: an image, a folder of images, or a record folder; it stays as it is.
        output: the folder to make.
        settings: see `SegmentationSettings`.
        network: see `load_segmenter`.
        overwrite: replace an existing folder.
        progress: wraps the stream of images or examples, given their number.

    Raises:
        MelanomaError: `output` exists, the network cannot be used, no image at `source`, none that
            can be segmented, or unfinished records.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from melanoma_tf.phantoms import write_phantoms
        >>> folder = Path(tempfile.mkdtemp())
        >>> images = write_phantoms(folder / "phantoms", 2) / "ISIC-2017_Training_Data"
        >>> segment(images, folder / "masks")
        SegmentationResult(masks=2, failures=(), passed_over=())
    """
    settings = settings or SegmentationSettings()
    source, output = Path(source), Path(output)
    run = [] if network == SHIPPED else [Path(network)]
    refuse_existing(output, overwrite, [source, *run])
    is_records = is_record_folder(source)
    if not is_records:
        refuse_remote(output)
    segmenter = load_traced_segmenter(network, **settings.inference())
    if is_records:
        filled = segment_records(
            source, output, segmenter,
            batch_size=settings.batch_size, overwrite=overwrite, progress=progress,
        )  # fmt: skip
        return SegmentationResult(filled)
    images = image_files(source)
    found: Iterable[Segmentation] = segment_files(
        images.paths, segmenter, overlay=settings.overlay, batch_size=settings.batch_size
    )
    found = found if progress is None else progress(found, len(images.paths))
    with published_folder(output, overwrite=overwrite) as folder:
        result = _write_masks(found, folder, settings.overlay)
    return dataclasses.replace(result, passed_over=images.passed_over)


def _write_masks(found: Iterable[Segmentation], folder: Path, overlay: bool) -> SegmentationResult:
    if overlay:
        (folder / "overlays").mkdir()
    masks_written, failures = 0, []
    for result in found:
        if result.mask is None:
            failures.append(f"{result.name}: {result.error}")
            continue
        masks_written += 1
        (folder / f"{result.name}_segmentation.png").write_bytes(result.mask)
        if result.overlay:
            (folder / "overlays" / f"{result.name}_overlay.jpg").write_bytes(result.overlay)
    if not masks_written:
        raise MelanomaError(failures[0])
    return SegmentationResult(masks_written, tuple(failures))


def load_segmenter(network: str | Path = SHIPPED, **changes: bool) -> LesionSegmenter:
    """A trained segmenter.

    Args:
        network: `shipped`, or the folder of a finished run.
        changes: settings of `InferenceSettings` by name, in place of the network's own.

    Raises:
        MelanomaError: the run has not finished, or trains something else.
    """
    if network == SHIPPED:
        segmenter = shipped_segmenter()
    else:
        # Imported here: they take as long to load as the traced network that ships.
        from melanoma_tf.segmentation.train import SEGMENTER, THRESHOLD_FILE
        from melanoma_tf.training.run import load_model

        run_dir = Path(network)
        model = load_model(run_dir, SEGMENTER)
        threshold = _read_threshold(run_dir / THRESHOLD_FILE)
        segmenter = LesionSegmenter(model, InferenceSettings(threshold))
    return segmenter.with_settings(**changes)


def load_traced_segmenter(network: str | Path = SHIPPED, **changes: bool) -> TracedSegmenter:
    """A trained segmenter to segment with; the one that ships is ready in a fraction of the time.

    Arguments and errors are those of `load_segmenter`.
    """
    traced = traced_segmenter() if network == SHIPPED else None
    if traced is not None and dataclasses.replace(traced.settings, **changes) == traced.settings:
        return traced
    return load_segmenter(network, **changes)


def image_files(path: Path) -> FoundImages:
    """The photographs of a folder, or the image itself.

    Raises:
        MelanomaError: there are none, or two of one name, whose masks would be one file.
    """
    found = find_images([path])
    refuse_equal_names(found.paths)
    return found


def _read_threshold(path: Path) -> float:
    payload = read_checked_json(path)
    threshold = payload.get("threshold") if isinstance(payload, dict) else None
    if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise MelanomaError(f"{path}: expected a threshold from 0 to 1; found {threshold!r:.80}")
    return float(threshold)


def segment_files(
    paths: Sequence[Path], segmenter: TracedSegmenter, *, overlay: bool = False, batch_size: int = 8
) -> Iterator[Segmentation]:
    """Segment image files, in order; one that is no image yields its error.

    Images are read and written in threads while the network runs.

    Args:
        paths: the files.
        segmenter: see `load_segmenter`.
        overlay: draw the outlines too.
        batch_size: images in a batch.
    """
    images = ((path.stem, path) for path in paths)
    return segment_images(images, segmenter, overlay=overlay, batch_size=batch_size)


def segment_images(
    images: Iterable[tuple[str, bytes | Path]],
    segmenter: TracedSegmenter,
    *,
    overlay: bool = False,
    batch_size: int = 8,
) -> Iterator[Segmentation]:
    """Segment images, given as pairs of name and bytes or file; see `segment_files`."""
    prepare = _preparation(segmenter.square_px)
    complete = _completion(segmenter.settings.threshold, overlay)

    def read(named: tuple[str, bytes | Path]) -> _Prepared:
        name, source = named
        try:
            encoded = read_portable(source) if isinstance(source, Path) else source
            return _Prepared(name, *prepare(tf.constant(encoded)))
        except UnreadableImageError as error:
            return _Prepared(name, error=str(error))
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
    batch: Sequence[_Prepared], segmenter: TracedSegmenter
) -> list[tf.Tensor | None]:
    """One map for each image, None for what is none."""
    good = [each.square for each in batch if each.square is not None]
    if not good:
        return [None] * len(batch)
    maps = iter(tf.unstack(segmenter.probabilities(tf.stack(good))))
    return [None if each.square is None else next(maps) for each in batch]


# The two functions around the network are not traced: they are a few operations, and tracing them
# would take as long as an image does.
def _preparation(size_px: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    def prepare(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = load_photograph(encoded)
        return image, masks.squeeze(image, size_px)

    return prepare


def _completion(
    threshold: float, overlay: bool
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    def complete(image: tf.Tensor, probability: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shape = tf.shape(image)
        found = masks.restore(probability, shape[0], shape[1]) > threshold
        mask = tf.io.encode_png(tf.where(found, tf.constant(255, tf.uint8), 0))
        if not overlay:
            return mask, tf.constant("")
        longer = tf.cast(tf.reduce_max(shape[:2]), tf.float32)
        width = tf.cast(tf.math.ceil(longer * _OUTLINE_FRACTION), tf.int32)
        drawn = masks.draw_outline(image[tf.newaxis], found[tf.newaxis], _OUTLINE, width_px=width)
        return mask, tf.io.encode_jpeg(drawn[0], quality=92)

    return complete


def segment_records(
    records: Path,
    output: Path,
    segmenter: TracedSegmenter,
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Copy a record folder, with a mask for every example that lacks one.

    Args:
        records: a record folder; it stays as it is.
        output: the folder to appear.
        segmenter: see `load_segmenter`.
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
    examples: Iterable[Example] = _with_masks(read_examples(records), segmenter, batch_size, filled)
    if progress is not None:
        examples = progress(examples, sum(shard.count for shard in manifest.shards))
    write_records(
        chain(skipped_before(manifest), examples),
        output,
        Description.of_copy(manifest, masks=f"segmented where absent, from {public_name(records)}"),
        overwrite=overwrite,
    )
    return len(filled)


def _with_masks(
    examples: Iterator[Example], segmenter: TracedSegmenter, batch_size: int, filled: list[str]
) -> Iterator[Example]:
    while batch := list(islice(examples, batch_size)):
        bare = [example for example in batch if not example.mask]
        images: list[tuple[str, bytes | Path]] = [(each.key, each.image) for each in bare]
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
