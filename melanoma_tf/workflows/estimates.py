"""Rough estimates of the time and space of the steps of an experiment.

Time is the number of operations over the rate of a device. Both are orders of magnitude: what they
are good for is to tell minutes from days.
"""

from __future__ import annotations

from collections.abc import Mapping

from melanoma_tf.workflows.steps import Estimate

# Operations of a forward pass on a megapixel, in 1e9. Small networks reach a fraction of a device's
# rate, which counts as more operations here.
_GIGA_PER_MEGAPIXEL: Mapping[str, float] = {
    "resnet50": 165.0,
    "efficientnet-lite0": 12.0,
    "small U-Net": 25.0,
    "unet": 800.0,
    "gan": 100.0,
}
_OTHER_NETWORK = 100.0
_TRAINING_PASSES = 3.0  # Forward, and backward twice that.
_GIGA_PER_SECOND = {"cpu": 40.0, "gpu": 15_000.0}
_RUN_MEGABYTES = {"cpu": 150.0, "gpu": 500.0}
_SECONDS_TO_START = 20.0
_SECONDS_PER_IMAGE = 0.005  # To read, decode, scale and encode a photograph.
_SECONDS_PER_PHANTOM = 0.05
_SECONDS_PER_PURIFICATION = {"classical": 0.03, "bisla2019": 0.05, "network": 0.1}
_JPEG_BYTES_PER_PIXEL, _PNG_BYTES_PER_PIXEL = 0.4, 1.8
_ASPECT = 4 / 3

ASSUMPTIONS: Mapping[str, str] = {
    "cpu": "two free CPU cores, which compute 40 thousand million operations in a second",
    "gpu": "one data centre GPU, which computes 15 million million operations in a second",
}


def training(network: str, size_px: int, images: float, epochs: int, device: str) -> Estimate:
    """Estimate a training.

    Args:
        network: a backbone, `unet` or `gan`.
        size_px: side of its input.
        images: in an epoch.
        epochs: how many.
        device: a key of `ASSUMPTIONS`.
    """
    operations = _TRAINING_PASSES * images * epochs * _per_image(network, size_px)
    seconds = _SECONDS_TO_START + operations / _GIGA_PER_SECOND[device]
    return Estimate(seconds, _RUN_MEGABYTES[device])


def inference(network: str, size_px: int, images: float, device: str) -> Estimate:
    """Estimate a pass over images; arguments as for `training`."""
    operations = images * _per_image(network, size_px)
    return Estimate(_SECONDS_TO_START + operations / _GIGA_PER_SECOND[device], 5.0)


def records(images: float, short_side_px: int) -> Estimate:
    """Estimate the writing of photographs into records."""
    pixels = images * short_side_px**2 * _ASPECT
    return Estimate(images * _SECONDS_PER_IMAGE, pixels * _JPEG_BYTES_PER_PIXEL / 1e6)


def phantoms(images: float, size_px: int) -> Estimate:
    """Estimate the drawing of phantoms."""
    return Estimate(images * _SECONDS_PER_PHANTOM, records(images, size_px).megabytes)


def purification(method: str, images: float) -> float:
    """Estimate the seconds that a method takes to purify images."""
    return _SECONDS_TO_START + images * _SECONDS_PER_PURIFICATION[method]


def generated(images: float, size_px: int, device: str) -> Estimate:
    """Estimate the writing of generated images."""
    megabytes = images * size_px**2 * _PNG_BYTES_PER_PIXEL / 1e6
    return Estimate(inference("gan", size_px, 4 * images, device).seconds, megabytes)


def _per_image(network: str, size_px: int) -> float:
    return _GIGA_PER_MEGAPIXEL.get(network, _OTHER_NETWORK) * size_px**2 / 1e6
