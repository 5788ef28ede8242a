"""Interrupted builds: killed, out of disk space, resumed, and two at once."""

import dataclasses
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.build import spool as spool_module
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.build.unfinished import unfinished_build, unfinished_folder
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
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


def counting(seen):
    def wrap(results, total):
        for result in results:
            seen.append(result)
            yield result

    return wrap


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupted(listing, output, after, settings=SETTINGS):
    with pytest.raises(InterruptedBuildError):
        build_records([listing], settings, output, progress=interrupt_after(after))


@pytest.mark.parametrize("after", [1, 19, 39])
def test_a_resumed_build_equals_one_that_was_never_interrupted(make_listing, tmp_path, after):
    listing = make_listing(40)
    for index in (3, 17, 29):
        listing.lesions[index].image_path.write_bytes(b"broken")
    frame = np.full((60, 80), 255, np.uint8)
    frame[10:50, 10:70] = 0
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    framed = tuple(
        dataclasses.replace(lesion, mask_path=tmp_path / "frame.png")
        if index in (8, 30)
        else lesion
        for index, lesion in enumerate(listing.lesions)
    )
    listing = dataclasses.replace(listing, lesions=framed)
    whole = build_records([listing], SETTINGS, tmp_path / "whole" / "out")
    output = tmp_path / "resumed" / "out"
    interrupted(listing, output, after)
    assert not output.exists()
    seen = []
    resumed = build_records(
        [listing], SETTINGS, output, resume=True, workers=2, progress=counting(seen)
    )
    # It goes on at the very image.
    assert len(seen) == 40 - after
    assert contents(output) == contents(tmp_path / "whole" / "out")
    assert resumed == whole
    assert len(resumed.skipped) == 3
    assert resumed.findings["inverted_masks"][listing.name]["count"] == 2
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_an_interruption_while_the_records_are_written_costs_no_image(make_listing, tmp_path):
    listing, output = make_listing(40), tmp_path / "out"
    with pytest.raises(InterruptedBuildError):
        build_records([listing], SETTINGS, output, write_progress=interrupt_after(25))
    seen = []
    build_records([listing], SETTINGS, output, resume=True, progress=counting(seen))
    assert seen == []
    build_records([listing], SETTINGS, tmp_path / "whole" / "out")
    assert contents(output) == contents(tmp_path / "whole" / "out")


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
    # Accepting gaps is no other setting: it changes no shard. Nor are the images lost by now.
    accepting = dataclasses.replace(SETTINGS, skip_bad=True)
    build_records([listing], accepting, tmp_path / "out", resume=True)
    assert read_manifest(tmp_path / "out").settings["skip_bad"] is True


def test_other_data_do_not_resume(make_listing, tmp_path):
    listing = make_listing(40)
    interrupted(listing, tmp_path / "out", after=19)
    fewer = dataclasses.replace(listing, lesions=listing.lesions[:-1])
    with pytest.raises(MelanomaError, match="rows was"):
        build_records([fewer], SETTINGS, tmp_path / "out", resume=True)


def test_a_file_that_changed_since_is_read_again_and_one_that_vanished_is_kept(
    make_listing, tmp_path
):
    listing, output = make_listing(12), tmp_path / "out"
    with pytest.raises(InterruptedBuildError):
        build_records([listing], SETTINGS, output, write_progress=interrupt_after(0))
    changed, vanished, broken = (listing.lesions[index] for index in (2, 5, 7))
    shutil.copy(listing.lesions[3].image_path, changed.image_path)
    vanished.image_path.unlink()
    broken.image_path.write_bytes(b"broken")
    seen = []
    build_records([listing], SETTINGS, output, resume=True, progress=counting(seen))
    assert len(seen) == 2
    images = {example.key: example.image for example in read_examples(output)}
    assert images[changed.key] == images[listing.lesions[3].key]
    assert vanished.key in images
    (skipped,) = read_manifest(output).skipped
    assert skipped["key"] == broken.key


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


def test_a_torn_spool_costs_only_what_is_torn(make_listing, tmp_path):
    """A power cut may lose the end of the spool, or leave a hole in it or in the thumbnails."""
    listing, output = make_listing(40), tmp_path / "out"
    build_records([listing], SETTINGS, tmp_path / "whole" / "out")
    folder = unfinished_folder(output)
    interrupted(listing, output, after=19)
    for name, begin in (("images", -20), ("images", 4000), ("thumbnails", 3 * 4096)):
        path = folder / name
        content = bytearray(path.read_bytes())
        content[begin:] = bytes(len(content[begin:]))
        path.write_bytes(content)
        interrupted_again = interrupt_after(12)
        with pytest.raises(InterruptedBuildError):
            build_records([listing], SETTINGS, output, resume=True, progress=interrupted_again)
    build_records([listing], SETTINGS, output, resume=True)
    assert contents(output) == contents(tmp_path / "whole" / "out")


@pytest.mark.parametrize("moved", [False, True])
def test_a_kill_while_the_records_are_published_is_finished_by_the_next(
    make_listing, tmp_path, moved
):
    listing, output = make_listing(12), tmp_path / "out"
    build_records([listing], SETTINGS, tmp_path / "whole" / "out")
    with pytest.raises(InterruptedBuildError):
        build_records([listing], SETTINGS, output, write_progress=interrupt_after(0))
    folder = unfinished_folder(output)
    (folder / "header.json").rename(folder / "published.json")
    if moved:
        shutil.rmtree(folder / "records")
        shutil.copytree(tmp_path / "whole" / "out", output)
        with pytest.raises(MelanomaError, match="exists"):
            build_records([listing], SETTINGS, output, resume=True)
    else:
        build_records([listing], SETTINGS, output, resume=True)
    assert contents(output) == contents(tmp_path / "whole" / "out")
    assert not list(tmp_path.glob(".out*"))


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


def test_too_little_space_is_said_before_the_work(make_listing, tmp_path, monkeypatch):
    listing, seen = make_listing(40), []
    usage = shutil._ntuple_diskusage(10**6, 10**6 - 900, 900)
    monkeypatch.setattr(spool_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(MelanomaError, match=r"expected about \d+ MB of free space"):
        build_records([listing], SETTINGS, tmp_path / "out", progress=counting(seen))
    assert len(seen) == 32


def test_the_spool_takes_no_more_than_the_records(make_listing, tmp_path):
    listing, output = make_listing(40), tmp_path / "out"
    with pytest.raises(InterruptedBuildError):
        build_records([listing], SETTINGS, output, write_progress=interrupt_after(0))
    spool = (unfinished_folder(output) / "images").stat().st_size
    build_records([listing], SETTINGS, output, resume=True)
    assert spool <= sum(path.stat().st_size for path in output.glob("*.tfrecord"))


def test_a_second_build_of_the_same_folder_is_refused(make_listing, tmp_path):
    listing = make_listing(12)
    output = tmp_path / "out"
    with unfinished_build(output, {}, resume=False, overwrite=False):
        with pytest.raises(MelanomaError, match="expected no other build of"):
            build_records([listing], SETTINGS, output)
        build_records([listing], SETTINGS, tmp_path / "other")
    assert json.loads((tmp_path / "other" / "manifest.json").read_text())["schema_version"] == 1


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from melanoma_tf.records.build import spool, unfinished
from melanoma_tf.records.build.build import build_records

module, name, count = sys.argv[3].split(":")
owner = {"spool": spool.Spool, "unfinished": unfinished.UnfinishedBuild}[module]
before, calls = getattr(owner, name), [0]

def killing(self, *arguments):
    calls[0] += 1
    if calls[0] == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return before(self, *arguments)

setattr(owner, name, killing)
spool._SECONDS_BETWEEN_FLUSHES = 0
listing, settings = pickle.loads(Path(sys.argv[1]).read_bytes())
build_records([listing], settings, Path(sys.argv[2]), workers=2, resume=True)
"""


def test_killed_builds_are_accepted_by_none_and_end_as_if_never_killed(
    make_listing, tmp_path, shard_bytes
):
    listing, output = make_listing(40), tmp_path / "out"
    (tmp_path / "build.py").write_text(KILLED)
    (tmp_path / "listing").write_bytes(pickle.dumps((listing, SETTINGS)))
    repository = Path(__file__).resolve().parents[3]
    for moment in ("spool:write:15", "spool:read:20", "unfinished:publish:1"):
        process = subprocess.run(
            [sys.executable, tmp_path / "build.py", tmp_path / "listing", output, moment],
            check=False, env={**os.environ, "PYTHONPATH": str(repository)},
        )  # fmt: skip
        assert process.returncode == -signal.SIGKILL
        assert not output.exists()
        records = unfinished_folder(output) / "records"
        # They are whole from the last moment on, and only there.
        assert (records / "manifest.json").exists() == (moment == "unfinished:publish:1")
        with pytest.raises(MelanomaError, match=r"no manifest\.json"):
            read_manifest(records.parent)
    seen = []
    build_records([listing], SETTINGS, output, resume=True, progress=counting(seen))
    assert seen == []
    build_records([listing], SETTINGS, tmp_path / "whole")
    assert shard_bytes(output) == shard_bytes(tmp_path / "whole")
    assert verify_records(output) == []
