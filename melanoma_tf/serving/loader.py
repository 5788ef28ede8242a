"""The one door to an exported model: a classifier or a segmenter, by its metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.client import ServedClassifier, ServedSegmenter
from melanoma_tf.serving.exported import read_exported
from melanoma_tf.serving.signatures import METADATA

ServedModel = Union[ServedClassifier, ServedSegmenter]
# By the task that metadata.json names.
_SERVED: dict[str, type[ServedModel]] = {
    "classification": ServedClassifier,
    "segmentation": ServedSegmenter,
}


def load(folder: Path) -> ServedModel:
    """Load an exported model.

    Args:
        folder: `saved_models/NAME`, of which the newest version is read, or a version folder.

    Returns:
        A `ServedClassifier`, whose `predict` takes image files, or a `ServedSegmenter`, whose
        `segment` does.

    Raises:
        MelanomaError: the folder has no exported model, its metadata or its SavedModel is missing
            or damaged, or its task is unknown.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> model = mt.load(Path("saved_models/first"))
        >>> photo = sorted(Path("phantoms/ISIC-2017_Training_Data").glob("*.jpg"))[0]
        >>> [len(answer.probabilities) for answer in model.predict([photo])]
        [3]
    """
    exported = read_exported(folder)
    task = exported.described("task")
    if task not in _SERVED:
        raise MelanomaError(
            f"{exported.version / METADATA}: expected the task {' or '.join(_SERVED)}; found {task}"
        )
    return _SERVED[task](exported)


def load_classifier(folder: Path) -> ServedClassifier:
    """Load an exported classifier; see `load`.

    Raises:
        MelanomaError: see `load`; or a segmenter was exported.
    """
    served = load(folder)
    if not isinstance(served, ServedClassifier):
        raise MelanomaError(
            f"{folder}: expected a classifier; found a segmenter. To find lesions, use "
            "`melanoma-tf segment --run-dir` with the run that was exported"
        )
    return served


def load_segmenter(folder: Path) -> ServedSegmenter:
    """Load an exported segmenter; see `load`.

    Raises:
        MelanomaError: see `load`; or a classifier was exported.
    """
    served = load(folder)
    if not isinstance(served, ServedSegmenter):
        raise MelanomaError(
            f"{folder}: expected a segmenter; found a classifier. To classify images, use "
            "`melanoma-tf predict`"
        )
    return served
