"""Contact sheet of a record folder: some images of every class, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from melanoma_tf.records.decode import Pixels, decode_image, decode_stored_mask
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example

_HEADING_PX = 22
_GAP_PX = 4
_WHITE = 255


def contact_sheet(folder: Path, *, per_class: int = 8, tile_px: int = 128) -> bytes:
    """Draw the first images of every class, each with its lesion mask's outline.

    Records are ordered by a hash, so the first ones are a pseudo-random sample.

    Args:
        folder: the record folder.
        per_class: number of images in a row.
        tile_px: side of a tile; images are scaled to fit into it.

    Returns:
        A PNG: per class a heading with its name and number of examples, and a row of tiles.
    """
    manifest = read_manifest(folder)
    chosen = _first_of_each_class(read_examples(folder), manifest, per_class)
    width = per_class * (tile_px + _GAP_PX) + _GAP_PX
    rows = []
    for name in manifest.class_names:
        rows.append(_heading(f"{name}: {manifest.count(class_name=name):,}", width))
        if chosen[name]:
            rows.append(_row_of_tiles(chosen[name], width, tile_px))
    sheet = np.concatenate(rows)
    return cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes()


def _first_of_each_class(
    examples: Iterable[Example], manifest: Manifest, per_class: int
) -> dict[str, list[Example]]:
    wanted = {
        name: min(per_class, manifest.count(class_name=name)) for name in manifest.class_names
    }
    chosen: dict[str, list[Example]] = {name: [] for name in manifest.class_names}
    open_classes = {name for name, count in wanted.items() if count}
    for example in examples:
        if not open_classes:
            break
        name = example.label_text
        if name in open_classes:
            chosen[name].append(example)
            if len(chosen[name]) == wanted[name]:
                open_classes.remove(name)
    return chosen


def _heading(text: str, width: int) -> Pixels:
    strip = np.full((_HEADING_PX, width, 3), _WHITE, np.uint8)
    cv2.putText(
        strip, text, (_GAP_PX, _HEADING_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1,
        cv2.LINE_AA,
    )  # fmt: skip
    return strip


def _row_of_tiles(examples: Iterable[Example], width: int, tile_px: int) -> Pixels:
    row = np.full((tile_px + _GAP_PX, width, 3), _WHITE, np.uint8)
    for index, example in enumerate(examples):
        tile = _tile(example, tile_px)
        left = _GAP_PX + index * (tile_px + _GAP_PX)
        row[: tile.shape[0], left : left + tile.shape[1]] = tile
    return row


def _tile(example: Example, tile_px: int) -> Pixels:
    image = decode_image(example.image)
    if example.mask:
        mask = decode_stored_mask(example.mask)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        thickness = max(1, max(image.shape) // tile_px)
        cv2.drawContours(image, outlines, -1, (0, 255, 255), thickness)
    scale = tile_px / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
