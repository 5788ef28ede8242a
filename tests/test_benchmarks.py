"""The benchmarks report in one form, and `all.py` runs each of them."""

import importlib
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "scripts" / "benchmarks"
# all.py itself; one that compares two environments, and one without a peer; modules.
NOT_RUN = {
    "all.py", "stack.py", "input_wait.py", "comparison.py", "occlusion_drawings.py",
    "purification_methods.py",
}  # fmt: skip


@pytest.fixture
def comparison(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("comparison")


@pytest.fixture
def runner(comparison):
    return importlib.import_module("all")


@pytest.mark.parametrize(
    ("ours", "peer", "unit", "ratio"),
    [
        (2.0, 6.0, "s", "3.00"),  # a third of the time
        (50.0, 100.0, "images/s", "0.50"),  # half the speed
        (494.0, 247.0, "MiB", "0.50"),  # twice the memory
        (248, 250, "found", "0.99"),
        (28.4, 24.8, "dB", "+3.6 dB"),
        (5.0, None, "images/s", ""),
    ],
)
def test_a_ratio_above_one_is_better_than_the_peer(comparison, ours, peer, unit, ratio):
    assert comparison.Comparison("work", ours, peer, unit, "peer").ratio == ratio


def test_comparisons_are_read_as_they_were_written(comparison, tmp_path):
    rows = [comparison.Comparison("a", 1.5, None, "s"), comparison.Comparison("b", 1, 2, "dB", "c")]
    comparison.write_json(tmp_path / "rows.json", rows)
    assert comparison.read_json(tmp_path / "rows.json") == rows
    comparison.write_json(None, rows)


def test_every_script_is_run_by_all_and_takes_json(runner):
    scripts = {path.name for path in FOLDER.glob("*.py")}
    assert {each.script for each in runner.BENCHMARKS} == scripts - NOT_RUN
    for name in scripts - NOT_RUN:
        text = (FOLDER / name).read_text()
        assert "add_json_option(" in text, name
        assert "write_json(" in text, name
        options = set(re.findall(r"\"(--[a-z-]+)\"", text)) | {"--json"}
        for each in runner.BENCHMARKS:
            if each.script == name:
                given = re.findall(r"--[a-z-]+", f"{each.small} {each.full}")
                assert set(given) <= options, name


def test_the_table_takes_the_place_of_the_last_one(runner):
    page = f"before\n{runner.BEGIN}\nold\n{runner.END}\nafter\n"
    expected = f"before\n{runner.BEGIN}\nnew\n{runner.END}\nafter\n"
    assert runner.placed(page, "new") == expected
    assert runner.placed(expected, "new") == expected
    with pytest.raises(SystemExit, match="expected a file with the lines"):
        runner.placed("no markers", "new")


def test_the_page_of_benchmarks_has_the_markers(runner):
    page = (FOLDER.parents[1] / "docs" / "benchmarks.md").read_text()
    assert runner.placed(page, "").count(runner.BEGIN) == 1
