"""What a user sees first: `--help` of every command, at once and with an example."""

import os
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from melanoma_tf.cli import main
from tests.cli.command_tree import commands
from tests.conftest import REPOSITORY

COMMANDS = sorted(path for path, _ in commands(main))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example_on_a_line_of_its_own(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    lines = [line.strip() for line in result.output.splitlines()]
    assert any(line.startswith("melanoma-tf " + " ".join(command)) for line in lines), result.output
    assert "\\b" not in result.output


def test_no_help_imports_tensorflow_or_other_heavy_packages(run_command):
    program = (
        "import sys, melanoma_tf\n"
        "from click.testing import CliRunner\n"
        "from melanoma_tf.cli import main\n"
        f"for command in [()] + {COMMANDS!r}:\n"
        "    assert CliRunner().invoke(main, [*command, '--help']).exit_code == 0\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'cv2', 'sklearn', 'matplotlib', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert run_command("-c", program, module=None).stdout.strip() == "[]"


def test_version_names_the_libraries_without_importing_them(run_command):
    from melanoma_tf import __version__

    program = (
        "import sys\n"
        "from melanoma_tf.cli import main\n"
        "main(['--version'], standalone_mode=False)\n"
        "print(sorted({'tensorflow', 'keras', 'numpy', 'cv2'} & set(sys.modules)))\n"
    )
    first, *libraries, imported = run_command("-c", program, module=None).stdout.splitlines()
    assert first == f"melanoma-tf {__version__}"
    versions = dict(line.split() for line in libraries)
    assert versions["Python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert versions["tensorflow"] == tf.__version__
    assert imported == "[]"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("melanoma-tf", "train", "c"), {"classifier", "coupled-gan"}),
        (("melanoma-tf", "train", "gan", "--overw"), {"--overwrite"}),
    ],
)
def test_bash_completes_commands_and_options(words, expected, tmp_path, run_command):
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    script = run_command("completion", "bash").stdout
    # The script calls the command by its name, which need not be on the path here.
    command = tmp_path / "melanoma-tf"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m melanoma_tf "$@"\n')
    command.chmod(0o755)
    program = (
        f"{script}\nCOMP_WORDS=({' '.join(words)})\nCOMP_CWORD={len(words) - 1}\n"
        "_melanoma_tf_completion melanoma-tf\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert set(done.stdout.split()) == expected, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_that_calls_the_command(shell):
    result = CliRunner().invoke(main, ["completion", shell])
    assert f"_MELANOMA_TF_COMPLETE={shell}_complete" in result.output


def test_an_unknown_command_is_refused(run_command):
    result = run_command("no-such-command")
    assert result.returncode == 2
    assert "no-such-command" in result.stderr
