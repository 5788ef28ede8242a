"""The one error that users are meant to read."""

from __future__ import annotations

import re
import sys
from typing import Any

from melanoma_tf.core.urls import without_secrets

_LONGEST_SHOWN = 80
_PLACE_IN_GRAPH = re.compile(r"\{\{.*?\}\}|\[Op:\w+\]( name:( \S+)?)?")

_FIRST_OF_SEVERAL = re.compile(r"^\s*\(0\) (?:[A-Z_]+: *)?(.*)$", re.MULTILINE)


class MelanomaError(ValueError):
    """Bad input, said in one line: what was expected, and what was found.

    The command line prints the message alone and exits with 1; a caller of the library catches
    it as the `ValueError` that it is.

    Example:
        >>> import melanoma_tf as mt
        >>> try:
        ...     mt.RecordSet.read("tfrecords/absent")
        ... except mt.MelanomaError as error:
        ...     print(error)  # doctest: +ELLIPSIS
        expected a record folder at tfrecords/absent...
    """


def in_one_line(error: Exception) -> str | None:
    """Say in one line what the user can do something about; None for an error in the code.

    That is: what this package refuses, and what the operating system, a drive or TensorFlow does. A
    line break in a name does not break the line, and of a URL no password or signature is shown.
    """
    if isinstance(error, MelanomaError):
        return _joined(str(error))
    if isinstance(error, OSError):
        names = ", ".join(str(name) for name in (error.filename, error.filename2) if name)
        reason = error.strerror or str(error) or type(error).__name__
        return _joined(f"{names}: {reason}" if names else reason)
    if isinstance(error, MemoryError):
        return "the memory does not suffice for this"
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(error, tensorflow.errors.OpError):
        return reason_of(error)
    return None


def reason_of(error: Any) -> str:
    """The reason that an error of TensorFlow gives, in one line, without places in the graph."""
    return _reason(without_secrets(str(error.message))) or type(error).__name__


def _reason(message: str) -> str:
    """The reason in a message of TensorFlow: its first line; the others are places in the graph.

    Within a function of a network they come first, indented; of several errors the first counts.
    """
    lines = message.strip().splitlines() or [""]
    if lines[0].startswith("Graph execution error"):
        first = _FIRST_OF_SEVERAL.search(message)
        told = [line for line in lines[1:] if line and not line[0].isspace()]
        told = [line for line in told if not line.startswith(("Detected at node", 'File "'))]
        lines = [first[1]] if first else (told or lines)
    return _PLACE_IN_GRAPH.sub("", lines[0]).strip()


def shown(value: object) -> str:
    """A value that a file gave, for a message: in one line, and cut where it is long."""
    return " ".join(str(value)[:_LONGEST_SHOWN].split())


def _joined(text: str) -> str:
    return without_secrets(" ".join(text.split("\n")).strip())
