"""Steps of an experiment: what each one makes, and which are still to be made. Free of TensorFlow.

A finished step is known by its fingerprint: its settings, its input files and the fingerprints of
the steps that it needs. While that is unchanged and the output is there, the step is not repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.workflows.input_files import InputFiles
from melanoma_tf.workflows.ledger import Ledger

# Makes the output at a path; `resume` asks it to go on with what an earlier attempt left there.
Make = Callable[[Path, bool], None]

DONE = "done"
TO_DO = "to do"
INTERRUPTED = "interrupted"
CHANGED = "changed"
ASKED = "asked for"
INCOMPLETE = "output incomplete"


@dataclass(frozen=True)
class Estimate:
    """A rough estimate of the work of a step.

    Attributes:
        seconds: time.
        megabytes: space on disk.
    """

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Step:
    """A step of an experiment.

    Attributes:
        name: unique in the experiment.
        output: the folder that it makes, relative to the work folder.
        make: makes it.
        needs: names of earlier steps whose output it reads.
        settings: everything that decides the output, as JSON values.
        inputs: files and folders outside of the work folder that it reads.
        contents: file patterns below the output, each of which a finished output matches.
        continues: `make` can go on with what an interrupted attempt left; else that is removed.
        adds_versions: the output holds versions, and the step adds one; earlier ones stay.
        estimate: of its work.
    """

    name: str
    output: str
    make: Make
    needs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    contents: tuple[str, ...] = ()
    continues: bool = False
    adds_versions: bool = False
    estimate: Estimate = Estimate(1.0, 1.0)

    def is_whole(self, work_dir: Path) -> bool:
        """Tell whether the output is there, with a file for each pattern of `contents`."""
        folder = work_dir / self.output
        return folder.exists() and all(any(folder.glob(each)) for each in self.contents)


@dataclass(frozen=True)
class PlannedStep:
    """A step and its state.

    Attributes:
        step: the step.
        state: `DONE`, or why it is to be made.
        detail: more on that, for the user; may be empty.
    """

    step: Step
    state: str
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """The step and its state for JSON."""
        return {
            "step": self.step.name,
            "output": self.step.output,
            "state": self.state,
            "detail": self.detail,
        }

    @property
    def is_done(self) -> bool:
        """Tell whether the step is skipped."""
        return self.state == DONE


class Fingerprints:
    """Fingerprints of steps, each computed when it is first wanted.

    Args:
        steps: the steps of an experiment.
        files: digests of input files.
    """

    def __init__(self, steps: Sequence[Step], files: InputFiles) -> None:
        self._steps = {step.name: step for step in steps}
        self._files = files
        self._found: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the SHA-256 of a step's settings, inputs and needed steps."""
        if name not in self._found:
            step = self._steps[name]
            described = {
                "step": name,
                "version": __version__,
                "settings": step.settings,
                "needs": {each: self.of(each) for each in step.needs},
                "inputs": [self._files.digest(path) for path in step.inputs],
            }
            text = json.dumps(described, sort_keys=True)
            self._found[name] = hashlib.sha256(text.encode()).hexdigest()
        return self._found[name]


def plan_steps(
    steps: Sequence[Step],
    work_dir: Path,
    ledger: Ledger,
    fingerprints: Fingerprints,
    from_step: str | None = None,
) -> list[PlannedStep]:
    """Decide which steps are to be made, in their order; nothing is written.

    Args:
        steps: each after those that it needs.
        work_dir: folder of all outputs.
        ledger: what was made there.
        fingerprints: of the steps now.
        from_step: make this step and all that depend on it again.

    Raises:
        MelanomaError: no step has the name `from_step`, or an output exists that this experiment
            did not make.
    """
    check_steps(steps)
    if from_step is not None and from_step not in [step.name for step in steps]:
        names = ", ".join(step.name for step in steps)
        raise MelanomaError(f"expected a step out of {names}; found {from_step}")
    planned: dict[str, PlannedStep] = {}
    for step in steps:
        remade = [name for name in step.needs if not planned[name].is_done]
        is_asked = step.name == from_step or any(
            planned[name].state == ASKED for name in step.needs
        )
        planned[step.name] = _planned(step, work_dir, ledger, fingerprints, remade, is_asked)
    return list(planned.values())


def _planned(
    step: Step,
    work_dir: Path,
    ledger: Ledger,
    fingerprints: Fingerprints,
    remade: Sequence[str],
    is_asked: bool,
) -> PlannedStep:
    entry = ledger.entries.get(step.name)
    if is_asked:
        return PlannedStep(step, ASKED)
    if entry is None:
        _refuse_unknown_output(step, work_dir)
        return PlannedStep(step, TO_DO)
    if remade:
        return PlannedStep(step, CHANGED, f"needs {', '.join(remade)}")
    if not entry.fingerprint:
        return PlannedStep(step, TO_DO)
    if entry.fingerprint != fingerprints.of(step.name):
        return PlannedStep(step, CHANGED, "its settings or input files are others")
    if not entry.finished:
        return PlannedStep(step, INTERRUPTED)
    if not step.is_whole(work_dir):
        return PlannedStep(step, INCOMPLETE)
    return PlannedStep(step, DONE)


def _refuse_unknown_output(step: Step, work_dir: Path) -> None:
    folder = work_dir / step.output
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MelanomaError(
            f"{folder} exists, and {work_dir / Ledger.FILE} does not say that this experiment made "
            f"it; expected another work folder, or --from {step.name} to replace it"
        )


def check_steps(steps: Sequence[Step]) -> None:
    """Raise `ValueError` where names repeat, or a step needs one that does not come before it."""
    names: list[str] = []
    for step in steps:
        if step.name in names:
            raise ValueError(f"two steps are called {step.name}")
        absent = [each for each in step.needs if each not in names]
        if absent:
            raise ValueError(f"{step.name} needs {absent[0]}, which does not come before it")
        names.append(step.name)
