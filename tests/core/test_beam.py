"""Results of workers: in order, each once, and never fewer."""

import sys

import pytest

from melanoma_tf.core import beam
from melanoma_tf.core.errors import MelanomaError


def results_file(folder, name, results, *, done=True):
    """A file as a worker leaves it: `results` by index of the item."""
    path = folder / f"{name}.partial"
    with path.open("wb") as stream:
        for index, values in results.items():
            beam.write_results(stream, index, values)
    if done:
        beam.finish(path)
    return path.with_suffix(".results")


def test_results_come_in_the_order_of_the_items_each_once(tmp_path):
    results_file(tmp_path, "b", {2: ["c", "d"], 0: ["a"]})
    results_file(tmp_path, "a", {1: [], 2: ["c", "d"]})
    results_file(tmp_path, "killed", {0: ["half"], 3: ["e"]}, done=False)
    results_file(tmp_path, "again", {3: ["e"]})
    assert list(beam._in_order(tmp_path, 4)) == ["a", "c", "d", "e"]


def test_missing_results_are_an_error(tmp_path):
    results_file(tmp_path, "a", {0: ["a"]})
    with pytest.raises(MelanomaError, match=r"results of 2 items .* found 1: do the workers share"):
        list(beam._in_order(tmp_path, 2))


def test_a_damaged_result_is_an_error(tmp_path):
    path = results_file(tmp_path, "a", {0: ["a"]})
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(MelanomaError, match="found a damaged one"):
        list(beam._in_order(tmp_path, 1))


@pytest.mark.parametrize("option", ["FlinkRunner", "=x", "--runner=x", "a b=c"])
def test_options_are_pairs(option):
    with pytest.raises(MelanomaError, match="expected KEY=VALUE as an option of Beam"):
        beam.pipeline_arguments([option])


def test_a_missing_beam_is_named_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(MelanomaError, match=r"pip install 'melanoma-tf\[beam\]'"):
        list(beam.flat_map_on_beam(list, ["item"], tmp_path))
    assert not list(tmp_path.iterdir())
