"""The command line: parses, makes one library call, prints.

Nothing heavy is imported here or at the top of any file of this folder, so that `--help` answers
at once; a command imports what it needs inside its body.
"""

from __future__ import annotations

import os
from typing import Any

import click

from melanoma_tf import __version__
from melanoma_tf.cli import (
    ablate,
    compare,
    completion,
    console,
    demo,
    doctor,
    evaluate,
    explain,
    generate,
    plan,
    purify,
    records,
    report,
    run,
    score,
    score_generator,
    score_segmenter,
    segment,
    serve,
    taxonomies,
    train,
)
from melanoma_tf.core.errors import in_one_line
from melanoma_tf.core.native_output import separate_python_stderr
from melanoma_tf.core.versions import library_versions

# 3 silences TensorFlow's start-up chatter (2 still prints cuDNN lines); an outer setting wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A broken image is named by this tool; OpenCV would say it again, in several lines.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


class _Commands(click.Group):
    """A group that turns errors of the library and of the system into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # The reader of the output has gone; click ends quietly.
            raise
        except Exception as error:
            line = in_one_line(error)
            if line is None:
                raise
            raise click.ClickException(line) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__,
    prog_name="melanoma-tf",
    message="\n".join(
        ["%(prog)s %(version)s", *(f"{name} {found}" for name, found in library_versions().items())]
    ),
)
def main() -> None:
    """Purify, generate, balance, train, score and serve dermoscopic images.

    \b
    The usual order:
      melanoma-tf build-records --add isic2017=DIR --taxonomy isic2017 --output tfrecords/isic2017
      melanoma-tf train classifier --records tfrecords/isic2017 --run-dir runs/first
      melanoma-tf evaluate --run-dir runs/first --records tfrecords/isic2017 --split test
      melanoma-tf export --run-dir runs/first --output saved_models/first
      melanoma-tf predict --model saved_models/first IMAGES

    `melanoma-tf demo` runs all of it on synthetic images. Research software, no medical device.
    """
    separate_python_stderr()
    console.show_notes()


_MODULES = (
    records,
    plan,
    purify,
    train,
    evaluate,
    report,
    explain,
    generate,
    score,
    score_generator,
    score_segmenter,
    segment,
    compare,
    serve,
    taxonomies,
    run,
    ablate,
    demo,
    doctor,
    completion,
)
for group in _MODULES:
    for command in group.COMMANDS:
        main.add_command(command)
