"""Random views of square images, a batch at a time on the accelerator."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch.nn import functional


class Views(NamedTuple):
    """How far views differ from the image.

    Attributes:
        scale: least and greatest side of the window, over the image's.
        aspect: least and greatest width over height of the window.
        shift: largest distance of the window from where it fits, over the free space.
        colour: factor of all changes of light and colour.
        convolution: fraction of images that a random convolution changes (Xu et al. 2021).
        corners: fraction of images with dark corners.
        hairs: fraction of images with drawn hairs.
    """

    scale: tuple[float, float]
    aspect: tuple[float, float]
    shift: float
    colour: float
    convolution: float
    corners: float
    hairs: float


CLASSIFIER = Views((0.55, 1.05), (0.7, 1.3), 0.4, 0.6, 0.0, 0.05, 0.1)
SEGMENTER = Views((0.35, 1.2), (0.65, 1.5), 1.0, 1.0, 0.4, 0.15, 0.2)


def uniform(count: int, low: float, high: float, device: torch.device) -> torch.Tensor:
    """Draw float32 `(count,)` in [low, high)."""
    return low + (high - low) * torch.rand(count, device=device)


def random_views(
    images: torch.Tensor, masks: torch.Tensor, size_px: int, views: Views
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one view of each image, and the same of its mask.

    Args:
        images: uint8 `(batch, 3, side, side)` RGB.
        masks: uint8 `(batch, 1, side, side)`, 0 or 1.
        size_px: side of the views.
        views: how far they differ.

    Returns:
        Views in [0, 255], float32 `(batch, 3, size_px, size_px)`, and masks, 0 or 1.
    """
    grid = _grid(len(images), size_px, views, images.device)
    stacked = torch.cat([images.float(), 255.0 * masks.float()], 1)
    moved = functional.grid_sample(
        stacked, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    seen, outlines = moved[:, :3] / 255, (moved[:, 3:] > 127.5).float()
    if views.hairs:
        seen = _with_hairs(seen, views.hairs)
    seen = _coloured(seen, views.colour)
    if views.convolution:
        seen = _convolved(seen, views.convolution)
    seen = _with_dark_corners(_blurred(seen), views.corners)
    return 255.0 * seen.clamp(0, 1), outlines


def _grid(count: int, size_px: int, views: Views, device: torch.device) -> torch.Tensor:
    low, high = (math.log(each) for each in views.scale)
    scale = torch.exp(uniform(count, low, high, device))
    low, high = (0.5 * math.log(each) for each in views.aspect)
    stretch = torch.exp(uniform(count, low, high, device))
    width, height = scale * stretch, scale / stretch
    free_x, free_y = (1 - width).clamp(min=0.05), (1 - height).clamp(min=0.05)
    x = views.shift * uniform(count, -1, 1, device) * free_x
    y = views.shift * uniform(count, -1, 1, device) * free_y
    angle = uniform(count, 0, 2 * math.pi, device)
    flip = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    # The window is turned, then squeezed along the image's axes, as a stretched copy would be.
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = torch.stack([width * cos * flip, -width * sin, x], 1)
    columns = torch.stack([height * sin * flip, height * cos, y], 1)
    theta = torch.stack([rows, columns], 1)
    return functional.affine_grid(theta, [count, 3, size_px, size_px], align_corners=False)


def _coloured(images: torch.Tensor, strength: float) -> torch.Tensor:
    count, device = len(images), images.device

    def draw(spread: float) -> torch.Tensor:
        return uniform(count, -spread, spread, device).view(-1, 1, 1, 1)

    gain = 1 + 0.15 * strength * (2 * torch.rand(count, 3, 1, 1, device=device) - 1)
    grey = images.mean(1, keepdim=True)
    changed = grey + (images - grey) * (1 + draw(0.4 * strength))
    changed = changed * gain * (1 + draw(0.25 * strength))
    mean = changed.mean((1, 2, 3), keepdim=True)
    changed = mean + (changed - mean) * (1 + draw(0.25 * strength))
    return changed.clamp(1e-4, 1) ** torch.exp(draw(0.3 * strength))


def _convolved(images: torch.Tensor, fraction: float) -> torch.Tensor:
    count, _, height, width = images.shape
    kernel = int(2 * torch.randint(0, 3, ()) + 1)
    weights = torch.randn(count * 3, 3, kernel, kernel, device=images.device)
    padded = functional.pad(images, [kernel // 2] * 4, mode="reflect")
    found = functional.conv2d(
        padded.reshape(1, count * 3, *padded.shape[2:]), weights, groups=count
    )
    found = found.view(count, 3, height, width)
    axes = (2, 3)
    mean, std = found.mean(axes, keepdim=True), found.std(axes, keepdim=True) + 1e-3
    found = (found - mean) / std * images.std(axes, keepdim=True) + images.mean(axes, keepdim=True)
    part = uniform(count, 0.2, 1, images.device)
    part = part * (torch.rand(count, device=images.device) < fraction)
    return torch.lerp(images, found, part.view(-1, 1, 1, 1)).clamp(0, 1)


def _blurred(images: torch.Tensor) -> torch.Tensor:
    """Blur or sharpen, by a random part of the difference to the neighbours' mean."""
    soft = functional.avg_pool2d(functional.pad(images, [1] * 4, mode="reflect"), 3, 1)
    part = uniform(len(images), -0.5, 1, images.device).view(-1, 1, 1, 1)
    return torch.lerp(images, soft, part).clamp(0, 1)


def _with_dark_corners(images: torch.Tensor, fraction: float) -> torch.Tensor:
    count, _, side, _ = images.shape
    axis = torch.linspace(-1, 1, side, device=images.device)
    x = axis.view(1, 1, -1) - uniform(count, -0.15, 0.15, images.device).view(-1, 1, 1)
    y = axis.view(1, -1, 1) - uniform(count, -0.15, 0.15, images.device).view(-1, 1, 1)
    radius = uniform(count, 0.95, 1.35, images.device).view(-1, 1, 1)
    inside = ((radius - torch.sqrt(x * x + y * y)) * 20).clamp(0, 1)
    drawn = (torch.rand(count, device=images.device) < fraction).view(-1, 1, 1)
    return images * torch.where(drawn, inside, 1.0).unsqueeze(1)


def _with_hairs(images: torch.Tensor, fraction: float, curves: int = 8) -> torch.Tensor:
    """Draw quadratic curves of a dark colour."""
    count, _, side, _ = images.shape
    device, steps = images.device, 2 * side
    ends = torch.rand(count, curves, 3, 2, device=device) * 1.4 - 0.2
    t = torch.linspace(0, 1, steps, device=device).view(1, 1, -1, 1)
    start, middle, end = (ends[:, :, each].unsqueeze(2) for each in range(3))
    points = ((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t * t * end) * side
    points = points.long()
    visible = torch.rand(count, curves, 1, device=device) < 0.6
    inside = (points >= 0).all(-1) & (points < side).all(-1) & visible
    flat = (points[..., 1] * side + points[..., 0]).clamp(0, side * side - 1)
    drawn = torch.zeros(count, side * side, device=device)
    drawn.scatter_reduce_(1, flat.view(count, -1), inside.float().view(count, -1), "amax")
    drawn = drawn.view(count, 1, side, side)
    thick = functional.max_pool2d(drawn, 3, 1, 1)
    which = torch.rand(count, 1, 1, 1, device=device)
    drawn = torch.where(which < 0.5, drawn, thick)
    drawn = drawn * (torch.rand(count, 1, 1, 1, device=device) < fraction)
    colour = 0.35 * torch.rand(count, 3, 1, 1, device=device)
    opacity = 0.5 + 0.5 * torch.rand(count, 1, 1, 1, device=device)
    return torch.lerp(images, colour.expand_as(images), drawn * opacity)
