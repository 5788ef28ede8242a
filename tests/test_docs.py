"""The documentation is true to the tree: its links, commands, options and scripts exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from melanoma_tf.cli import main
from tests.cli.command_tree import commands

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
        *(REPOSITORY / "docs").glob("*.md"),
        *(REPOSITORY / "melanoma_tf" / "pretrained").glob("*.md"),
        *(REPOSITORY / name / "README.md" for name in ("saved_models", "tfrecords")),
    ]
)
# A target in brackets, as in [text](target) and ![text](target).
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
SCRIPT = re.compile(r"\bscripts/[\w./-]+\.(?:py|sh)\b")
# Options of other programs that pages name outside of code blocks.
FOREIGN_OPTIONS = frozenset({"--help"})


class Line(NamedTuple):
    """A line of code of a page, its continuation lines joined."""

    page: str
    number: int
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def code_lines(page: Path) -> Iterator[Line]:
    """The lines of fenced and of indented code."""
    fenced, begun, first = False, "", 0
    for number, raw in enumerate(page.read_text().splitlines(), start=1):
        if raw.startswith("```"):
            fenced = not fenced
            continue
        if not (begun or fenced or raw.startswith("    ")):
            continue
        first = first if begun else number
        begun += raw.strip()
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        yield Line(name_of(page), first, begun)
        begun = ""


def prose(page: Path) -> str:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


COMMANDS = sorted(path for path, _ in commands(main))
CODE = [line for page in PAGES for line in code_lines(page)]
COMMAND_LINES = [line for line in CODE if line.text.startswith("melanoma-tf ")]
SCRIPT_LINES = [line for line in CODE if SCRIPT.search(line.text)]


def place(line: Line) -> str:
    return f"{line.page}:{line.number}"


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, and its arguments."""
    command: click.Command = main
    while isinstance(command, click.Group):
        assert words, f"{command.name} needs a command"
        assert words[0] in command.commands, f"melanoma-tf has no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def parse(words: list[str]) -> None:
    """Parse a command line without running it: an unknown option or a wrong value raises."""
    command, arguments = command_of(words)
    command.make_context(command.name, arguments)


def options_of(command: click.Command) -> set[str]:
    return {option for each in command.params for option in (*each.opts, *each.secondary_opts)}


def option_names(source: Path) -> set[str]:
    """The options of a script: a Python source names them in quotation marks."""
    if source.suffix == ".sh":
        return set(OPTION.findall(source.read_text()))
    return set(re.findall(r"[\"'](--[a-z][a-z0-9-]*)[\"']", source.read_text()))


def heading_anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_files_and_headings(page):
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} does not exist"
        assert not anchor or anchor in heading_anchors(linked), f"{target}: no such heading"


@pytest.mark.parametrize("line", COMMAND_LINES, ids=place)
def test_a_command_line_is_one_that_the_program_takes(line):
    words = shlex.split(re.sub(r"\$\w+", "0", line.text), comments=True)
    try:
        parse(words[1:])
    except click.ClickException as error:
        pytest.fail(f"{line.text}\n{error.format_message()}")


@pytest.mark.parametrize("line", SCRIPT_LINES, ids=place)
def test_a_script_line_names_options_of_the_script(line):
    own, _, forwarded = line.text.partition(" -- ")
    known = option_names(REPOSITORY / SCRIPT.search(own).group())
    assert set(OPTION.findall(own)) <= known
    # Behind `--` stand options of `train classifier`.
    classifier, _ = command_of(["train", "classifier"])
    assert set(OPTION.findall(forwarded)) <= options_of(classifier)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_scripts_exist(page):
    for script in SCRIPT.findall(page.read_text()):
        assert (REPOSITORY / script).exists(), f"{script} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_in_prose_exist(page):
    known = {option for path in COMMANDS for option in options_of(command_of(list(path))[0])}
    for script in (REPOSITORY / "scripts").rglob("*.*"):
        known |= option_names(script) if script.suffix in {".py", ".sh"} else set()
    for span in CODE_SPAN.findall(prose(page)):
        unknown = set(OPTION.findall(span)) - known - FOREIGN_OPTIONS
        assert not unknown, f"`{span}`: no command has {', '.join(sorted(unknown))}"
        words = span.split()
        if words[0] == "melanoma-tf":
            command, _ = command_of(words[1:])
            assert set(OPTION.findall(span)) <= options_of(command) | FOREIGN_OPTIONS


def test_the_readme_lists_every_command():
    table = (REPOSITORY / "README.md").read_text().partition("## Commands")[2].partition("\n## ")[0]
    listed = set(CODE_SPAN.findall(table))
    assert listed == {" ".join(path) for path in COMMANDS}


def test_command_lines_were_found():
    assert {line.page for line in COMMAND_LINES} >= {"README.md", "docs/tour.md"}
    assert len(COMMAND_LINES) > 40
