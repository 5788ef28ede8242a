"""Options that several commands share: where they read and write.

Everything that decides a result is a setting, see `derived.settings_options`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melanoma_tf.core.urls import is_remote, public_url

Command = Callable[..., Any]


class LocalPath(click.Path):
    """A path of this machine; a URL is a usage error, since it would become a local folder."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Convert a value, see `click.Path`."""
        if is_remote(value):
            self.fail(f"expected a path on this machine; found {public_url(value)}", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = LocalPath(path_type=Path, file_okay=False)
FILE = LocalPath(path_type=Path, dir_okay=False)
ANY_PATH = LocalPath(path_type=Path)
# Also s3://, gs:// and http:// folders.
RECORDS = click.Path(path_type=Path)


def overwrite(what: str = "existing output") -> Callable[[Command], Command]:
    """`--overwrite`."""
    return click.option("--overwrite", is_flag=True, help=f"Replace {what}.")


def resume(what: str) -> Callable[[Command], Command]:
    """`--resume`."""
    return click.option("--resume", is_flag=True, help=f"Continue {what}.")


def output(
    help: str = "Folder to create.", required: bool = True, kind: click.Path = FOLDER
) -> Callable[[Command], Command]:
    """`--output`, a folder; `kind=RECORDS` for one that may be remote."""
    return click.option("--output", type=kind, required=required, help=help)


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
    return click.option("--records", type=RECORDS, required=required, multiple=True, help=help)


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


def runner(command: Command) -> Command:
    """`--runner` and `--beam-option`: where the work on images is done."""
    with_options = click.option(
        "--beam-option",
        "beam_options",
        metavar="KEY=VALUE",
        multiple=True,
        help="Option of Apache Beam, such as runner=FlinkRunner or direct_num_workers=4; may be "
        "repeated. Needs --runner beam.",
    )(command)
    return click.option(
        "--runner",
        type=click.Choice(["local", "beam"]),
        default="local",
        show_default=True,
        help="Work on images in threads of this process, or by Apache Beam; the records are equal.",
    )(with_options)


def beam(runner: str, beam_options: tuple[str, ...]) -> tuple[str, ...] | None:
    """The options of Apache Beam that the user gave; None for the local runner."""
    if runner == "local" and beam_options:
        raise click.UsageError("--beam-option needs --runner beam")
    return beam_options if runner == "beam" else None
