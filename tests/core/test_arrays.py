"""Files of arrays: what NumPy wrote comes back, and nothing else is taken for it."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from melanoma_tf.core.arrays import array_names, read_arrays, write_arrays
from melanoma_tf.core.errors import MelanomaError
from tests.damage import bits_of, each_with_a_flipped_bit, read_or_refused

ARRAYS = {
    "0000/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "0001/bias": np.asfortranarray(np.linspace(-1, 1, 6).reshape(2, 3)),
    "0002/scale": np.float32(3),
}
SHAPES = {name: np.shape(value) for name, value in ARRAYS.items()}


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "a.npz", ARRAYS)
    return tmp_path / "a.npz"


def test_arrays_come_back_as_numpy_reads_them(path, tmp_path):
    read = read_arrays(path, SHAPES)
    with np.load(path) as expected:
        assert sorted(expected.files) == sorted(array_names(path)) == sorted(read)
        for name in ARRAYS:
            np.testing.assert_array_equal(read[name], expected[name])
    write_arrays(tmp_path / "b.npz", ARRAYS)
    assert (tmp_path / "b.npz").read_bytes() == path.read_bytes()
    write_arrays(tmp_path / "c.npz", ARRAYS, compressed=True)
    np.testing.assert_array_equal(read_arrays(tmp_path / "c.npz", SHAPES)["0001/bias"],
                                  ARRAYS["0001/bias"])  # fmt: skip


def test_every_flipped_byte_of_an_array_is_found(path):
    content = path.read_bytes()
    start = content.index(ARRAYS["0000/kernel"].tobytes())
    for place in range(start, start + ARRAYS["0000/kernel"].nbytes, 5):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(MelanomaError, match=r"a\.npz: expected a whole .npz file"):
            read_arrays(path, SHAPES)


def test_no_cut_of_a_file_is_read(path):
    content = path.read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(MelanomaError, match=r"a\.npz: expected a whole .npz file"):
            read_arrays(path, SHAPES)


class Attack:
    """Its unpickling would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("entry", ["0000/kernel.npy", "0000/kernel"])
def test_pickles_are_never_opened(tmp_path, entry):
    stream = io.BytesIO()
    np.save(stream, np.array([Attack(tmp_path / "ran")], dtype=object), allow_pickle=True)
    content = (
        stream.getvalue() if entry.endswith(".npy") else pickle.dumps(Attack(tmp_path / "ran"))
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(entry, content)
    with pytest.raises(MelanomaError, match=r"expected floating-point numbers|found none"):
        read_arrays(tmp_path / "a.npz", {"0000/kernel": (1,)})
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(MelanomaError, match=r"expected a whole .npz file"):
        read_arrays(tmp_path / "a.npz", {"0000/kernel": (1,)})
    assert not (tmp_path / "ran").exists()


def test_a_claim_of_terabytes_costs_nothing(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("huge.npy", stream.getvalue())
    with pytest.raises(MelanomaError, match=r"expected huge of the shape \(3,\); found \(10000000"):
        read_arrays(tmp_path / "a.npz", {"huge": (3,)})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "expected the array 0000/kernel; found none"),
        ({"0000/kernel": np.zeros((4, 3), np.float32)}, r"of the shape \(3, 4\); found \(4, 3\)"),
        ({"0000/kernel": np.zeros((3, 4), int)}, "expected floating-point numbers"),
        ({"0000/kernel": np.full((3, 4), np.nan)}, "expected finite numbers"),
    ],
)
def test_other_arrays_are_refused_by_name(tmp_path, arrays, message):
    write_arrays(tmp_path / "a.npz", arrays)
    with pytest.raises(MelanomaError, match=message):
        read_arrays(tmp_path / "a.npz", {"0000/kernel": (3, 4)})


def test_an_absent_file_is_one_line(tmp_path):
    with pytest.raises(MelanomaError, match=r"a\.npz does not exist"):
        read_arrays(tmp_path / "a.npz", {})


def test_a_flipped_bit_never_changes_what_is_read(path):
    """Every third bit of a file: of arrays, of their headers, of the archive's own entries."""
    for _ in each_with_a_flipped_bit(path, bits_of(path)[::3]):
        found, refused = read_or_refused(read_arrays, path, SHAPES)
        if not refused:
            for name, values in ARRAYS.items():
                np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    "header",
    ["{'descr': '<f4', 'shape': (2", "{[]: 1}", "(" * 5000, "{'descr': '<,f4', 'shape': (2,)}"],
)
def test_a_header_is_never_evaluated(tmp_path, header):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("a.npy", start + header.encode() + b"\0" * 8)
    with pytest.raises(MelanomaError, match=r"a\.npz: expected a whole .npz file of arrays"):
        read_arrays(tmp_path / "a.npz", {"a": (2,)})
