import dataclasses
import json

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.build.unfinished import unfinished_build, unfinished_folder
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.verify import verify_records

SETTINGS = BuildSettings("isic2017", image_size=24, shards=4, split="0.5/0.25/0.25")


class InterruptedBuildError(Exception):
    pass


def interrupt_after(count):
    def wrap(results, total):
        for index, result in enumerate(results):
            if index == count:
                raise InterruptedBuildError
            yield result

    return wrap


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupted(listing, output, after, settings=SETTINGS):
    with pytest.raises(InterruptedBuildError):
        build_records([listing], settings, output, progress=interrupt_after(after))


@pytest.mark.parametrize("after", [8, 19, 30, 39])
def test_a_resumed_build_equals_one_that_was_never_interrupted(make_listing, tmp_path, after):
    listing = make_listing(40)
    for index in (3, 17, 29):
        listing.lesions[index].image_path.write_bytes(b"broken")
    whole = build_records([listing], SETTINGS, tmp_path / "whole" / "out")
    output = tmp_path / "resumed" / "out"
    interrupted(listing, output, after)
    assert not output.exists()
    resumed = build_records([listing], SETTINGS, output, resume=True, workers=2)
    assert contents(output) == contents(tmp_path / "whole" / "out")
    assert resumed == whole
    assert len(resumed.skipped) == 3
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_finished_shards_are_not_made_again(make_listing, tmp_path):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=19)
    left = unfinished_folder(tmp_path / "out")
    finished = {path.stat().st_ino for path in left.glob("train-0000[0-2].part")}
    assert len(finished) == 3
    seen = []

    def count(results, total):
        for result in results:
            seen.append(result)
            yield result

    build_records([listing], SETTINGS, tmp_path / "out", resume=True, progress=count)
    shards = {path.stat().st_ino for path in (tmp_path / "out").glob("train-*.tfrecord")}
    assert finished < shards
    assert len(seen) == 25


def test_several_interruptions_add_up(make_listing, tmp_path):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=12)
    with pytest.raises(InterruptedBuildError):
        build_records(
            [listing], SETTINGS, tmp_path / "out", resume=True, progress=interrupt_after(14)
        )
    build_records([listing], SETTINGS, tmp_path / "out", resume=True)
    build_records([listing], SETTINGS, tmp_path / "whole")
    shards = {path.name for path in (tmp_path / "whole").glob("*.tfrecord")}
    for name in shards:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert verify_records(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"image_size": 32}, "image_size was 24, found 32"), ({"seed": 1}, "seed was 0, found 1")],
)
def test_other_settings_do_not_resume(make_listing, tmp_path, changes, message):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=19)
    other = dataclasses.replace(SETTINGS, **changes)
    with pytest.raises(MelanomaError, match=message):
        build_records([listing], other, tmp_path / "out", resume=True)
    # Accepting gaps is no other setting: it changes no shard. Nor are the shards lost by now.
    accepting = dataclasses.replace(SETTINGS, skip_bad=True)
    build_records([listing], accepting, tmp_path / "out", resume=True)
    assert read_manifest(tmp_path / "out").settings["skip_bad"] is True


def test_other_data_do_not_resume(make_listing, tmp_path):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=19)
    fewer = dataclasses.replace(listing, lesions=listing.lesions[:-1])
    with pytest.raises(MelanomaError, match="rows was"):
        build_records([fewer], SETTINGS, tmp_path / "out", resume=True)


def test_without_resume_a_build_starts_again(make_listing, tmp_path):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=19)
    other = dataclasses.replace(SETTINGS, image_size=32)
    build_records([listing], other, tmp_path / "out")
    assert verify_records(tmp_path / "out") == []
    assert not unfinished_folder(tmp_path / "out").exists()


def test_resume_without_an_interrupted_build_is_a_plain_build(make_listing, tmp_path):
    build_records([make_listing(12)], SETTINGS, tmp_path / "out", resume=True)
    assert verify_records(tmp_path / "out") == []


def test_an_early_end_leaves_nothing(make_listing, tmp_path):
    interrupted(make_listing(40), tmp_path / "made" / "out", after=2)
    assert list((tmp_path / "made").iterdir()) == []


def test_a_journal_cut_in_the_middle_of_a_line_and_a_lost_shard(make_listing, tmp_path):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=19)
    journal = unfinished_folder(tmp_path / "out") / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    build_records([listing], SETTINGS, tmp_path / "out", resume=True)
    assert verify_records(tmp_path / "out") == []

    interrupted(listing, tmp_path / "lost", after=19)
    (unfinished_folder(tmp_path / "lost") / "train-00000.part").unlink()
    with pytest.raises(MelanomaError, match=r"train-00000\.part: expected the finished shard"):
        build_records([listing], SETTINGS, tmp_path / "lost", resume=True)


def test_a_kill_while_the_shards_are_named_can_be_resumed(make_listing, tmp_path):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=19)
    folder = unfinished_folder(tmp_path / "out")
    (folder / "train-00000.part").rename(folder / "train-00000-of-00004.tfrecord")
    build_records([listing], SETTINGS, tmp_path / "out", resume=True)
    assert verify_records(tmp_path / "out") == []


def test_a_place_that_cannot_be_written_gives_one_line(make_listing, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(MelanomaError, match="expected a folder that can be created"):
        build_records([make_listing(12)], SETTINGS, tmp_path / "file" / "out")


def test_a_full_disk_gives_one_line_and_the_build_can_go_on(make_listing, tmp_path, monkeypatch):
    import tensorflow as tf

    listing = make_listing(40)
    written = []

    def full(self, record):
        written.append(record)
        if len(written) > 15:
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")
        return write(self, record)

    write = tf.io.TFRecordWriter.write
    monkeypatch.setattr(tf.io.TFRecordWriter, "write", full)
    with pytest.raises(MelanomaError, match="cannot be written: No space left on device"):
        build_records([listing], SETTINGS, tmp_path / "out")
    monkeypatch.undo()
    build_records([listing], SETTINGS, tmp_path / "out", resume=True)
    assert verify_records(tmp_path / "out") == []


def test_a_second_build_of_the_same_folder_is_refused(make_listing, tmp_path):
    listing = make_listing(12)
    output = tmp_path / "out"
    with unfinished_build(output, {}, resume=False, overwrite=False):
        with pytest.raises(MelanomaError, match="expected no other build of"):
            build_records([listing], SETTINGS, output)
        build_records([listing], SETTINGS, tmp_path / "other")
    assert json.loads((tmp_path / "other" / "manifest.json").read_text())["schema_version"] == 1
    assert not list(tmp_path.glob(".out*"))
