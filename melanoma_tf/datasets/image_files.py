"""One listing of photographs and masks in folders, for data sets and for every command.

`find_images` lists the photographs that a user names, `scan_images` those of a data set's folders
by key, `scan_masks` the masks. All agree on which file is a photograph, and all name what they pass
over, with the reason.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_tf.core.errors import MelanomaError

if TYPE_CHECKING:
    import h5py

# What `records.decode.read_image` reads. In order of preference, where two names differ in the
# suffix only.
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dcm",
)  # fmt: skip
HDF5_SUFFIXES = (".hdf5", ".h5")
# Types that stand beside photographs and cannot be taken for one: not worth a word.
_DOCUMENTS = frozenset(
    (".csv", ".tsv", ".tab", ".txt", ".md", ".json", ".pdf", ".xlsx", ".xls", ".html")
)

LESION_MASK, OCCLUSION_MASK = "lesion mask", "occlusion mask"
ATTRIBUTE_MASK = "attribute mask"
_SUPERPIXELS, _REGION = "superpixel map", "region of interest"
# Endings that the data sets themselves use for files that are no photographs.
_OFFICIAL_ENDINGS = (
    (re.compile(r"_segmentation\Z", re.I), LESION_MASK),
    (re.compile(r"_superpixels\Z", re.I), _SUPERPIXELS),
    (re.compile(r"_attribute_[a-z_]+\Z", re.I), ATTRIBUTE_MASK),
    (re.compile(r"_R\d+_Label\d+\Z", re.I), _REGION),
)
# Endings that a photograph may have too: they count next to the photograph itself, and in a folder
# of their own name, as PH2 has them.
_OTHER_ENDINGS = (
    (re.compile(r"_?mask\Z", re.I), LESION_MASK),
    (re.compile(r"_lesion\Z", re.I), LESION_MASK),
    (re.compile(r"_roi\Z", re.I), _REGION),
    (re.compile(r"_occlusions?\Z", re.I), OCCLUSION_MASK),
)
_OUTSIDE = "__MACOSX"
NOT_SEARCHED = "folder, not searched"
_SECOND = "second file of its name"
_NAMED = 3


def printable(name: str) -> str:
    """Return a name as it can be printed in a line: with control characters, it is escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]


@dataclass(frozen=True)
class PassedOver:
    """A file or folder among images that is not used, and the reason."""

    path: Path
    reason: str

    @property
    def name(self) -> str:
        """The file's name without folders, which stay private; see `printable`."""
        return printable(self.path.name)


@dataclass(frozen=True)
class FoundImages:
    """The photographs that a user named.

    Attributes:
        paths: sorted in each folder.
        passed_over: what lies beside them and is not used.
    """

    paths: tuple[Path, ...]
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True)
class ImageScan:
    """The photographs and masks of some folders.

    Attributes:
        images: key -> photograph, in order of key.
        masks: key of the photograph -> its lesion mask.
        passed_over: other files, and those whose key another file has already.
        folders: sub-folders that were not searched.
    """

    images: Mapping[str, Path] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    passed_over: tuple[PassedOver, ...] = ()
    folders: tuple[Path, ...] = ()


def find_images(inputs: Iterable[Path], *, below: bool = False) -> FoundImages:
    """List the photographs among files and folders.

    A file is taken as it is named, an HDF5 file with all its images. In a folder, masks, superpixel
    maps, hidden files, links to nothing, pipes, other types and (unless `below`) sub-folders are
    passed over.

    Args:
        inputs: files and folders.
        below: search sub-folders too.

    Raises:
        MelanomaError: a path does not exist or is no regular file, or a folder has no photograph.
    """
    found: list[Path] = []
    passed: list[PassedOver] = []
    for path in inputs:
        if path.is_dir():
            listed = _list((path,), below=below)
            if not listed.photographs:
                beside = "; ".join(describe(_beside(listed), path)) or "none"
                expected = ", ".join(IMAGE_SUFFIXES)
                raise MelanomaError(f"{path}: expected {expected} files, found {beside}")
            found += listed.photographs
            passed += _beside(listed)
        elif path.is_file():
            inside = hdf5_images(path) if path.suffix.lower() in HDF5_SUFFIXES else None
            found += inside.paths if inside else [path]
            passed += inside.passed_over if inside else ()
        elif path.exists():
            raise MelanomaError(f"expected an image or a folder of images; {path} is no file")
        else:
            raise MelanomaError(f"expected an image or a folder of images; {path} does not exist")
    passed += [PassedOver(path, "named twice") for path, n in Counter(found).items() if n > 1]
    return FoundImages(tuple(dict.fromkeys(found)), tuple(passed))


def _beside(listed: _Listed) -> list[PassedOver]:
    """What a listing has besides photographs."""
    return [
        *listed.passed_over,
        *(PassedOver(path, kind) for _, path, kind in listed.masks),
        *(PassedOver(path, NOT_SEARCHED) for path in listed.folders),
    ]


def describe(passed_over: Iterable[PassedOver], root: Path | None = None) -> list[str]:
    """Describe what was passed over, one line for each reason with its count and first names.

    Args:
        passed_over: the files.
        root: names are given below it; None gives file names only.
    """
    by_reason: dict[str, list[str]] = {}
    for each in passed_over:
        inside = root is not None and root in each.path.parents
        folder = each.path.parent.relative_to(root) if root and inside else Path()
        name = str(folder / each.name)
        by_reason.setdefault(each.reason, []).append(name)
    return [
        f"{len(names):,} x {reason}: {', '.join(names[:_NAMED])}"
        + (" ..." if len(names) > _NAMED else "")
        for reason, names in by_reason.items()
    ]


def scan_images(*folders: Path, below: bool = False) -> ImageScan:
    """List photographs and masks of a data set's folders by key, the name without suffix.

    Absent folders are empty. Of two files of one key, that in the first folder is taken, and in
    one folder the one whose suffix comes first in `IMAGE_SUFFIXES`; the other is passed over. Keys
    from label files are looked up in the result, so no key can reach a file elsewhere.

    Args:
        folders: the folders.
        below: search sub-folders too.
    """
    listed = _list(folders, below=below)
    passed = list(listed.passed_over)
    images = _by_key(((path.stem, path) for path in listed.photographs), passed)
    masks = _by_key(_of_kind(listed, LESION_MASK, passed), passed)
    return ImageScan(images, masks, tuple(passed), tuple(listed.folders))


def scan_masks(*folders: Path, kind: str = LESION_MASK) -> ImageScan:
    """List masks by the key of their photograph, in folders made for masks.

    Args:
        folders: the folders.
        kind: `LESION_MASK`, named `KEY_segmentation`, `KEY_lesion` or `KEY_mask`, or
            `OCCLUSION_MASK`, named `KEY_occlusion`; else the bare `KEY`.

    Returns:
        A scan without `images`.
    """
    listed = _list(folders, all_endings=True)
    passed = list(listed.passed_over)
    masks = _by_key(_of_kind(listed, kind, passed), passed)
    plain = _by_key(((path.stem, path) for path in listed.photographs), passed)
    for key, path in plain.items():
        if masks.setdefault(key, path) is not path:
            passed.append(PassedOver(path, _SECOND))
    return ImageScan({}, masks, tuple(passed))


def mask_of(masks: Mapping[str, Path], image: Path) -> Path | None:
    """Look up the mask of an image in what `scan_masks` found; an image is never its own mask."""
    path = masks.get(image.stem)
    return None if path is None or path.resolve() == image.resolve() else path


def hdf5_images(path: Path) -> FoundImages:
    """List the images of an HDF5 file, each as if the file were a folder: `FILE.hdf5/KEY`.

    Groups are no images. Names with control characters, and links, which may lead to nothing or
    into other files, are passed over.

    Raises:
        MelanomaError: the file is another one, or has no image.
    """
    # Imported here, since few need it; it is a dependency of Keras.
    import h5py

    try:
        with h5py.File(path, "r") as file:
            reasons = {key: _why_no_image(file, key) for key in file}
    except (OSError, RuntimeError) as error:  # The latter where the list of names is damaged.
        raise MelanomaError(f"{path}: expected an HDF5 file, found {error}") from None
    found = FoundImages(
        tuple(path / key for key, reason in reasons.items() if not reason),
        tuple(PassedOver(path / key, reason) for key, reason in reasons.items() if reason),
    )
    if not found.paths:
        beside = "; ".join(describe(found.passed_over)) or "none"
        raise MelanomaError(f"{path}: expected images in the HDF5 file; found {beside}")
    return found


def _why_no_image(file: h5py.File, key: str) -> str:
    """Return why an entry of an HDF5 file is no image; "" for one that may be."""
    import h5py

    if not key.isprintable():
        return "name with control characters"
    if not issubclass(file.get(key, getclass=True, getlink=True), h5py.HardLink):
        return "link in an HDF5 file"
    is_array = issubclass(file.get(key, getclass=True), h5py.Dataset)
    return "" if is_array else "group of an HDF5 file"


def refuse_equal_names(paths: Iterable[Path]) -> None:
    """Refuse two images of one name, whose results would be one file.

    Raises:
        MelanomaError: two names differ in folder or suffix only.
    """
    by_name: dict[str, Path] = {}
    for path in paths:
        if by_name.setdefault(path.stem, path) is not path:
            raise MelanomaError(
                f"expected images of different names; found {by_name[path.stem]} and {path}"
            )


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, or one that macOS adds to archives."""
    return name.startswith(".") or name == _OUTSIDE


@dataclass
class _Listed:
    """The files of some folders by kind; a mask is a triple of image key, file and kind."""

    photographs: list[Path] = field(default_factory=list)
    masks: list[tuple[str, Path, str]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)


def _list(folders: Iterable[Path], *, below: bool = False, all_endings: bool = False) -> _Listed:
    listed = _Listed()
    # Folders may be named twice, and lie in one another.
    files = dict.fromkeys(
        path for folder in dict.fromkeys(folders) for path in _image_files(folder, below, listed)
    )
    stems = None if all_endings else {path.stem for path in files}
    for path in files:
        key, kind = _as_mask(path, stems)
        if kind:
            listed.masks.append((key, path, kind))
        else:
            listed.photographs.append(path)
    listed.passed_over = list(dict.fromkeys(listed.passed_over))
    return listed


def _as_mask(path: Path, stems: Collection[str] | None) -> tuple[str, str]:
    """Return the image's key and the kind of mask that a name tells; "" for a photograph's.

    Args:
        path: the file.
        stems: of all files; None takes a name by any ending for that of a mask.
    """
    stem = path.stem
    for pattern, kind in _OFFICIAL_ENDINGS:
        if (found := pattern.search(stem)) and found.start():
            return stem[: found.start()], kind
    for pattern, kind in _OTHER_ENDINGS:
        key = stem[: found.start()] if (found := pattern.search(stem)) else ""
        if key and (stems is None or key in stems or path.parent.name.lower() == stem.lower()):
            return key, kind
    return "", ""


def _image_files(folder: Path, below: bool, listed: _Listed) -> Iterator[Path]:
    """Yield the files with an image's suffix, in order of name; note the others in `listed`."""
    if not folder.is_dir():
        return
    waiting, seen = [folder], {os.path.realpath(folder)}
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise MelanomaError(f"{place}: cannot be listed: {error.strerror}") from None
        folders = []
        for entry in ordered:
            path = place / entry.name
            # A loop of links is an error to the entry itself, but no folder to the path.
            if os.path.isdir(path) if entry.is_symlink() else entry.is_dir():
                if is_hidden(entry.name):
                    listed.passed_over.append(PassedOver(path, "hidden folder or one of macOS"))
                elif not below:
                    listed.folders.append(path)
                elif (real := os.path.realpath(path)) not in seen:
                    seen.add(real)
                    folders.append(path)
            elif reason := _why_not(entry):
                listed.passed_over.append(PassedOver(path, reason))
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                yield path
        waiting += reversed(folders)


def _why_not(entry: os.DirEntry[str]) -> str:
    """Return why an entry that is no folder is no image file; "" for images and documents."""
    suffix = Path(entry.name).suffix.lower()
    if is_hidden(entry.name):
        return "hidden file" if suffix in IMAGE_SUFFIXES else ""
    if not entry.name.isprintable():
        return "name with control characters"
    if entry.is_symlink() and not os.path.isfile(entry.path):
        return "link to nothing"
    if not entry.is_file():
        return "no regular file"
    if suffix in IMAGE_SUFFIXES or suffix in _DOCUMENTS:
        return ""
    return f"file of another type ({suffix or 'no suffix'})"


def _of_kind(listed: _Listed, kind: str, passed: list[PassedOver]) -> list[tuple[str, Path]]:
    """Return keys and files of the masks of one kind; the others are noted in `passed`."""
    passed += [PassedOver(path, other) for _, path, other in listed.masks if other != kind]
    return [(key, path) for key, path, found in listed.masks if found == kind]


def _by_key(files: Iterable[tuple[str, Path]], passed: list[PassedOver]) -> dict[str, Path]:
    """Map keys to files, the preferred of each key; the others are noted in `passed`."""
    pairs = list(files)
    places = {
        parent: index for index, parent in enumerate(dict.fromkeys(p.parent for _, p in pairs))
    }
    pairs.sort(key=lambda pair: (pair[0], places[pair[1].parent], _preference(pair[1])))
    found: dict[str, Path] = {}
    for key, path in pairs:
        if found.setdefault(key, path) is not path:
            passed.append(PassedOver(path, _SECOND))
    return found


def _preference(path: Path) -> int:
    return IMAGE_SUFFIXES.index(path.suffix.lower())
