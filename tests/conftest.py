"""Shared fixtures: where the real data lies, and how a command is run as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("MELANOMA_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set MELANOMA_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def run_command():
    """A function that runs `melanoma-tf ARGUMENTS` in a process of its own."""

    def run(*arguments, **options):
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, "-m", "melanoma_tf", *map(str, arguments)],
            capture_output=True, text=True, timeout=300, env=environment, check=False, **options,
        )  # fmt: skip

    return run
