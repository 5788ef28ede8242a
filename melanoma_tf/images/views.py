"""The views of a square image under the symmetries of the square.

A dermoscopic image has no top: turned or mirrored it shows the same lesion.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError

VIEWS = (1, 2, 4, 8)


def dihedral_views(images: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Square images as they are, mirrored and turned.

    Args:
        images: `(batch, size, size, channels)`.
        count: 1, the images themselves; 2, with their left-right mirror images; 4, with the
            top-bottom ones and those turned by 180 degrees; 8, and all of these transposed: the
            whole dihedral group.

    Returns:
        `count` tensors of the shape and dtype of `images`, the images themselves first.

    Raises:
        MelanomaError: another number of views.
    """
    if count not in VIEWS:
        raise MelanomaError(f"expected 1, 2, 4 or 8 views of an image; found {count}")
    views = [images]
    if count >= 2:
        views.append(tf.reverse(images, [2]))
    if count >= 4:
        views += [tf.reverse(view, [1]) for view in views]
    if count == 8:
        views += [tf.transpose(view, [0, 2, 1, 3]) for view in views]
    return views
