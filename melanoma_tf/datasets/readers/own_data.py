"""The user's own data: options and diagnoses that class folders and tables share."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.datasets.diagnoses import diagnosis_of, slug
from melanoma_tf.datasets.readers.label_files import UNKNOWN
from melanoma_tf.datasets.vocabularies import ANY_WORDS


@dataclass(frozen=True)
class OwnDataSettings:
    """The user's statements about the data.

    Attributes:
        name: name of the source in the records; ids hold within sources of one name.
        licence: licence of the images.
        attribution: whom to cite.
    """

    name: str
    licence: str = "not stated"
    attribution: str = "not stated"


def own_diagnosis(words: str) -> str:
    """Return the diagnosis that any known word means; another word is kept, without a class."""
    return diagnosis_of(ANY_WORDS, words) or slug(words) or UNKNOWN
