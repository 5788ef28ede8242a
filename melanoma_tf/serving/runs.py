"""Classify image files with finished runs, in the terms of exported models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from melanoma_tf.classification.predict_files import RunClassifier
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.submissions import FORMATS, mean_by_image, submission_columns
from melanoma_tf.serving.predictions import Prediction
from melanoma_tf.serving.settings import PredictionSettings

_LESION_FOLDER = "IL_"  # MILK10k keeps the images of a lesion in a folder of its name


class ServedRuns:
    """Finished runs with the face of an exported classifier.

    Args:
        run_dirs: finished classifier runs of the same classes.
        settings: views, purification and calibration.

    Raises:
        MelanomaError: as `RunClassifier`; the runs' classes are not those of the format.
    """

    def __init__(self, run_dirs: Sequence[Path], settings: PredictionSettings):
        self._runs = RunClassifier(run_dirs, settings)
        if settings.format:  # before the work, not after it
            submission_columns(self._runs.class_names, settings.format)

    def predict(self, paths: Sequence[Path], *, batch_size: int = 32) -> Iterator[Prediction]:
        """Classify files in batches, in order.

        A file that is no image yields a `Prediction` with an error; the others go on.
        """
        answers = self._runs.probabilities(paths, batch_size)
        for path, answer in zip(paths, answers):
            if isinstance(answer, str):
                yield Prediction(path, (), None, answer)
            else:
                yield Prediction(path, self._runs.class_names, answer)


def as_submission(results: Sequence[Prediction], name: str) -> Predictions:
    """Return the predictions of files for a challenge's file.

    A name is the file's without suffix; of MILK10k, the folder of the lesion, whose images are
    averaged.

    Raises:
        MelanomaError: a file has no prediction, or two have one name.
    """
    bad = [result.path.name for result in results if result.error]
    if bad:
        raise MelanomaError(
            f"expected every image in a file of {name}; {len(bad)} were not classified"
        )
    by_lesion = FORMATS[name].key == "lesion_id"
    ids = [_image_id(result.path, by_lesion) for result in results]
    scores = np.stack([np.asarray(result.probabilities, np.float64) for result in results])
    if by_lesion:
        return mean_by_image(ids, scores, results[0].class_names)
    return Predictions(tuple(ids), scores, results[0].class_names)


def _image_id(path: Path, by_lesion: bool) -> str:
    folder = path.parent.name
    return folder if by_lesion and folder.startswith(_LESION_FOLDER) else path.stem
