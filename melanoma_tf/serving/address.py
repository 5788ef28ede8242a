"""The address of a model on a server, and what is asked of it. Free of TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from melanoma_tf.core.errors import MelanomaError

_URL = re.compile(
    r"(?P<scheme>https?|grpc)://(?P<host>[^/\s]+?)(?:/v1/models)?/(?P<name>[^/\s:]+)"
    r"(?:/(?P<kind>versions|labels)/(?P<which>[^/\s:]+))?/?"
)
_EXPECTED = "http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME"
# A batch of encoded images -> an answer of each.
Answer = dict[str, Any]
Ask = Callable[[list[bytes]], list[Answer]]


@dataclass(frozen=True)
class ServedModel:
    """The address of a model on a server.

    Attributes:
        scheme: `http`, `https` or `grpc`.
        host: host and port.
        name: of the model.
        version: a number; None takes what the server serves.
        label: of a version, as `stable`; None where none is asked for.
    """

    scheme: str
    host: str
    name: str
    version: int | None = None
    label: str | None = None

    @classmethod
    def parse(cls, url: str) -> ServedModel:
        """Read `http://HOST:PORT/v1/models/NAME` or `grpc://HOST:PORT/NAME`.

        Both may end in `/versions/NUMBER` or `/labels/LABEL`.

        Raises:
            MelanomaError: it is no such address.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise MelanomaError(f"expected a server as {_EXPECTED}; found {url}")
        kind, which = found["kind"], found["which"]
        if kind == "versions" and not which.isdecimal():
            raise MelanomaError(f"expected a version as a number; found {which} in {url}")
        return cls(
            found["scheme"],
            found["host"],
            found["name"],
            int(which) if kind == "versions" else None,
            which if kind == "labels" else None,
        )

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/{self.name}"


class ServerError(MelanomaError):
    """A server that does not answer a request; the message says why."""
