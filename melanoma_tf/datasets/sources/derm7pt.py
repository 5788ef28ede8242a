"""Derm7pt: the seven-point checklist data set, a clinical and a dermoscopic image of each case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import Vocabulary
from melanoma_tf.datasets.image_files import find_images
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.readers.folders import layout_error, require_folder, split_named
from melanoma_tf.datasets.readers.joining import DERMOSCOPIC, ImageTypes, chosen_types
from melanoma_tf.datasets.readers.label_files import known_diagnosis
from melanoma_tf.datasets.readers.tables import Row, checked_key, read_table
from melanoma_tf.datasets.source import Source

# Diagnoses of meta.csv: github.com/jeremykawahara/derm7pt
_WORDS: Vocabulary = {
    "basal_cell_carcinoma": "basal_cell_carcinoma",
    **dict.fromkeys(
        (
            "nevus", "blue_nevus", "clark_nevus", "combined_nevus", "congenital_nevus",
            "dermal_nevus", "recurrent_nevus", "reed_or_spitz_nevus",
        ),
        "nevus",
    ),
    **dict.fromkeys(
        (
            "melanoma", "melanoma_in_situ", "melanoma_less_than_0_76_mm",
            "melanoma_0_76_to_1_5_mm", "melanoma_more_than_1_5_mm",
        ),
        "melanoma",
    ),
    # As in the ISIC archive: the challenges' class holds primary melanomas only.
    "melanoma_metastasis": "malignant",
    "dermatofibroma": "dermatofibroma",
    "lentigo": "lentigo",
    "melanosis": "benign",
    "miscellaneous": "unknown",
    "seborrheic_keratosis": "seborrheic_keratosis",
    "vascular_lesion": "vascular_lesion",
}  # fmt: skip
_CLINICAL = "clinical: close-up"
_COLUMNS = (("derm", DERMOSCOPIC), ("clinic", _CLINICAL))


def list_derm7pt(folder: Path, settings: ImageTypes | None = None) -> Listing:
    """List Derm7pt with its split into training, validation and test.

    `meta/meta.csv`, `meta/train_indexes.csv`, `valid_indexes.csv`, `test_indexes.csv`, and
    `images/NEL/NEL025.JPG`, directly in the folder or in `release_v0`. Of each case the dermoscopic
    image is taken, and with `images=all` the clinical one too. Letter case does not matter in file
    names. https://derm.cs.sfu.ca

    Raises:
        MelanomaError: a table is absent or faulty.
    """
    require_folder(folder, "derm7pt")
    roots = (folder, folder / "release_v0")
    root = next((path for path in roots if (path / "meta" / "meta.csv").is_file()), None)
    if root is None:
        raise layout_error("derm7pt", folder, "meta/meta.csv")
    rows = list(read_table(root / "meta" / "meta.csv", ("case_num", "diagnosis", "derm", "clinic")))
    splits = _splits(root / "meta", len(rows))
    found = find_images([root / "images"], below=True)
    files = {_spelling(path.relative_to(root / "images")): path for path in found.paths}
    lesions: dict[str, Lesion] = {}
    missing: list[str] = []
    types: dict[str, str | None] = {}
    for index, row in enumerate(rows):
        for key, spelling, kind in _images(row):
            if key in types and kind != DERMOSCOPIC:
                continue  # One clinical image may show the lesions of several cases.
            if key in types:
                raise MelanomaError(f"{row.place}: expected each image once, found {key} again")
            types[key] = kind
            if spelling in files:
                lesions[key] = _lesion(row, key, files[spelling], splits.get(index, "train"))
            else:
                missing.append(key)
    used = {lesion.image_path for lesion in lesions.values()}
    unused = [path for path in files.values() if path not in used]
    unlabelled = tuple(str(path.relative_to(root / "images")) for path in unused)
    listing = Listing(
        "derm7pt",
        tuple(lesions.values()),
        tuple(missing),
        unlabelled=unlabelled,
        passed_over=found.passed_over,
    )
    return chosen_types(listing, types, (settings or ImageTypes()).images)


def _images(row: Row) -> Iterator[tuple[str, str, str]]:
    """Yield key, spelling of the file's path and type of the images of a case."""
    for column, kind in _COLUMNS:
        value = row.text(column).replace("\\", "/")
        if value:
            path = Path(value)
            parts = (*path.parent.parts, path.stem)
            key = "_".join(checked_key(part, row.place) for part in parts)
            yield key, _spelling(path), kind


def _spelling(path: Path) -> str:
    return path.as_posix().lower()


def _splits(meta: Path, count: int) -> Mapping[int, str]:
    """Read the index files: row of `meta.csv`, from 0, -> split; empty without the files."""
    splits: dict[int, str] = {}
    for name in ("train", "valid", "test"):
        path = meta / f"{name}_indexes.csv"
        for row in read_table(path, ("indexes",)) if path.is_file() else ():
            index = row.number("indexes")
            if index is None or index not in range(count) or int(index) in splits:
                raise MelanomaError(
                    f"{row.place}: expected the number of a row of meta.csv that is in no other "
                    f"split, below {count}; found {row.cells['indexes']!r}"
                )
            splits[int(index)] = split_named(name) or "train"
    return splits


def _lesion(row: Row, key: str, path: Path, split: str) -> Lesion:
    sex = row.text("sex").lower()
    return Lesion(
        key=key,
        image_path=path,
        mask_path=None,
        diagnosis=known_diagnosis(row, _WORDS, "diagnosis"),
        source="derm7pt",
        split=split,
        # The images of a case show one lesion.
        lesion_id=row.text("case_num") or None,
        sex=sex if sex in {"female", "male"} else None,
        site=row.text("location") or None,
    )


DERM7PT = Source(
    "derm7pt",
    list_derm7pt,
    licence="research and education only, see derm.cs.sfu.ca",
    attribution="Kawahara, Daneshvar, Argenziano, Hamarneh. Seven-Point Checklist and Skin Lesion"
    " Classification using Multi-Task Multi-Modal Neural Nets. IEEE JBHI 23(2), 2019,"
    " doi:10.1109/JBHI.2018.2824327",
    settings=ImageTypes,
    vocabulary=_WORDS,
)
