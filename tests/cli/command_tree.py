"""The commands of the command line, for tests that try every one of them."""

from collections.abc import Iterator

import click


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The words of each command, as `("train", "gan")`, and the command; groups are none."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command
