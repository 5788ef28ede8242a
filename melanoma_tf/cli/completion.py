"""`melanoma-tf completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PROGRAM = "melanoma-tf"
# click answers the shell where this variable is set.
_VARIABLE = "_MELANOMA_TF_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands and options in a shell.

    \b
    Example:
      melanoma-tf completion bash > ~/.melanoma-tf-completion && source ~/.melanoma-tf-completion
      melanoma-tf completion zsh > ~/.melanoma-tf-completion && source ~/.melanoma-tf-completion
      melanoma-tf completion fish > ~/.config/fish/completions/melanoma-tf.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click has all three.
    program = click.get_current_context().find_root().command
    click.echo(kind(program, {}, _PROGRAM, _VARIABLE).source())


COMMANDS = (completion,)
