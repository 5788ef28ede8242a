"""What a user sees first: `--help` of every command, at once and with an example."""

import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from tests.cli.command_tree import commands

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


def test_version_is_the_package_s(run_command):
    from melanoma_tf import __version__

    assert run_command("--version").stdout.strip().endswith(__version__)


def test_an_unknown_command_is_refused(run_command):
    result = run_command("no-such-command")
    assert result.returncode == 2
    assert "no-such-command" in result.stderr
