"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
ANY_PATH = click.Path(path_type=Path)

overwrite = click.option("--overwrite", is_flag=True, help="Replace output that is there.")
seed = click.option("--seed", default=0, show_default=True, help="Same seed, same result.")
split = click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="The split of the records.",
)


def run_dir(required: bool = True):  # type: ignore[no-untyped-def]
    """`--run-dir`, the run folder."""
    return click.option(
        "--run-dir", type=FOLDER, required=required, help="The run folder, runs/NAME."
    )


def records():  # type: ignore[no-untyped-def]
    """`--records`, a record folder."""
    return click.option(
        "--records", type=FOLDER, required=True, help="A folder that build-records made."
    )
