"""A Python that no TensorFlow of this package has is refused; the tests' order has real files."""

import subprocess

import pytest

from tests.conftest import LONGEST, REPOSITORY


@pytest.mark.parametrize("script", ["demo.sh", "test.sh"])
def test_an_unsupported_python_is_one_clear_line(script, tmp_path):
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in (script, "environment.sh"):
        (scripts / name).write_bytes((REPOSITORY / "scripts" / name).read_bytes())
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.14.1"\nexit 1\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", scripts / script], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
    )  # fmt: skip
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "3.9, 3.10, 3.11, 3.12 or 3.13" in done.stderr
    assert "Python 3.14.1" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_files_that_come_first_exist():
    """A file that was renamed would come last, and one process would wait for the other."""
    absent = [name for name in LONGEST if not (REPOSITORY / "tests" / name).exists()]
    assert absent == []
