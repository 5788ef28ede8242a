"""The tasks of a Slurm step, from the environment that `srun` gives each of them.

Only variables of the step count: in a batch script itself the variables of the job are set, too,
where no other task runs. Nothing is called: `scontrol` is not there in a container.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from melanoma_tf.core.errors import MelanomaError, shown

TASKS = "SLURM_STEP_NUM_TASKS"
_HOSTS, _TASKS_PER_NODE = "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"
_NODE, _LOCAL = "SLURM_NODEID", "SLURM_LOCALID"
_JOB, _STEP = "SLURM_JOB_ID", "SLURM_STEP_ID"
# Below the ports that Linux gives to connections. Each job has a block of its own, so that jobs
# which share a node do not meet; a node has no more tasks than a block has ports.
_FIRST_PORT, _BLOCK, _BLOCKS = 20000, 64, 190


def count_tasks(environment: Mapping[str, str]) -> int:
    """The number of tasks of the step that this process belongs to; 1 outside of a step."""
    return _number(environment, TASKS) if environment.get(TASKS) else 1


def tasks(environment: Mapping[str, str]) -> tuple[tuple[str, ...], int]:
    """Return `host:port` of every task of this step, node by node, and the place of this process.

    Args:
        environment: of a process that `srun` started.

    Raises:
        MelanomaError: a variable is missing, is none of Slurm's, or contradicts another one.
    """
    hosts = list(expanded_hosts(_value(environment, _HOSTS)))
    counts = list(_expanded_counts(_value(environment, _TASKS_PER_NODE)))
    if len(hosts) != len(counts) or sum(counts) != count_tasks(environment):
        raise MelanomaError(
            f"expected {_HOSTS} and {_TASKS_PER_NODE} to name the {environment.get(TASKS)} tasks "
            f"of {TASKS}; found {len(hosts)} nodes and {sum(counts)} tasks on {len(counts)}"
        )
    if max(counts) > _BLOCK:
        raise MelanomaError(f"expected at most {_BLOCK} tasks on a node; found {max(counts)}")
    node, local = _number(environment, _NODE), _number(environment, _LOCAL)
    if node >= len(hosts) or local >= counts[node]:
        raise MelanomaError(
            f"expected {_NODE} and {_LOCAL} of one of {sum(counts)} tasks on {len(hosts)} nodes; "
            f"found {node} and {local}"
        )
    block = (_number(environment, _JOB) + 61 * _number(environment, _STEP)) % _BLOCKS
    port = _FIRST_PORT + _BLOCK * block
    # By node and not by rank: with `--distribution cyclic` ranks change from node to node.
    addresses = [
        f"{host}:{port + place}" for host, count in zip(hosts, counts) for place in range(count)
    ]
    return tuple(addresses), sum(counts[:node]) + local


def expanded_hosts(text: str) -> Iterator[str]:
    """Yield the hosts of a list as Slurm writes it, in its order.

    Raises:
        MelanomaError: the brackets or ranges of another form.

    Example:
        >>> list(expanded_hosts("a[1-2],b[08-10,12]-ib,c"))
        ['a1', 'a2', 'b08-ib', 'b09-ib', 'b10-ib', 'b12-ib', 'c']
    """
    parts = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text)
    if not parts or ",".join(parts) != text:
        raise _not_slurms(_HOSTS, text)
    for part in parts:
        yield from _expanded(part, text)


def _expanded(part: str, whole: str) -> Iterator[str]:
    before, bracket, rest = part.partition("[")
    if not bracket:
        yield part
        return
    ranges, _, after = rest.partition("]")
    for each in ranges.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", each)
        if found is None:
            raise _not_slurms(_HOSTS, whole)
        first, last = found[1], found[2] or found[1]
        for number in range(int(first), int(last) + 1):
            for end in _expanded(after, whole):
                yield f"{before}{number:0{len(first)}}{end}"


def _expanded_counts(text: str) -> Iterator[int]:
    """Yield the tasks of each node, of `2(x3),1`."""
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if found is None:
            raise _not_slurms(_TASKS_PER_NODE, text)
        yield from [int(found[1])] * int(found[2] or 1)


def _value(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise MelanomaError(f"expected {name} next to {TASKS}, as srun sets it; found none")
    return value


def _number(environment: Mapping[str, str], name: str) -> int:
    value = _value(environment, name)
    if not value.isdecimal():
        raise _not_slurms(name, value)
    return int(value)


def _not_slurms(name: str, value: str) -> MelanomaError:
    return MelanomaError(f"{name}: expected what Slurm writes; found {shown(value)}")
