"""The description of a data set: how to list it, its licence, its words for the diagnoses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from melanoma_tf.datasets.diagnoses import Vocabulary
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.label_files import LabelRow

# What a label file tells of an image: which of its classes; malignant or not, and a diagnosis for
# some; a word; or nothing about the diagnosis.
LabelForm = Literal["classes", "verdict", "words", "metadata"]


@dataclass(frozen=True)
class LabelFile:
    """An official label file, which can be read without the images.

    Attributes:
        read: reader of the file.
        columns: the file is recognised by these columns; of several that fit, most columns win.
        recognize: recognises files without such columns, given the path and the first line's cells.
        form: what the file tells of an image.
        classes: diagnoses that it tells apart, where `form` is `classes`.
    """

    read: Callable[[Path], Sequence[LabelRow]]
    columns: frozenset[str] = frozenset()
    recognize: Callable[[Path, tuple[str, ...]], bool] | None = None
    form: LabelForm = "classes"
    classes: tuple[str, ...] = ()

    def fits(self, path: Path, header: tuple[str, ...]) -> bool:
        """Tell whether this reader is for a file with these cells in its first line."""
        if self.recognize is not None:
            return self.recognize(path, header)
        return self.columns <= set(header)


@dataclass(frozen=True)
class Source:
    """A data set that `list_source` and `build-records` can read.

    A new one needs no registration: `list_source` takes the object itself. To give it a name on
    the command line, add it to `catalogue.SOURCES`.

    Attributes:
        name: name on the command line and in the records.
        list: lists the data set's folder; takes `settings` too where the source has options.
        licence: short name of the licence. A listing that states its own licence keeps it.
        attribution: citation that the licence or good practice asks for; likewise.
        settings: class of the options, a dataclass whose fields are strings with defaults, or
            None. Options that contain a `name` let the user name the data.
        vocabulary: the data set's own words, as `slug` writes them, and the diagnoses they mean.
        label_files: official label files that `taxonomies --labels` recognises.
        archive: name of the archive that the images come from, where equal ids of images, lesions
            and patients mean the same in all its sources. For sources of the catalogue only.

    Example:
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.datasets.lesion import Lesion, Listing
        >>> def list_clinic(folder):
        ...     paths = sorted(folder.rglob("*.jpg"))
        ...     lesions = [Lesion(p.stem, p, None, "nevus", "clinic", "train") for p in paths]
        ...     return Listing("clinic", tuple(lesions))
        >>> clinic = mt.Source("clinic", list_clinic, licence="internal")
        >>> len(mt.list_source(clinic, "phantoms").lesions)
        60
    """

    name: str
    list: Callable[..., Listing]
    licence: str = "not stated"
    attribution: str = "not stated"
    settings: type | None = None
    vocabulary: Vocabulary | None = None
    label_files: tuple[LabelFile, ...] = ()
    archive: str = ""
