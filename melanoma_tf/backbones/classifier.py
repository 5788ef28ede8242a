"""Lesion classifiers: a backbone, global average pooling and one logit per class.

All take RGB in [0, 255] as any dtype, and normalise inside, so that training, evaluation and the
exported model cannot disagree. Bisla et al. 2019, Section 4.1: ResNet-50 whose last layer is
replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from melanoma_tf.backbones.networks import build_backbone
from melanoma_tf.backbones.settings import LEAST_SIZE_PX, NetworkSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import OWN_GENERATOR, keras
from melanoma_tf.training.run_record import CONFIG, check_run, weights_file
from melanoma_tf.training.weights import read_weights

KIND = "classifier"


def network_of(settings: NetworkSettings, num_classes: int) -> keras.Model:
    """Build the network of some settings, with random weights."""
    return build_classifier(
        backbone=settings.backbone, num_classes=num_classes, image_size_px=settings.image_size_px
    )


def load_classifier(run_dir: Path) -> keras.Model:
    """The trained network of a finished classifier run, see `training.run.load_model`.

    Raises:
        MelanomaError: no finished run, another kind of one, or a damaged one.
    """
    payload = check_run(run_dir, KIND)
    where = f"{Path(run_dir) / CONFIG}: settings"
    settings, names = payload.get("settings"), payload.get("class_names")
    if not isinstance(settings, dict) or not isinstance(names, list):
        raise MelanomaError(f"{where}: expected an object, and a list of class names")
    network = network_of(
        NetworkSettings.from_json(settings.get("network"), f"{where}.network"), len(names)
    )
    read_weights(network, weights_file(run_dir))
    return network


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
        weights: `none` (random), `imagenet`, or the path of the `weights.npz` of a run with the
            same backbone (its head may have other classes), of a `.weights.h5` file of the bare
            backbone, or for EfficientNet-Lite of a `.npz` file of
            `scripts/convert_efficientnet_lite.py`.
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
    if image_size_px < LEAST_SIZE_PX:
        raise MelanomaError(
            f"expected an image size of at least {LEAST_SIZE_PX} px; found {image_size_px}"
        )
    images = keras.Input((image_size_px, image_size_px, 3), name="images")
    with _own_generators():
        features = build_backbone(backbone, image_size_px, weights)(images)
    features = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    # A generator of its own, which `training.fit` seeds again at every epoch.
    features = keras.layers.Dropout(dropout, name="dropout", **OWN_GENERATOR)(features)
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
