"""Logits of a classifier for every view of every image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.datasets.splits import namespace
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.submissions import mean_by_image
from melanoma_tf.images.views import dihedral_views


@dataclass(frozen=True)
class ViewLogits:
    """Logits of images, view by view.

    Attributes:
        keys, sources, patients, lesions: of each image; the last two may be empty strings.
        labels: int64 `(images,)`, class index.
        logits: float32 `(images, views, classes)`.
    """

    keys: tuple[str, ...]
    sources: tuple[str, ...]
    patients: tuple[str, ...]
    lesions: tuple[str, ...]
    labels: np.ndarray
    logits: np.ndarray

    def names(self) -> list[str]:
        """Unique names of the images, `source/key`."""
        return [f"{source}/{key}" for source, key in zip(self.sources, self.keys)]

    def namespaces(self) -> set[str]:
        """Within which patients' ids hold, see `datasets.splits.namespace`."""
        return {namespace(source) for source in self.sources}

    def as_predictions(
        self,
        scores: np.ndarray,
        class_names: tuple[str, ...],
        *,
        with_source: bool,
        with_namespace: bool,
    ) -> Predictions:
        """Scores float64 `(images, classes)` of these images.

        Args:
            scores: in the images' order.
            class_names: in the order of the columns.
            with_source: name images `source/key`, where keys alone do not tell them apart.
            with_namespace: name patients `namespace/id`, where ids alone do not.
        """
        patients = self.patients
        if with_namespace:
            patients = tuple(
                patient and f"{namespace(source)}/{patient}"
                for source, patient in zip(self.sources, self.patients)
            )
        return Predictions(
            image_ids=tuple(self.names()) if with_source else self.keys,
            scores=scores,
            class_names=class_names,
            labels=self.labels,
            groups=patients if any(patients) else None,
        )


def view_function(model: keras.Model, views: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Trace a classifier for batches of any size, every view of every image.

    Returns:
        A function from uint8 `(batch, size, size, 3)` to logits, float32 `(batch, views, classes)`.
    """

    def of_batch(images: tf.Tensor) -> tf.Tensor:
        # A loop, so that the network is traced once however many views there are.
        logits = tf.map_fn(
            lambda view: model(view, training=False),
            tf.stack(dihedral_views(images, views)),
            fn_output_signature=tf.float32,
            parallel_iterations=1,
        )
        return tf.transpose(logits, [1, 0, 2])

    # Without TensorFlow's warning that an ensemble traces a function for each of its members.
    pixels = tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)
    traced: Callable[[tf.Tensor], tf.Tensor] = tf.function(of_batch).get_concrete_function(pixels)
    return traced


def view_logits(model: keras.Model, batches: tf.data.Dataset, views: int = 1) -> ViewLogits:
    """Apply a classifier to the batches of `classification.data.evaluation_batches`.

    Args:
        model: from RGB in [0, 255] to logits.
        batches: one pass over the images.
        views: see `images.views.dihedral_views`.

    Raises:
        MelanomaError: there is no image.
    """
    logits_of = view_function(model, views)
    logits, labels = [], []
    columns: dict[str, list[str]] = {
        name: [] for name in ("image/key", "source", "patient/id", "lesion/id")
    }
    for batch in batches:
        logits.append(logits_of(batch["image"]).numpy())
        labels.append(batch["label"].numpy())
        for name, column in columns.items():
            column.extend(text.decode("utf-8") for text in batch[name].numpy())
    if not logits:
        raise MelanomaError("expected images to evaluate; the split holds none but copies")
    keys, sources, patients, lesions = (tuple(column) for column in columns.values())
    return ViewLogits(
        keys, sources, patients, lesions, np.concatenate(labels), np.concatenate(logits)
    )


def by_lesion(predictions: Predictions, seen: Sequence[ViewLogits]) -> Predictions:
    """Average the predictions of the images of a lesion; an image without one keeps its name.

    Args:
        predictions: of the images of `seen`, under their keys or full names.
        seen: names the lesion of each image.
    """
    lesions = {
        name: lesion or key
        for one in seen
        for key, full, lesion in zip(one.keys, one.names(), one.lesions)
        for name in (key, full)
    }
    ids = [lesions[image_id] for image_id in predictions.image_ids]
    return mean_by_image(ids, predictions.scores, predictions.class_names)


def images_sha256(image_ids: Sequence[str]) -> str:
    """SHA-256 of the images' names, in any order: tells whether two sets are the same."""
    return hashlib.sha256("\n".join(sorted(image_ids)).encode()).hexdigest()
