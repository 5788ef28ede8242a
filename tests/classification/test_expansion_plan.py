"""Expansion plans: the paper's printed numbers, and small counts worked out by hand."""

import json
import shutil

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.classification.expansion_plan import (
    EXPANSION_PLANS,
    PAPER_COUNTS,
    generated_fraction,
    grow,
)
from melanoma_tf.cli import main
from melanoma_tf.records.manifest import read_manifest

ISIC2017 = EXPANSION_PLANS["isic2017"]
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")


def plan(*arguments):
    return CliRunner().invoke(main, ["plan", *map(str, arguments)])


def test_the_papers_numbers_come_out():
    done = plan()
    assert done.exit_code == 0, done.output
    for number in ("16,110", "17,928", "16,632", "2,685", "2,988", "2,772", "26%"):
        assert number in done.output
    rows = grow(PAPER_COUNTS["isic2017"], ISIC2017)
    assert [row.examples for row in rows] == [16110, 17928, 16632]
    assert generated_fraction(rows) == pytest.approx(2200 / 8445)


def test_small_counts_by_hand(tmp_path):
    counts = {
        "melanoma": {"real": 3, "purified": 1, "generated": 2},
        "nevus": {"real": 5},
        "seborrheic_keratosis": {"generated": 1},
    }
    rows = grow(counts, ISIC2017)
    assert [row.mirrored for row in rows] == [3 * 2 + 1 + 2 * 2, 5, 2]
    assert [row.examples for row in rows] == [66, 30, 12]
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(counts))
    done = plan("--counts", path)
    assert "108" in done.output
    assert f"{(4 + 2) / 18:.0%}" in done.output


def test_seven_classes_by_hand(tmp_path):
    counts = {name: {"real": 2} for name in EXPANSION_PLANS["isic2018"].mirrored}
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(counts))
    done = plan("--counts", path, "--expansion", "isic2018")
    assert done.exit_code == 0, done.output
    assert str(6 * (6 * 2 * 2 + 2)) in done.output


@given(
    st.fixed_dictionaries(
        {
            name: st.fixed_dictionaries(
                {origin: st.integers(0, 99) for origin in ("real", "purified", "generated")}
            )
            for name in CLASSES
        }
    )
)
def test_every_image_is_seen_and_shares_stay_shares(counts):
    rows = grow(counts, ISIC2017)
    for row in rows:
        images = row.real + row.purified + row.generated
        assert 6 * images <= row.examples <= 12 * images
        assert row.generated_examples <= row.examples
    assert 0 <= generated_fraction(rows) <= 1


def test_records_are_counted(phantom_records, tmp_path):
    manifest = read_manifest(phantom_records)
    copy = shutil.copytree(phantom_records, tmp_path / "copy")
    done = plan("--records", phantom_records, "--records", copy)
    assert done.exit_code == 0, done.output
    for name in CLASSES:
        count = 2 * manifest.count(split="train", class_name=name)
        views = 6 * count * (1 if name == "nevus" else 2)
        row = next(line for line in done.output.splitlines() if name in line)
        assert f" {count:,} " in row
        assert f" {views:,} " in row


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "counts.json: expected JSON, found"),
        ("[1]", "expected counts by class; found a list"),
        ('{"melanoma": {}}', "expected the classes melanoma, nevus, seborrheic_keratosis"),
        ('{"melanoma": {"real": -1}, "nevus": {}, "seborrheic_keratosis": {}}', "found -1"),
        ('{"melanoma": {"fake": 1}, "nevus": {}, "seborrheic_keratosis": {}}', "found fake"),
        ('{"melanoma": 3, "nevus": {}, "seborrheic_keratosis": {}}', "counts by origin; found 3"),
    ],
)
def test_wrong_counts_are_one_line(tmp_path, content, message):
    path = tmp_path / "counts.json"
    path.write_text(content)
    done = plan("--counts", path)
    assert done.exit_code != 0
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_an_unknown_expansion_or_both_sources_are_refused(tmp_path, phantom_records):
    assert "'isic1999' is not one of 'isic2017'" in plan("--expansion", "isic1999").output
    no_counts = plan("--expansion", "isic2018")
    assert no_counts.exit_code != 0
    assert "expected --records or --counts for the expansion isic2018" in no_counts.output
    both = plan("--records", phantom_records, "--counts", tmp_path / "counts.json")
    assert both.exit_code != 0
    assert "found both" in both.output
