"""A data set in a few lines: the files it lies in, and what its listing must say."""

from collections import Counter

import pytest

from melanoma_tf.datasets.catalogue import list_source


@pytest.fixture
def folder_of(tmp_path):
    """A function that writes files into a folder: text and bytes as they are, None as empty."""

    def write(files, name="data"):
        for path, content in files.items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            payload = content.encode() if isinstance(content, str) else content or b""
            target.write_bytes(payload)
        return tmp_path / name

    return write


@pytest.fixture
def check_source(folder_of):
    """Write a data set, list it, compare; the listing is returned for further questions.

    Listing reads names and tables only, so empty files serve as images.
    """

    def check(source, files, *, diagnoses, splits, missing=(), masks=(), **options):
        folder = folder_of(files)
        listing = list_source(source, folder, options)
        assert {lesion.key: lesion.diagnosis for lesion in listing.lesions} == diagnoses
        assert dict(Counter(lesion.split for lesion in listing.lesions)) == splits
        assert listing.missing == tuple(missing)
        assert {lesion.key for lesion in listing.lesions if lesion.mask_path} == set(masks)
        for lesion in listing.lesions:
            assert lesion.source == listing.name
            assert lesion.image_path.is_file() or lesion.image_path.parent.suffix == ".hdf5"
            assert lesion.mask_path is None or lesion.mask_path.is_file()
            assert folder in lesion.image_path.parents
        assert listing.licence
        assert listing.attribution
        return listing

    return check
