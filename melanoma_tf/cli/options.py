"""Options that several commands share: where they read and write.

Everything that decides a result is a setting, see `derived.settings_options`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
ANY_PATH = click.Path(path_type=Path)


def overwrite(what: str = "existing output") -> Callable[[Command], Command]:
    """`--overwrite`."""
    return click.option("--overwrite", is_flag=True, help=f"Replace {what}.")


def resume(what: str) -> Callable[[Command], Command]:
    """`--resume`."""
    return click.option("--resume", is_flag=True, help=f"Continue {what}.")


def output(help: str = "Folder to create.", required: bool = True) -> Callable[[Command], Command]:
    """`--output`, a folder."""
    return click.option("--output", type=FOLDER, required=required, help=help)


def run_dir(
    help: str = "Run folder, runs/NAME.", required: bool = True, multiple: bool = False
) -> Callable[[Command], Command]:
    """`--run-dir`, a run folder; several arrive as `run_dirs`."""
    name = "run_dirs" if multiple else "run_dir"
    return click.option(
        "--run-dir", name, type=FOLDER, required=required, multiple=multiple, help=help
    )


def records(
    help: str = "Record folder; repeat for several.", required: bool = True
) -> Callable[[Command], Command]:
    """`--records`, one or several record folders."""
    return click.option("--records", type=FOLDER, required=required, multiple=True, help=help)


def exported_model(required: bool = True) -> Callable[[Command], Command]:
    """`--model`, an exported model."""
    return click.option(
        "--model", type=FOLDER, required=required, help="Exported model, saved_models/NAME."
    )


def truth(command: Command) -> Command:
    """`--truth`, a label file."""
    return click.option(
        "--truth", type=ANY_PATH, help="Any label file that build-records reads, or image_id,label."
    )(command)
