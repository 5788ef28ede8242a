"""Purify the image of one example of a record folder."""

from __future__ import annotations

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.purifier import Purifier
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.decode import UnreadableImageError, decode_image, decode_stored_mask
from melanoma_tf.records.encode import Encoding, encode_image
from melanoma_tf.records.schema import Example


def purified_image(example: Example, apply: Purifier, settings: PurificationSettings) -> bytes:
    """Encode the purified image of an example; empty where too little is occluded.

    Raises:
        MelanomaError: image or mask cannot be decoded.
    """
    if example.origin != "real":
        return b""
    try:
        image = decode_image(example.image)
        lesion = decode_stored_mask(example.mask) if example.mask else None
    except UnreadableImageError as error:
        raise MelanomaError(f"{example.key}: {error}") from None
    purified, occlusions = apply(image, lesion)
    if np.count_nonzero(occlusions) <= settings.min_occlusion * occlusions.size:
        return b""
    return encode_image(
        purified, Encoding(image_format=example.image_format, quality=settings.quality)
    )
