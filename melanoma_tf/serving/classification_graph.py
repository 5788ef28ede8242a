"""The classifier of an exported model: encoded photographs in, probabilities and pictures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from melanoma_tf.classification.data import ClassifierInputs, central_view, central_view_of
from melanoma_tf.classification.saliency import visual_backprop
from melanoma_tf.core.keras import keras
from melanoma_tf.evaluation.temperature import UNSCALED, LogitScale
from melanoma_tf.images.loading import load_photograph
from melanoma_tf.images.orientation import read_orientation
from melanoma_tf.images.photographs import OK, check_shape
from melanoma_tf.purification.networks import GraphPurifier
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter
from melanoma_tf.serving.pictures import as_picture, with_outline, with_saliency
from melanoma_tf.serving.purification_graph import PurificationGraph
from melanoma_tf.serving.reader import Batch, PhotographReader, graph_function
from melanoma_tf.serving.segmentation_graph import SegmentationGraph
from melanoma_tf.serving.signatures import (
    CLASSES,
    EXAMPLES,
    IMAGES,
    MASK,
    MESSAGE,
    OVERLAY,
    PROBABILITIES,
    PURIFIED,
    SALIENCY,
    SCORES,
    STATUS,
    above_threshold,
)

# sensitivity, as "0.82" -> a threshold for each class; None where the class has none
Thresholds = Mapping[str, Sequence["float | None"]]
_ENCODED = [tf.TensorSpec([None], tf.string, name=IMAGES)]


@dataclass(frozen=True)
class ClassifierParts:
    """What an exported classifier is made of.

    Attributes:
        model: from RGB in [0, 255] to logits.
        class_names: in the order of the logits.
        inputs: how the network sees images.
        scale: of the logits, before the softmax.
        thresholds: of the probabilities.
        segmenter: outlines the lesion.
        purifier: as the inputs purify, for images of any size.
        saliency: whether answers can be explained by saliency.
        max_megapixels: an image that claims more is refused.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    inputs: ClassifierInputs
    scale: LogitScale = UNSCALED
    thresholds: Thresholds = field(default_factory=dict)
    segmenter: LesionSegmenter | None = None
    purifier: GraphPurifier | None = None
    saliency: bool = True
    max_megapixels: float = 50.0


class ClassificationGraph(tf.Module):
    """What `melanoma-tf evaluate` computes of an image, as graph ops on encoded images."""

    def __init__(self, parts: ClassifierParts):
        super().__init__(name="classification")
        self.model, self._parts = parts.model, parts
        self.reader = PhotographReader(parts.max_megapixels)
        self._class_names = tf.constant(list(parts.class_names))
        # Held as an attribute, so that an export finds the weights of a network that purifies.
        self._input_purifier = parts.inputs.purify_image
        self.segmentation = self.purification = None
        if parts.segmenter is not None:
            self.segmentation = SegmentationGraph(parts.segmenter, self.reader)
        if parts.purifier is not None:
            self.purification = PurificationGraph(parts.purifier, self.segmentation, self.reader)
        # Traced once for all signatures: purification is a large graph.
        self._pixels = graph_function(_ENCODED)(self._see)
        # A function, so that what it shares with the model is not saved twice.
        self._visual_backprop = visual_backprop(parts.model) if parts.saliency else None

    @property
    def explains(self) -> bool:
        """Tell whether there is anything that `explain` adds."""
        return any((self._visual_backprop, self.segmentation, self.purification))

    @graph_function(_ENCODED)
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify string `(n,)` of encoded images of any sizes; `n` may be 0."""
        batch = self._read(images)
        return self._answer(batch, self._probabilities(self._logits(batch.values[0])))

    @graph_function([tf.TensorSpec([None, None, None, 3], tf.float32, name=IMAGES)])
    def serve_tensor(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify decoded images of one size, RGB in [0, 255]; what is no number counts as 0."""
        count, size = tf.shape(images)[0], self._parts.inputs.image_size_px
        status = check_shape(tf.shape(images)[1:3], self._parts.max_megapixels)

        def see(image: tf.Tensor) -> tf.Tensor:
            finite = tf.where(tf.math.is_finite(image), image, 0.0)
            levels = tf.cast(tf.round(tf.clip_by_value(finite, 0.0, 255.0)), tf.uint8)
            return central_view_of(levels, self._parts.inputs)

        spec = tf.TensorSpec([size, size, 3], tf.uint8)
        good = tf.where(status == OK, count, 0)
        pixels = tf.map_fn(see, images[:good], fn_output_signature=spec)
        rows = tf.range(tf.cast(good, tf.int64))
        batch = Batch(tf.fill([count], status), rows, (pixels,))
        return self._answer(batch, self._probabilities(self._logits(pixels)))

    @graph_function([tf.TensorSpec([None], tf.string, name=EXAMPLES)])
    def serve_examples(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify serialized `tf.Example`s of `image/encoded`, as records hold them."""
        feature = tf.io.FixedLenFeature([], tf.string, default_value="")
        images = tf.io.parse_example(inputs, {"image/encoded": feature})["image/encoded"]
        answer = self.serve(images)
        return {CLASSES: answer[CLASSES], SCORES: answer[PROBABILITIES]}

    @graph_function(_ENCODED)
    def explain(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """`serve`, with saliency and pictures."""
        batch = self._read(images)
        pixels, good = batch.values[0], tf.gather(images, batch.rows)
        answer: dict[str, tf.Tensor] = {}
        saliency = None
        if self._visual_backprop is None:
            logits = self._logits(pixels)
        else:
            saliency, logits = self._salient(pixels)
            answer[SALIENCY] = batch.spread(saliency)
        answer.update(self._answer(batch, self._probabilities(logits)))
        pictures = self._pictures(good, saliency)
        return {**answer, **{name: batch.spread(value) for name, value in pictures.items()}}

    def _read(self, images: tf.Tensor) -> Batch:
        """The squares that the network sees, uint8 `(k, size, size, 3)`."""
        status, rows, pixels = self._pixels(images)
        return Batch(status, rows, (pixels,))

    def _see(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        size, inputs = self._parts.inputs.image_size_px, self._parts.inputs

        def see(encoded: tf.Tensor, orientation: tf.Tensor) -> list[tf.Tensor]:
            return [central_view(encoded, inputs, orientation)]

        batch = self.reader.read(images, see, [tf.TensorSpec([size, size, 3], tf.uint8)])
        return batch.status, batch.rows, batch.values[0]

    def _logits(self, pixels: tf.Tensor) -> tf.Tensor:
        # Convolutions of an empty batch fail on some CPUs.
        return tf.cond(
            tf.size(pixels) > 0,
            lambda: self.model(pixels, training=False),
            lambda: tf.zeros([0, len(self._parts.class_names)], tf.float32),
        )

    def _salient(self, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size = self._parts.inputs.image_size_px
        assert self._visual_backprop is not None
        explain = self._visual_backprop
        none = (tf.zeros([0, size, size]), tf.zeros([0, len(self._parts.class_names)]))
        return tf.cond(tf.size(pixels) > 0, lambda: tuple(explain(pixels)), lambda: none)

    def _probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self._parts.scale.apply(logits))

    def _answer(self, batch: Batch, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        answer = {
            CLASSES: tf.tile(self._class_names[tf.newaxis], [tf.size(batch.status), 1]),
            PROBABILITIES: batch.spread(probabilities),
            STATUS: batch.status,
            MESSAGE: self.reader.message(batch.status),
        }
        for sensitivity, row in self._parts.thresholds.items():
            least = tf.constant([float("inf") if each is None else each for each in row])
            answer[above_threshold(sensitivity)] = answer[PROBABILITIES] >= least
        return answer

    def _pictures(self, images: tf.Tensor, saliency: tf.Tensor | None) -> dict[str, tf.Tensor]:
        """PNG images, string `(k,)`, of encoded images that can be decoded."""
        maps = None if self.segmentation is None else self.segmentation.outlined(images)[2]
        names = [OVERLAY]
        names += [MASK] * (maps is not None) + [PURIFIED] * (self.purification is not None)

        def draw(rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            drawn = self._drawn(rows["image"], rows.get("saliency"), rows.get("map"))
            return {name: tf.io.encode_png(drawn[name]) for name in names}

        rows = {"image": images, "saliency": saliency, "map": maps}
        return tf.map_fn(
            draw,
            {name: value for name, value in rows.items() if value is not None},
            fn_output_signature={name: tf.TensorSpec([], tf.string) for name in names},
            parallel_iterations=1,
        )

    def _drawn(
        self, encoded: tf.Tensor, saliency: tf.Tensor | None, probability: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """uint8 pictures of one image, by output."""
        whole = load_photograph(encoded, read_orientation(encoded))
        picture = as_picture(whole)
        drawn, lesion, shown = {}, tf.zeros_like(picture[..., :1], tf.bool), picture
        if saliency is not None:
            inputs = self._parts.inputs
            shown = with_saliency(shown, saliency, inputs.image_size_px / inputs.short_side_px)
        if probability is not None:
            assert self.segmentation is not None
            own = self.segmentation.is_lesion(probability, tf.shape(whole)[:2])
            drawn[MASK] = tf.where(own, tf.constant(255, tf.uint8), 0)
            lesion = self.segmentation.is_lesion(probability, tf.shape(picture)[:2])
            shown = with_outline(shown, lesion)
        if self.purification is not None:
            drawn[PURIFIED] = self.purification.purified(picture, lesion)[0]
        return {**drawn, OVERLAY: shown}
