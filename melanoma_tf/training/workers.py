"""The workers of a training on several machines, as TF_CONFIG or Slurm names them.

Kubernetes operators and Vertex AI set the environment variable TF_CONFIG.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from melanoma_tf.core.errors import MelanomaError, shown
from melanoma_tf.training import slurm

VARIABLE, SLURM = "TF_CONFIG", "Slurm"
_ROLES = ("chief", "worker")


@dataclass(frozen=True)
class Workers:
    """The workers of a training, and the one that this process is.

    Attributes:
        addresses: `host:port` of each, the chief first.
        index: the place of this process among them.
        named_by: `TF_CONFIG` or `Slurm`.
    """

    addresses: tuple[str, ...] = ("",)
    index: int = 0
    named_by: str = VARIABLE

    @property
    def count(self) -> int:
        """The number of workers."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Tell whether this is the worker that writes the run folder."""
        return self.index == 0

    @property
    def others(self) -> list[str]:
        """Addresses of the other workers."""
        return [each for place, each in enumerate(self.addresses) if place != self.index]


def visible_workers(
    environment: Mapping[str, str] | None = None, *, strategy: str = "auto"
) -> Workers:
    """Return the workers that TF_CONFIG names; one without it.

    The tasks of a Slurm step can be workers of one training, or each a training of its own: they
    are workers where the strategy says so, and TF_CONFIG names none.

    Args:
        environment: of this process, by default.
        strategy: the setting; the tasks of Slurm are workers with `multi-worker`.

    Raises:
        MelanomaError: the variable holds something else, or names another role than `chief` and
            `worker` for this process; or see `slurm.tasks`.

    Example:
        >>> task = {"type": "worker", "index": 1}
        >>> cluster = {"worker": ["first:2222", "second:2222"]}
        >>> found = visible_workers({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})})
        >>> found.count, found.is_chief
        (2, False)
    """
    environment = os.environ if environment is None else environment
    found = _of_variable(environment.get(VARIABLE, "").strip())
    if found.count == 1 and strategy == "multi-worker" and slurm.count_tasks(environment) > 1:
        return Workers(*slurm.tasks(environment), SLURM)
    return found


def _of_variable(text: str) -> Workers:
    if not text:
        return Workers()
    try:
        payload = json.loads(text)
    except ValueError as error:
        raise MelanomaError(f"{VARIABLE}: expected JSON; found {error}") from None
    cluster, task = _object(payload, "cluster"), _object(payload, "task")
    if not cluster:
        return Workers()
    roles = {role: _addresses(cluster, role) for role in _ROLES}
    if len(roles["chief"]) > 1:
        raise MelanomaError(f"{VARIABLE}: expected one chief; found {len(roles['chief'])}")
    role, index = task.get("type"), task.get("index", 0)
    if role not in _ROLES:
        raise MelanomaError(
            f"{VARIABLE}: expected a task of type chief or worker; found {shown(role)}"
        )
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    own = roles[role]
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(own):
        raise MelanomaError(
            f"{VARIABLE}: expected the index of one of {len(own)} tasks of type {role}; found "
            f"{shown(index)}"
        )
    before = len(roles["chief"]) if role == "worker" else 0
    return Workers((*roles["chief"], *roles["worker"]), before + index)


def _object(payload: Any, name: str) -> dict[str, Any]:
    value = payload.get(name, {}) if isinstance(payload, dict) else None
    if not isinstance(value, dict):
        raise MelanomaError(
            f"{VARIABLE}: expected an object with cluster and task, which are objects; found "
            f"{shown(payload if value is None else value)}"
        )
    return value


def _addresses(cluster: Mapping[str, Any], role: str) -> list[str]:
    found = cluster.get(role, [])
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise MelanomaError(
            f"{VARIABLE}: expected a list of host:port as {role}; found {shown(found)}"
        )
    return found
