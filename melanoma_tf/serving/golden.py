"""Golden inputs of an exported model, and the answers that it gave where it was exported.

They lie in `assets.extra/golden`, which TensorFlow Serving leaves alone. `serving.verify` replays
them on another machine.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, without_wildcards, write_json
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.serving.signatures import EXPLAIN, IMAGES, PURIFY, SEGMENT
from melanoma_tf.serving.warmup import WarmupRequest, write_warmup

FOLDER = Path("assets.extra") / "golden"
ANSWERS, DAMAGED = "answers.json", "damaged.jpg"
# Signatures that take encoded images.
_REPLAYED = ("serving_default", EXPLAIN, SEGMENT, PURIFY)
# Longer rows of numbers, as saliency maps, are stored as their mean.
_LONGEST_ROW = 100
# EXIF data of one tag, the orientation: turn the image by 90 degrees clockwise.
_TURNED = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)

Answers = dict[str, dict[str, list[Any]]]


def golden_images() -> dict[str, bytes]:
    """Photographs by file name: phantoms of each class, one of them turned; and one bad file."""
    settings = PhantomSettings((120, 160), hairs=1, ruler=0, ink=0, bubbles=0)

    def drawn(class_name: str, seed: int, suffix: str) -> bytes:
        pixels = draw_phantom(class_name, seed, settings).image[..., ::-1]
        return cv2.imencode(suffix, np.ascontiguousarray(pixels))[1].tobytes()

    upright = drawn("seborrheic_keratosis", 3, ".jpg")
    segment = b"\xff\xe1" + struct.pack(">H", len(_TURNED) + 2) + _TURNED
    return {
        "melanoma.jpg": drawn("melanoma", 1, ".jpg"),
        "nevus.png": drawn("nevus", 2, ".png"),
        "turned.jpg": upright[:2] + segment + upright[2:],
        DAMAGED: upright[: len(upright) // 2],
    }


def write_golden(version_dir: Path, model_name: str) -> None:
    """Write golden inputs, the answers of the model in a folder, and its warm-up requests.

    Args:
        version_dir: holds the SavedModel.
        model_name: name under which it is served.
    """
    images, folder = golden_images(), version_dir / FOLDER
    folder.mkdir(parents=True)
    for name, content in images.items():
        (folder / name).write_bytes(content)
    with without_wildcards(version_dir) as named:
        model = tf.saved_model.load(str(named))
        answers = answers_of(model.signatures, list(images.values()))
    write_json(folder / ANSWERS, {"inputs": list(images), "answers": answers})
    good = np.array(list(images.values())[:-1], dtype=object)
    requests = [
        WarmupRequest(model_name, name, {IMAGES: good[:count]})
        for name in answers
        for count in (1, len(good))
    ]
    write_warmup(version_dir, requests)


def read_golden(version_dir: Path) -> tuple[list[bytes], Answers]:
    """The golden inputs of a version folder, and the answers stored.

    Raises:
        MelanomaError: a file is absent or damaged.
    """
    path = version_dir / FOLDER / ANSWERS
    stored = read_json(path)
    names = stored.get("inputs") if isinstance(stored, dict) else None
    if not isinstance(names, list) or not isinstance(stored.get("answers"), dict):
        raise MelanomaError(f"{path}: expected golden inputs and answers; found other JSON")
    known = golden_images()
    if not set(names) <= set(known):
        raise MelanomaError(f"{path}: expected inputs out of {', '.join(known)}; found {names}")
    absent = [name for name in names if not (path.parent / name).is_file()]
    if absent:
        raise MelanomaError(f"expected the golden input {path.parent / absent[0]}; found no file")
    return [(path.parent / name).read_bytes() for name in names], stored["answers"]


def answers_of(signatures: Mapping[str, Any], images: list[bytes]) -> Answers:
    """The answers of the signatures that take encoded images, as JSON values."""
    return {
        name: {
            output: [_stored(value) for value in values.numpy()]
            for output, values in sorted(signatures[name](**{IMAGES: tf.constant(images)}).items())
        }
        for name in _REPLAYED
        if name in signatures
    }


def _stored(value: Any) -> Any:
    """One image's part of an output: text, numbers, or height, width and mean of a picture."""
    if isinstance(value, bytes):
        if not value.startswith(b"\x89PNG"):
            return value.decode()
        pixels: Any = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_UNCHANGED)
        # As a fraction of white, to be comparable with probabilities.
        return [*map(float, pixels.shape[:2]), float(pixels.mean()) / 255.0]
    array = np.asarray(value)
    if array.dtype == object:
        return [each.decode() for each in array]
    numbers = array.astype(np.float64)
    return [float(numbers.mean())] if numbers.size > _LONGEST_ROW else numbers.reshape(-1).tolist()
