"""Differentiable augmentation (Zhao et al. 2020), as `melanoma_tf.generation` has it."""

from __future__ import annotations

import torch

SHIFT = 1 / 8
CUTOUT = 1 / 2


def augment(images: torch.Tensor) -> torch.Tensor:
    """Change brightness, saturation and contrast, shift by up to an eighth, cut out a square.

    Args:
        images: float `(batch, 3, size, size)`, RGB in [-1, 1].
    """
    drawn = torch.rand(len(images), 7, 1, 1, 1, device=images.device)
    images = images + (drawn[:, 0] - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2.0 * drawn[:, 1])
    average = images.mean((1, 2, 3), keepdim=True)
    images = average + (images - average) * (drawn[:, 2] + 0.5)
    images = shifted(images, drawn[:, 3:5, 0, 0, 0])
    return images * cutout(images.shape[-1], drawn[:, 5:7, 0, 0, 0])


def shifted(images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Whole pixels; the image goes on as its mirror image."""
    size = images.shape[-1]
    most = int(size * SHIFT)
    start = (drawn * (2 * most + 1)).long() - most
    along = start[:, :, None] + torch.arange(size, device=images.device)
    # Reflection without the border's own row, as "REFLECT" pads.
    along = (size - 1) - ((size - 1) - along.abs()).abs()
    rows = along[:, 0, None, :, None].expand(-1, 3, -1, size)
    columns = along[:, 1, None, None, :].expand(-1, 3, size, -1)
    return images.gather(2, rows).gather(3, columns)


def cutout(size: int, drawn: torch.Tensor) -> torch.Tensor:
    """0 within a square of half the side whose middle lies anywhere, `(batch, 1, size, size)`."""
    along = torch.arange(size, device=drawn.device) + 0.5
    outside = (along - drawn[:, :, None] * size).abs() > CUTOUT / 2 * size
    return (outside[:, 0, None, :, None] | outside[:, 1, None, None, :]).float()
