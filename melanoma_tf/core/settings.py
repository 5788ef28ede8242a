"""Settings: frozen dataclasses whose fields carry help, choices and bounds.

A setting is declared once, as a field of one of these classes. The command line derives its options
from the fields, a pipeline takes the object, and `config.json` stores it.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, Union

from melanoma_tf.core.errors import MelanomaError, shown
from melanoma_tf.core.files import public_name

_KEY = "setting"
# In a `metavar`: the value may be a path.
_PATHS = frozenset({"FILE", "RUN", "DIR"})
_DEFAULT = object()  # Of `Declaration.before`: the default of the setting.
S = TypeVar("S", bound="Settings")

# The name of a network that ships with the package, where the folder of a run is expected.
SHIPPED = "shipped"


@dataclass(frozen=True)
class Declaration:
    """The description of a setting, besides its type and default.

    Attributes:
        help: one line for the command line.
        choices: the values allowed, or a function that returns them; None for any.
        minimum: the least value; None for none.
        maximum: the largest value; None for none.
        above_minimum: the minimum itself is not allowed.
        below_maximum: the maximum itself is not allowed.
        group: title of the options among which the command line lists it.
        option: name of the option where it is not the field's, as `--class`; "" for none.
        metavar: what the option's value is called in the help.
        shown_default: the default in words, where the value does not say it.
        before: the value that reproduces runs from before the setting existed, where that is not
            the default; see `Settings.from_json`.
    """

    help: str
    choices: tuple[Any, ...] | Callable[[], tuple[Any, ...]] | None = None
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False
    below_maximum: bool = False
    group: str = ""
    option: str | None = None
    metavar: str | None = None
    shown_default: str | None = None
    before: Any = _DEFAULT

    def check(self, name: str, value: Any) -> None:
        """Raise `MelanomaError` where a value is not one of the choices or is out of bounds."""
        for each in value if isinstance(value, tuple) else (value,):
            self._check_one(name, each)

    def allowed(self) -> tuple[Any, ...] | None:
        """The choices as they are now."""
        return self.choices() if callable(self.choices) else self.choices

    def bounds(self) -> str:
        """The bounds in words, as `(0, 1]`."""
        low = "-inf" if self.minimum is None else f"{self.minimum:g}"
        high = "inf" if self.maximum is None else f"{self.maximum:g}"
        opening = "(" if self.above_minimum or self.minimum is None else "["
        closing = ")" if self.below_maximum or self.maximum is None else "]"
        return f"{opening}{low}, {high}{closing}"

    def _check_one(self, name: str, value: Any) -> None:
        if value is None:  # Allowed where the type is `Optional`.
            return
        allowed = self.allowed()
        if allowed is not None and value not in allowed:
            raise MelanomaError(
                f"expected {name} out of {', '.join(map(str, allowed))}; found {shown(value)}"
            )
        if isinstance(value, (str, bool)):
            return
        low, high = self.minimum, self.maximum
        if low is None and high is None:
            return
        inside = math.isfinite(value)
        if low is not None:
            inside &= value > low if self.above_minimum else value >= low
        if high is not None:
            inside &= value < high if self.below_maximum else value <= high
        if not inside:
            raise MelanomaError(f"expected {name} within {self.bounds()}; found {shown(value)}")


def setting(default: Any, help: str, **declared: Any) -> Any:
    """A field of a `Settings` class.

    Args:
        default: the default value; a callable that makes it where it is a `Settings` class.
        help: one line for the command line.
        declared: see `Declaration`.
    """
    return _field(default, Declaration(help, **declared))


def required(help: str, **declared: Any) -> Any:
    """A field without a default; arguments as for `setting`."""
    return _field(dataclasses.MISSING, Declaration(help, **declared))


def fraction(default: Any, help: str, **declared: Any) -> Any:
    """A field in [0, 1]; arguments as for `setting`."""
    return setting(default, help, minimum=0, maximum=1, **declared)


def positive(default: Any, help: str, **declared: Any) -> Any:
    """A field above 0; arguments as for `setting`."""
    return setting(default, help, minimum=0, above_minimum=True, **declared)


def group(kind: type[Settings], *, title: str = "") -> Any:
    """A field that holds settings of another class; the command line lists its options too."""
    return dataclasses.field(default_factory=kind, metadata={"title": title})


def redeclared(kind: type[Settings], name: str, default: Any, **changed: Any) -> Any:
    """The field of a base class with another default (or help), for a class derived from it."""
    return _field(default, dataclasses.replace(declaration(kind, name), **changed))


def declaration(kind: type[Settings], name: str) -> Declaration:
    """The declaration of a setting."""
    return next(f.metadata[_KEY] for f in dataclasses.fields(kind) if f.name == name)


def _field(default: Any, declared: Declaration) -> Any:
    return dataclasses.field(default=default, metadata={_KEY: declared})


@dataclass(frozen=True)
class Settings:
    """Base of all settings: fields are checked when an object is made, and come from JSON.

    Derive frozen dataclasses from it, with fields made by `setting` and `group`.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if _KEY in field.metadata:
                field.metadata[_KEY].check(field.name, getattr(self, field.name))

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values; nested settings as objects."""
        return _plain(dataclasses.asdict(self))

    def to_public_json(self) -> dict[str, Any]:
        """`to_json` for files that others get to see: of a path, its last part only."""
        found = self.to_json()
        for name, kind in field_types(type(self)).items():
            if is_settings(kind):
                found[name] = getattr(self, name).to_public_json()
            elif isinstance(found[name], str) and self._names_path(name):
                found[name] = public_name(found[name])
        return found

    def _names_path(self, name: str) -> bool:
        field = next(each for each in dataclasses.fields(self) if each.name == name)
        metavar = getattr(field.metadata.get(_KEY), "metavar", None) or ""
        return bool(_PATHS & set(metavar.split("|")))

    @classmethod
    def from_json(cls: type[S], payload: Any, where: str = "settings") -> S:
        """Settings from what `to_json` returned, in this version or an earlier one.

        A field that is missing was added since: it gets the value that reproduces what was done
        without it, `Declaration.before`, or else its default. `missing_settings` names such fields.

        Args:
            payload: an object with fields of the class, and no other.
            where: how errors name it.

        Raises:
            MelanomaError: a field is unknown, of another type, out of bounds, or missing and
                without a default.
        """
        if not isinstance(payload, Mapping):
            raise MelanomaError(f"{where}: expected an object; found {type(payload).__name__}")
        types = field_types(cls)
        unknown = [name for name in payload if name not in types]
        if unknown:
            raise MelanomaError(
                f"{where}: expected the settings {', '.join(types)}; found {shown(unknown[0])}, "
                "which is none of them: a newer version of melanoma_tf may have written it"
            )
        completed = {**_values_before(cls, types.keys() - payload.keys(), where), **payload}
        values = {
            name: _typed(completed[name], kind, f"{where}.{name}") for name, kind in types.items()
        }
        try:
            return cls(**values)
        except MelanomaError as error:
            raise MelanomaError(f"{where}: {error}") from None


def missing_settings(kind: type[Settings], payload: Mapping[str, Any]) -> list[str]:
    """Name the settings that stored ones lack, as `optimization.schedule`; see `from_json`.

    Args:
        kind: the class of the settings.
        payload: what `from_json` read without an error.
    """
    found = []
    for name, field_kind in field_types(kind).items():
        if name not in payload:
            found.append(name)
        elif is_settings(field_kind):
            found += [f"{name}.{each}" for each in missing_settings(field_kind, payload[name])]
    return found


def field_types(kind: type[Settings]) -> dict[str, Any]:
    """The fields of a settings class with their types, annotations resolved."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def is_settings(kind: Any) -> bool:
    """Tell whether a type is a settings class."""
    return isinstance(kind, type) and issubclass(kind, Settings)


def optional_type(kind: Any) -> tuple[Any, bool]:
    """The type inside `Optional`, and whether None is allowed."""
    if typing.get_origin(kind) is not Union:
        return kind, False
    inner = [each for each in typing.get_args(kind) if each is not type(None)]
    return inner[0], True


def _values_before(kind: type[Settings], names: Collection[str], where: str) -> dict[str, Any]:
    """JSON values of fields that did not exist when some settings were stored."""
    found: dict[str, Any] = {}
    types = field_types(kind)
    for field in dataclasses.fields(kind):
        if field.name not in names:
            continue
        if is_settings(types[field.name]):  # Its own fields did not exist either.
            found[field.name] = {}
            continue
        before = getattr(field.metadata.get(_KEY), "before", _DEFAULT)
        value = field.default if before is _DEFAULT else before
        if value is dataclasses.MISSING:
            raise MelanomaError(f"{where}: expected the setting {field.name}; found none")
        found[field.name] = _plain(value)
    return found


def _typed(value: Any, kind: Any, where: str) -> Any:
    kind, may_be_none = optional_type(kind)
    if value is None and may_be_none:
        return None
    if is_settings(kind):
        return kind.from_json(value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise MelanomaError(f"{where}: expected a list; found {value!r:.80}")
        inner = typing.get_args(kind)[0]
        return tuple(_typed(each, inner, where) for each in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MelanomaError(f"{where}: expected {kind.__name__}; found {value!r:.80}")
    if kind is float and not math.isfinite(value):
        raise MelanomaError(f"{where}: expected a finite number; found {value!r:.80}")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
