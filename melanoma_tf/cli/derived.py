"""Options of a command, derived from the settings that it takes."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import click

from melanoma_tf.core.settings import (
    Declaration,
    Settings,
    declaration,
    field_types,
    is_settings,
    optional_type,
)

Command = Callable[..., Any]


class GroupedOption(click.Option):
    """An option that is listed below the title of its group."""

    def __init__(self, *arguments: Any, group: str = "", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.group = group


# The groups that every training has come last, in this order.
_LAST = ("Training", "Optimization", "Augmentation", "Devices")


class GroupedCommand(click.Command):
    """A command whose help lists options by group."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section for each group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                title = getattr(parameter, "group", "") or "Options"
                groups.setdefault(title, []).append(record)
        titles = [title for title in groups if title not in _LAST]
        for title in [*titles, *(title for title in _LAST if title in groups)]:
            with formatter.section(title):
                formatter.write_dl(groups[title])


def settings_options(
    kind: type[Settings], *, parameter: str = "settings", without: Collection[str] = ()
) -> Callable[[Command], Command]:
    """Add the options of a settings class to a command, which takes them as one object.

    Args:
        kind: the class; settings within it are flattened.
        parameter: the command's parameter that gets the object.
        without: fields that the command sets by itself; they keep their default here.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(*args: Any, **given: Any) -> Any:
            given[parameter] = _collected(kind, given, without)
            return command(*args, **given)

        decorated: Command = with_settings
        for name, declared, default, value_type in reversed(list(_fields(kind, without))):
            decorated = _option(name, declared, default, value_type)(decorated)
        # A command may take several objects; `wraps` has copied the kinds of the inner ones.
        kinds = (kind, *getattr(command, "settings_kinds", ()))
        decorated.settings_kinds = kinds  # type: ignore[attr-defined]
        return decorated

    return decorate


def recipe_option(
    recipes: Mapping[str, Settings],
    summary: str,
    *,
    option: str = "--recipe",
    start: str = "Published settings",
    shown_default: str | None = None,
) -> Callable[[Command], Command]:
    """`--recipe`: a published set of settings as defaults; options that are given count.

    Args:
        recipes: the settings by name.
        summary: what they are, for the help.
        option: another name of the option.
        start: what the settings are, to begin the help with.
        shown_default: the set that the defaults of the settings are.
    """

    def take(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value:
            ctx.default_map = {**(ctx.default_map or {}), **flattened(recipes[value])}

    return click.option(
        option,
        cls=GroupedOption,
        type=click.Choice(sorted(recipes)),
        is_eager=True,
        expose_value=False,
        callback=take,
        show_default=shown_default or False,
        help=f"{start} as defaults; options given here count. {summary}",
    )


def flattened(settings: Settings) -> dict[str, Any]:
    """The values of settings by field name, those of nested settings among them."""
    values: dict[str, Any] = {}
    for name, kind in field_types(type(settings)).items():
        value = getattr(settings, name)
        values.update(flattened(value) if is_settings(kind) else {name: value})
    return values


def option_name(name: str, declared: Declaration) -> str:
    """The option of a field: `--image-size` of `image_size_px`."""
    if declared.option is not None:
        return declared.option
    return "--" + name.removesuffix("_px").replace("_", "-")


def _fields(
    kind: type[Settings], without: Collection[str]
) -> Iterator[tuple[str, Declaration, Any, Any]]:
    types = field_types(kind)
    for field in dataclasses.fields(kind):
        if field.name in without:
            continue
        if is_settings(types[field.name]):
            yield from _fields(types[field.name], without)
            continue
        declared = declaration(kind, field.name)
        if declared.option != "":
            yield field.name, declared, field.default, types[field.name]


def _collected(kind: type[Settings], given: dict[str, Any], without: Collection[str]) -> Settings:
    values = {}
    for name, each in field_types(kind).items():
        if is_settings(each):
            values[name] = _collected(each, given, without)
        elif name in given and name not in without:
            values[name] = given.pop(name)
    return kind(**values)


def _option(
    name: str, declared: Declaration, default: Any, value_type: Any
) -> Callable[[Command], Command]:
    value_type, _ = optional_type(value_type)
    attributes: dict[str, Any] = {
        "cls": GroupedOption,
        "group": declared.group,
        "help": declared.help,
        "metavar": declared.metavar,
    }
    if default is dataclasses.MISSING:
        # Without the attribute: some versions of click take a default of None for a value.
        attributes["required"] = True
    else:
        attributes["default"] = default
        attributes["show_default"] = declared.shown_default or default not in (None, "", ())
    flag = option_name(name, declared)
    if value_type is bool:
        names = f"{flag}/--no-{flag[2:]}" if default and "/" not in flag else flag
        return click.option(names, name, is_flag=True, **attributes)
    if typing.get_origin(value_type) is tuple:
        attributes["multiple"] = True
        value_type = typing.get_args(value_type)[0]
    return click.option(flag, name, type=_parameter_type(declared, value_type), **attributes)


class _IntegerChoice(click.Choice):
    """A choice among whole numbers; click hands choices on as texts."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return int(super().convert(str(value), param, ctx))


def _parameter_type(declared: Declaration, value_type: Any) -> Any:
    allowed = declared.allowed()
    if allowed is not None:
        kind = _IntegerChoice if value_type is int else click.Choice
        return kind([str(each) for each in allowed])
    low, high = declared.minimum, declared.maximum
    if low is None and high is None:
        return value_type
    if value_type is int:
        least, most = (None if end is None else int(end) for end in (low, high))
        return click.IntRange(least, most)
    return click.FloatRange(
        low, high, min_open=declared.above_minimum, max_open=declared.below_maximum
    )
