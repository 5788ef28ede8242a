"""Publication without a gap, and what the next run does with what a killed one left."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from melanoma_tf.core import outputs
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.exchange import exchange
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.locks import locked
from melanoma_tf.core.outputs import (
    published_folder,
    refuse_existing,
    refuse_existing_file,
    workers_folder,
)

REPOSITORY = Path(__file__).resolve().parents[2]
PUBLISH = """
import os, signal, sys
from pathlib import Path
from melanoma_tf.core import outputs

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

output, moment = Path(sys.argv[1]), sys.argv[2]
if moment == "between the renames":
    outputs.exchange = lambda first, second: False
    rename, calls = Path.rename, []
    def second_dies(path, target):
        if calls:
            die()
        calls.append(target)
        return rename(path, target)
    Path.rename = second_dies
if moment == "after the exchange":
    outputs.shutil.rmtree = die
with outputs.published_folder(output, overwrite=True) as folder:
    (folder / "content").write_text("new")
    if moment == "in the middle":
        die()
    if moment == "waiting":
        print("ready", flush=True)
        sys.stdin.read()
"""


def publish(output, text, **options):
    with published_folder(output, **options) as folder:
        (folder / "content").write_text(text)


def start(output, moment):
    return subprocess.Popen(
        [sys.executable, "-c", PUBLISH, str(output), moment], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize(
    ("moment", "holds"),
    [("in the middle", "old"), ("between the renames", "old"), ("after the exchange", "new")],
)
def test_the_next_run_undoes_or_finishes_what_a_killed_one_began(tmp_path, moment, holds):
    output = tmp_path / "out"
    publish(output, "old")
    process = start(output, moment)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert hidden(tmp_path)
    with pytest.raises(MelanomaError, match="exists; expected a new path, or --overwrite"):
        publish(output, "later")
    assert (output / "content").read_text() == holds
    assert hidden(tmp_path) == []
    publish(output, "later", overwrite=True)
    assert (output / "content").read_text() == "later"
    assert hidden(tmp_path) == []


def test_there_is_always_a_folder_while_it_is_replaced(tmp_path):
    output, seen, done = tmp_path / "out", [], threading.Event()
    publish(output, "0")
    if not exchange(*(_made(tmp_path / name) for name in ("a", "b"))):
        pytest.skip("this file system cannot exchange folders")

    def look():
        while not done.is_set():
            seen.append((output / "content").exists())

    watcher = threading.Thread(target=look)
    watcher.start()
    for number in range(50):
        publish(output, str(number), overwrite=True)
    done.set()
    watcher.join()
    assert len(seen) > 100
    assert all(seen)


def _made(path):
    path.mkdir()
    return path


def test_two_processes_do_not_write_one_output(tmp_path):
    process = start(tmp_path / "out", "waiting")
    assert process.stdout.readline() == b"ready\n"
    for overwrite in (False, True):
        with pytest.raises(MelanomaError, match="no other command that writes"):
            publish(tmp_path / "out", "mine", overwrite=overwrite)
    process.communicate(b"", timeout=60)
    assert (tmp_path / "out" / "content").read_text() == "new"
    assert hidden(tmp_path) == []


def test_a_lock_is_free_again_after_a_kill(tmp_path):
    process = start(tmp_path / "out", "in the middle")
    process.communicate(timeout=60)
    with locked(tmp_path / "out"):
        pass
    assert not (tmp_path / ".out.lock").exists()


@pytest.mark.parametrize("name", [".out.1234.partial", ".out.1234.retired"])
def test_what_the_tool_did_not_make_stays(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("years")
    publish(tmp_path / "out", "new")
    publish(tmp_path / "out", "newer", overwrite=True)
    assert (tmp_path / name / "thesis.txt").read_text() == "years"


def test_without_an_exchange_the_old_folder_stays_where_the_new_one_fails(tmp_path, monkeypatch):
    publish(tmp_path / "out", "old")
    monkeypatch.setattr(outputs, "exchange", lambda first, second: False)
    publish(tmp_path / "out", "new", overwrite=True)
    assert (tmp_path / "out" / "content").read_text() == "new"
    with pytest.raises(RuntimeError), published_folder(tmp_path / "out", overwrite=True):
        raise RuntimeError
    assert (tmp_path / "out" / "content").read_text() == "new"
    assert hidden(tmp_path) == []


def test_a_drive_that_refuses_chmod_loses_nothing(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    publish(tmp_path / "out", "new")
    write_atomically(tmp_path / "file", "content")
    assert (tmp_path / "file").read_text() == "content"
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "other", "content")
        publish(tmp_path / "private", "new")
    finally:
        os.umask(mask)
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("name", ["manifest.json", "a.jpg", "train.tfrecord", "below/b.PNG"])
def test_a_file_of_an_input_is_never_replaced(tmp_path, name):
    photographs, link = tmp_path / "photographs", tmp_path / "link"
    (photographs / "below").mkdir(parents=True)
    link.symlink_to(photographs)
    (photographs / name).touch()
    (photographs / "predictions.csv").touch()
    for folder in (photographs, link):
        with pytest.raises(MelanomaError, match=f"{name} is a file of the input"):
            refuse_existing_file(folder / name, True, [photographs])
        refuse_existing_file(folder / "predictions.csv", True, [photographs])
        refuse_existing_file(folder / "new.json", False, [photographs])


def test_a_loop_of_links_is_refused_before_the_work(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for refuse in (refuse_existing, refuse_existing_file):
        with pytest.raises(MelanomaError, match="is a loop of links"):
            refuse(tmp_path / "a", False)
        with pytest.raises(MelanomaError, match="is a loop of links"):
            refuse(tmp_path / "a" / "below", False)
        with pytest.raises(MelanomaError, match="is a loop of links"):
            refuse(tmp_path / "out", False, [tmp_path / "b"])


def test_names_as_long_as_the_system_takes(tmp_path):
    name = "n" * 250
    publish(tmp_path / name, "new")
    publish(tmp_path / name, "newer", overwrite=True)
    write_atomically(tmp_path / f"{name}.csv", "rows")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.csv"]


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_one(tmp_path):
    (tmp_path / ".p.csv.1234.partial").write_text("half")
    (tmp_path / ".other.csv.1234.partial").write_text("half")
    refuse_existing_file(tmp_path / "p.csv", False)
    assert hidden(tmp_path) == [".other.csv.1234.partial"]


def test_a_folder_that_was_only_begun_is_no_obstacle(tmp_path):
    """Killed while the first file, its marker, was written."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "..melanoma-tf.json.1234.partial").write_text("{")
    publish(tmp_path / "out", "new")
    assert (tmp_path / "out" / "content").read_text() == "new"


def test_a_folder_of_workers_goes_at_the_end_and_after_a_kill(tmp_path):
    output = tmp_path / "new" / "records"
    with pytest.raises(ZeroDivisionError), workers_folder(output) as folder:
        (folder / "results").write_bytes(b"x")
        assert folder.parent == output.parent
        raise ZeroDivisionError
    assert not list(output.parent.iterdir())
    killed = workers_folder(output)
    folder = killed.__enter__()
    (folder / "results").write_bytes(b"x")
    with published_folder(output) as temporary:
        (temporary / "shard").write_bytes(b"y")
    assert [path.name for path in output.parent.iterdir()] == ["records"]
    killed.__exit__(None, None, None)
