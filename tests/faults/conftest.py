"""Commands in processes that can be killed at any moment, and a drive that can be full."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma_tf.records.manifest import read_manifest
from tests.conftest import REPOSITORY

CHATTER = ("Traceback", "Segmentation fault", "core dumped")


class Commands:
    """The process that runs commands, see `command_server`."""

    def __init__(self, folder: Path):
        self._said = [folder / "said", folder / "said-too"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.command_server"], cwd=REPOSITORY, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        assert self._process.stdout.readline() == "ready\n"

    def run(self, *arguments, kill_after=None):
        """Run a command; return its code (-9 where it was killed), seconds, and what it said."""
        (answer,) = self._run([arguments], kill_after)
        return answer

    def run_together(self, *commands, kill_after=None):
        """Run commands at the same time; return of each what `run` does.

        With `kill_after="first"`, those that still run are killed once one has ended.
        """
        return self._run(commands, kill_after)

    def _run(self, commands, kill_after=None):
        asked = [
            {"arguments": [str(each) for each in arguments], "kill_after": kill_after,
             "said": str(place)}
            for arguments, place in zip(commands, self._said)
        ]  # fmt: skip
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answers = json.loads(self._process.stdout.readline())
        said = [place.read_text() for _, place in zip(answers, self._said)]
        assert not any(word in each for word in CHATTER for each in said), said
        return [(each["code"], each["seconds"], words) for each, words in zip(answers, said)]

    def succeed(self, *arguments):
        """Run a command that must succeed; return its seconds."""
        code, seconds, said = self.run(*arguments)
        assert code == 0, said
        return seconds

    def close(self):
        self._process.communicate()


def moments(seconds, count):
    """Moments within the time that a command takes; always the same fractions."""
    choose = random.Random(count)
    return [seconds * choose.random() for _ in range(count)]


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def digests(folder):
    return {shard.name: shard.sha256 for shard in read_manifest(folder).shards}


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    found = Commands(tmp_path_factory.mktemp("commands"))
    yield found
    found.close()


@pytest.fixture
def small_drive(tmp_path):
    """A function that makes a drive of some size; skipped where mounting is not allowed."""
    place = tmp_path / "drive"
    mounted = []

    def make(size):
        if mounted:
            subprocess.run(["umount", place], check=True)
            mounted.clear()
        place.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        mounted.append(True)
        return place

    yield make
    if mounted:
        subprocess.run(["umount", "-l", place], check=True)
