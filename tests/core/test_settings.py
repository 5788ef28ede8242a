"""Settings: declared once, checked when made, and the same again from JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import (
    Settings,
    declaration,
    group,
    missing_settings,
    redeclared,
    required,
    setting,
)


@dataclass(frozen=True)
class Inner(Settings):
    rate: float = setting(0.1, "A rate.", minimum=0, above_minimum=True, maximum=1)
    names: tuple[str, ...] = setting((), "Names.", choices=("a", "b"))


@dataclass(frozen=True)
class Outer(Settings):
    epochs: int = setting(3, "Passes.", minimum=1)
    limit: Optional[float] = setting(None, "A limit.", minimum=0)  # noqa: UP045
    fast: bool = setting(False, "Fast.")
    inner: Inner = group(Inner)  # noqa: RUF009


@dataclass(frozen=True)
class Longer(Outer):
    epochs: int = redeclared(Outer, "epochs", 9)


@given(
    epochs=st.integers(1, 10**6),
    limit=st.none() | st.floats(0, 1e6),
    fast=st.booleans(),
    rate=st.floats(0, 1, exclude_min=True),
    names=st.lists(st.sampled_from("ab")).map(tuple),
)
def test_json_gives_the_same_settings_back(epochs, limit, fast, rate, names):
    settings = Outer(epochs, limit, fast, Inner(rate, names))
    assert Outer.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Outer(epochs=0), r"expected epochs within \[1, inf\); found 0"),
        (lambda: Inner(rate=0.0), r"expected rate within \(0, 1\]; found 0.0"),
        (lambda: Inner(rate=float("nan")), "found nan"),
        (lambda: Inner(rate=float("inf")), "found inf"),
        (lambda: Inner(names=("a", "c")), "expected names out of a, b; found c"),
        (lambda: Outer(limit=-1.0), r"expected limit within \[0, inf\)"),
    ],
)
def test_values_out_of_bounds_are_one_line(make, message):
    with pytest.raises(MelanomaError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": "3"}, "settings.epochs: expected int; found '3'"),
        ({"epochs": True}, "settings.epochs: expected int; found True"),
        ({"epochs": 2.5}, "settings.epochs: expected int; found 2.5"),
        ({"inner": []}, "settings.inner: expected an object; found list"),
        ({"patience": 2}, "found patience, which is none of them"),
        ({"limit": "hot"}, "settings.limit: expected float; found 'hot'"),
    ],
)
def test_damaged_json_is_one_line_that_names_the_place(change, message):
    with pytest.raises(MelanomaError, match=message):
        Outer.from_json({**Outer().to_json(), **change})
    with pytest.raises(MelanomaError, match="expected an object; found list"):
        Outer.from_json([])


@dataclass(frozen=True)
class Later(Settings):
    """`Outer` as a later version might have it."""

    path: str = required("Without a value that reproduces anything.")
    epochs: int = setting(3, "Passes.", minimum=1)
    limit: Optional[float] = setting(None, "A limit.", minimum=0)  # noqa: UP045
    fast: bool = setting(False, "Fast.")
    inner: Inner = group(Inner)  # noqa: RUF009
    rounds: int = setting(5, "New, with a default that changes results.", before=1)
    names: tuple[str, ...] = setting(("a",), "New.", before=())
    more: Inner = group(Inner)  # noqa: RUF009


def test_settings_of_an_earlier_version_get_the_values_that_reproduce_it():
    stored = {"epochs": 7, "limit": 2.0, "inner": {"rate": 0.5}, "path": "x"}
    assert Later.from_json(stored) == Later("x", 7, 2.0, False, Inner(0.5, ()), rounds=1, names=())
    assert missing_settings(Later, stored) == ["fast", "inner.names", "rounds", "names", "more"]
    assert missing_settings(Later, Later("x").to_json()) == []
    with pytest.raises(MelanomaError, match="expected the setting path; found none"):
        Later.from_json({"epochs": 7})


def test_a_redeclared_setting_differs_in_its_default_alone():
    assert Longer().epochs == 9
    assert declaration(Longer, "epochs") == declaration(Outer, "epochs")
    with pytest.raises(MelanomaError, match="within"):
        Longer(epochs=0)
