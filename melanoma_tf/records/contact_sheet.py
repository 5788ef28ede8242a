"""Contact sheet of a record folder: some images of every class, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.records.decode import Pixels, decode_image, decode_stored_mask
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example

_HEADING_PX = 22
_GAP_PX = 4
_OUTLINE = (0, 255, 255)


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
        heading = f"{name}: {manifest.count(class_name=name):,}"
        rows.append(sheets.caption(heading, width, height_px=_HEADING_PX, left_px=_GAP_PX))
        if chosen[name]:
            rows.append(_row_of_tiles(chosen[name], tile_px))
    return sheets.encode_png(sheets.stack(rows))


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


def _row_of_tiles(examples: Sequence[Example], tile_px: int) -> Pixels:
    tiles = [sheets.extend(_tile(example, tile_px), tile_px, tile_px) for example in examples]
    return sheets.add_margins(sheets.side_by_side(tiles, _GAP_PX), left=_GAP_PX, bottom=_GAP_PX)


def _tile(example: Example, tile_px: int) -> Pixels:
    image = decode_image(example.image)
    if example.mask:
        mask = decode_stored_mask(example.mask)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        thickness = max(1, max(image.shape) // tile_px)
        cv2.drawContours(image, outlines, -1, _OUTLINE, thickness)
    return sheets.fit(image, tile_px)
