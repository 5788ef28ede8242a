"""Results of workers: in order, each once, never fewer, and never code."""

import pickle
import struct
import sys

import pytest

from melanoma_tf.core import beam
from melanoma_tf.core.errors import MelanomaError

KEY = b"of this process and its workers"


def results_file(folder, name, results, *, done=True, key=KEY):
    """A file as a worker leaves it: `results` by index of the item."""
    path = folder / f"{name}.partial"
    with path.open("wb") as stream:
        for index, parts in results.items():
            beam.write_result(stream, key, index, parts)
    if done:
        beam.finish(path)
    return path.with_suffix(".results")


def test_results_come_in_the_order_of_the_items_each_once(tmp_path):
    results_file(tmp_path, "b", {2: [b"c", b"", b"d"], 0: [b"a"]})
    results_file(tmp_path, "a", {1: [], 2: [b"c", b"", b"d"]})
    results_file(tmp_path, "killed", {0: [b"half"], 3: [b"e"]}, done=False)
    results_file(tmp_path, "again", {3: [b"e"]})
    expected = [[b"a"], [], [b"c", b"", b"d"], [b"e"]]
    assert list(beam._in_order(tmp_path, 4, KEY)) == expected


def test_missing_results_are_an_error(tmp_path):
    results_file(tmp_path, "a", {0: [b"a"]})
    with pytest.raises(MelanomaError, match=r"results of 2 items .* found 1: do the workers share"):
        list(beam._in_order(tmp_path, 2, KEY))


@pytest.mark.parametrize("place", [0, 8, 20, 33, -2])
def test_a_damaged_result_is_an_error(tmp_path, place):
    path = results_file(tmp_path, "a", {0: [b"a", b"bcd"]})
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(MelanomaError, match=r"found a damaged one|found 0"):
        list(beam._in_order(tmp_path, 1, KEY))
    path.write_bytes(content[:-1])
    with pytest.raises(MelanomaError, match=r"found a damaged one|found 0"):
        list(beam._in_order(tmp_path, 1, KEY))


class Attack:
    """Its pickle makes a file where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("key", [KEY, b"guessed"])
def test_a_planted_pickle_is_never_run(tmp_path, key):
    made = tmp_path / "made by the attack"
    attack = pickle.dumps([Attack(made)])
    pickle.loads(attack)[0].close()
    assert made.is_file()
    made.unlink()
    results_file(tmp_path, "a", {0: [attack]}, key=key)
    if key == KEY:
        assert list(beam._in_order(tmp_path, 1, KEY)) == [[attack]]
    else:
        with pytest.raises(MelanomaError, match="or that of another program"):
            list(beam._in_order(tmp_path, 1, KEY))
    # As an earlier version wrote and read them.
    (tmp_path / "a.results").write_bytes(struct.pack("<QQI", 0, len(attack), 0) + attack)
    with pytest.raises(MelanomaError, match="or that of another program"):
        list(beam._in_order(tmp_path, 1, KEY))
    assert not made.exists()


@pytest.mark.parametrize("option", ["FlinkRunner", "=x", "--runner=x", "a b=c"])
def test_options_are_pairs(option):
    with pytest.raises(MelanomaError, match="expected KEY=VALUE as an option of Beam"):
        beam.pipeline_arguments([option])


def test_a_missing_beam_is_named_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(MelanomaError, match=r"pip install 'melanoma-tf\[beam\]'"):
        list(beam.map_on_beam(list, ["item"], tmp_path))
    assert not list(tmp_path.iterdir())
