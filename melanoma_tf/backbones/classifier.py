"""Lesion classifiers: a backbone, global average pooling and one logit per class.

All take RGB in [0, 255] as any dtype, and normalise inside, so that training, evaluation and the
exported model cannot disagree. Bisla et al. 2019, Section 4.1: ResNet-50 whose last layer is
replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from melanoma_tf.backbones.networks import build_backbone
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras

KIND = "classifier"


def build_classifier(
    *,
    backbone: str,
    num_classes: int,
    image_size_px: int,
    weights: str = "none",
    dropout: float = 0.2,
) -> keras.Model:
    """Build a classifier.

    Args:
        backbone: one of `networks.BACKBONES`.
        num_classes: number of logits, at least 2.
        image_size_px: side of the square input in pixels, at least 32.
        weights: `none` (random), `imagenet`, or the path of a `.keras` model of the same backbone
            (its head may have other classes), of a `.weights.h5` file of the bare backbone, or
            for EfficientNet-Lite of a `.npz` file of `scripts/convert_efficientnet_lite.py`.
        dropout: fraction of the pooled features dropped in training.

    Returns:
        A model from `(batch, size, size, 3)` RGB in [0, 255] to float32 logits `(batch, classes)`.

    Raises:
        MelanomaError: unknown backbone, too small a size, or weights that cannot be had.

    Example:
        >>> import melanoma_tf as mt
        >>> model = mt.build_classifier(backbone="small", num_classes=3, image_size_px=32)
        >>> model.output_shape
        (None, 3)
    """
    if num_classes < 2:
        raise MelanomaError(f"expected at least 2 classes; found {num_classes}")
    if image_size_px < 32:
        raise MelanomaError(f"expected an image size of at least 32 px; found {image_size_px}")
    images = keras.Input((image_size_px, image_size_px, 3), name="images")
    with _own_generators():
        features = build_backbone(backbone, image_size_px, weights)(images)
    features = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    # A generator of its own, which `training.fit` seeds again at every epoch.
    features = keras.layers.Dropout(dropout, force_generator=True, name="dropout")(features)
    # float32 also under mixed precision: a softmax over float16 logits overflows.
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.Model(images, logits, name=f"classifier_{backbone.replace('-', '_')}")


@contextlib.contextmanager
def _own_generators() -> Iterator[None]:
    """Let the random layers of a backbone, as EfficientNet's, be seeded again like the dropout."""
    switch = keras.backend.experimental
    before = switch.is_tf_random_generator_enabled()
    switch.enable_tf_random_generator()
    try:
        yield
    finally:
        if not before:
            switch.disable_tf_random_generator()
