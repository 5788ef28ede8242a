"""Predictions as the challenges take them: each one's own columns, in its own order, and no other.

The scorers of 2016 and 2017 read by position: a column too many would be taken for another class.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.datasets.lesion import TAXONOMIES
from melanoma_tf.evaluation.classes import taxonomy_of
from melanoma_tf.evaluation.predictions import (
    CLASS_CODES,
    MALIGNANT,
    UNKNOWN_CLASS,
    Predictions,
    listed,
    refuse_duplicates,
)

_MALIGNANT_CLASSES = (
    "melanoma", "basal_cell_carcinoma", "squamous_cell_carcinoma", "other_malignant_lesion",
)  # fmt: skip
_ISIC2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_ISIC2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
_MILK10K = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")


@dataclass(frozen=True)
class SubmissionFormat:
    """A challenge's file of predictions.

    Attributes:
        key: column of image ids.
        columns: column -> class whose scores it holds, in order.
        taxonomy: whose classes the predictions must be; "" where any with those classes will do.
        header: false where the file starts with the first image.
    """

    key: str
    columns: Mapping[str, str]
    taxonomy: str = ""
    header: bool = True


def _coded(codes: Sequence[str]) -> Mapping[str, str]:
    return MappingProxyType({code: CLASS_CODES[code] for code in codes})


# Sources: challenge.isic-archive.com/landing/2016/39, 2017/44, 2018/47, 2019, milk10k;
# kaggle.com/competitions/siim-isic-melanoma-classification and isic-2024-challenge.
FORMATS: Mapping[str, SubmissionFormat] = MappingProxyType(
    {
        "isic2016": SubmissionFormat("image_id", {"malignant": "melanoma"}, header=False),
        "isic2017": SubmissionFormat(
            "image_id",
            {name: name for name in ("melanoma", "seborrheic_keratosis")},
            taxonomy="isic2017",
        ),
        "isic2018": SubmissionFormat("image", _coded(_ISIC2018), taxonomy="isic2018"),
        "isic2019": SubmissionFormat("image", _coded(_ISIC2019), taxonomy="isic2019"),
        "isic2020": SubmissionFormat("image_name", {"target": "melanoma"}),
        "isic2024": SubmissionFormat("isic_id", {"target": MALIGNANT}),
        "milk10k": SubmissionFormat("lesion_id", _coded(_MILK10K), taxonomy="milk10k"),
    }
)


def write_submission(path: Path, predictions: Predictions, name: str) -> None:
    """Write predictions in the format of a challenge; the file is whole or absent.

    Raises:
        MelanomaError: as `submission_csv`.
    """
    write_atomically(path, submission_csv(predictions, name))


def submission_csv(predictions: Predictions, name: str) -> str:
    """Return predictions in the format of a challenge.

    Scores keep every digit, and have a decimal point. UNK of ISIC 2019 is 0 where the predictions
    have no column for it. `target` of ISIC 2024 is the sum of the malignant classes.

    Args:
        predictions: scores in [0, 1]; labels and patients are left out.
        name: one of `FORMATS`.

    Raises:
        MelanomaError: an unknown format, classes that are not the challenge's, scores outside
            [0, 1], or images of one name.
    """
    columns = submission_columns(predictions.class_names, name)
    scores = predictions.scores
    if not ((scores >= -1e-6) & (scores <= 1 + 1e-6)).all():
        raise MelanomaError(
            f"expected scores in [0, 1] for {name}; found {scores.min():g} to {scores.max():g}"
        )
    image_ids = [image_id.rsplit("/", 1)[-1] for image_id in predictions.image_ids]
    refuse_duplicates("image ids", image_ids)
    values = np.stack(
        [scores[:, list(indices)].sum(axis=1) for indices in columns.values()], axis=1
    )
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if FORMATS[name].header:
        writer.writerow([FORMATS[name].key, *columns])
    for image_id, row in zip(image_ids, np.clip(values, 0.0, 1.0).tolist()):
        writer.writerow([image_id, *map(repr, row)])
    return stream.getvalue()


def mean_by_image(
    image_ids: Sequence[str], scores: np.ndarray, class_names: tuple[str, ...]
) -> Predictions:
    """Average the scores of rows of one name, such as the images of a lesion.

    Args:
        image_ids: a name for each row.
        scores: float64 `(rows, classes)`.
        class_names: of the columns.
    """
    names = list(dict.fromkeys(image_ids))
    number = {name: index for index, name in enumerate(names)}
    rows = np.array([number[name] for name in image_ids])
    sums = np.zeros((len(names), len(class_names)))
    np.add.at(sums, rows, scores)
    counts = np.bincount(rows, minlength=len(names))
    return Predictions(tuple(names), sums / counts[:, None], class_names)


def submission_columns(class_names: Sequence[str], name: str) -> dict[str, tuple[int, ...]]:
    """Return, for each column of a format, the classes whose scores are added up in it.

    Raises:
        MelanomaError: the format is unknown, or the classes are not the challenge's.
    """
    if name not in FORMATS:
        raise MelanomaError(f"expected a format out of {', '.join(FORMATS)}; found {name!r}")
    chosen = FORMATS[name]
    found = taxonomy_of(class_names)
    wrong_taxonomy = chosen.taxonomy and (found is None or found.name != chosen.taxonomy)
    indices = {
        column: _indices(class_names, wanted, chosen.taxonomy)
        for column, wanted in chosen.columns.items()
    }
    missing = [column for column, each in indices.items() if each is None]
    if wrong_taxonomy or missing:
        expected = chosen.taxonomy and f"the classes of {chosen.taxonomy}"
        expected = expected or f"a class {', '.join(chosen.columns.values())}"
        if chosen.taxonomy:
            expected += f" ({listed(TAXONOMIES[chosen.taxonomy].classes, 11)})"
        raise MelanomaError(
            f"expected {expected} for a file of {name}; found {listed(class_names, 11)}"
        )
    return {column: each for column, each in indices.items() if each is not None}


def _indices(class_names: Sequence[str], wanted: str, taxonomy: str) -> tuple[int, ...] | None:
    if wanted in class_names:
        return (class_names.index(wanted),)
    if wanted == UNKNOWN_CLASS and taxonomy:
        return ()
    if wanted == MALIGNANT:
        malignant = [name for name in _MALIGNANT_CLASSES if name in class_names]
        return tuple(class_names.index(name) for name in malignant) or None
    return None
