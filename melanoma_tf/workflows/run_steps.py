"""Carry out the steps of an experiment, and skip those that are done. Free of TensorFlow."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import resolved
from melanoma_tf.core.locks import locked
from melanoma_tf.core.ownership import check_replaceable
from melanoma_tf.workflows.input_files import InputFiles
from melanoma_tf.workflows.ledger import Entry, Ledger
from melanoma_tf.workflows.steps import INTERRUPTED, Fingerprints, PlannedStep, Step, plan_steps

_INPUTS = "inputs.json"


def preview(
    experiment: str, steps: Sequence[Step], work_dir: Path, from_step: str | None = None
) -> list[PlannedStep]:
    """Return what `run_steps` would do; nothing is written.

    Raises:
        MelanomaError: see `run_steps`.
    """
    ledger = Ledger(work_dir, experiment)
    fingerprints = Fingerprints(steps, InputFiles(work_dir / _INPUTS))
    return plan_steps(steps, work_dir, ledger, fingerprints, from_step)


def run_steps(
    experiment: str,
    steps: Sequence[Step],
    work_dir: Path,
    *,
    from_step: str | None = None,
    log: Callable[[str], None] = print,
) -> dict[str, Entry]:
    """Make the outputs of all steps that are not done.

    `steps.json` in the work folder is written before and after every step, so that a run that is
    killed goes on at the step where it was: from its beginning, or where the step's own work can be
    continued. Outputs of steps with other settings are removed before the step is made again.

    Args:
        experiment: name of the experiment; a work folder holds one.
        steps: each after those that it needs.
        work_dir: folder of all outputs.
        from_step: make this step and all that depend on it again.
        log: takes a line for each step.

    Returns:
        What `steps.json` says, by name of the step.

    Raises:
        MelanomaError: a step fails; an output is not this experiment's; `steps.json` is damaged or
            of another experiment; another run works in the folder.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    with locked(resolved(work_dir), "run that works in"):
        ledger = Ledger(work_dir, experiment)
        files = InputFiles(work_dir / _INPUTS)
        fingerprints = Fingerprints(steps, files)
        planned = plan_steps(steps, work_dir, ledger, fingerprints, from_step)
        for each in planned:
            # Noted first: a run that stops before a step must not find its old output done.
            if not each.is_done and each.state != INTERRUPTED and each.step.name in ledger.entries:
                ledger.forget(each.step.name)
        for number, each in enumerate(planned, start=1):
            place = f"[{number}/{len(planned)}] {each.step.name}"
            if each.is_done:
                log(f"{place}: done already, {work_dir / each.step.output}")
                continue
            log(f"{place} -> {work_dir / each.step.output}")
            fingerprint = fingerprints.of(each.step.name)
            files.remember()
            _make(each, work_dir, ledger, fingerprint)
        return dict(ledger.entries)


def _make(planned: PlannedStep, work_dir: Path, ledger: Ledger, fingerprint: str) -> None:
    step, output = planned.step, work_dir / planned.step.output
    resume = planned.state == INTERRUPTED and step.continues
    if not resume and not step.adds_versions:
        _remove(output)
    attempts = ledger.entries[step.name].attempts + 1 if planned.state == INTERRUPTED else 1
    ledger.begin(step.name, fingerprint, step.output, attempts=attempts)
    output.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    step.make(output, resume)
    if not step.is_whole(work_dir):
        raise MelanomaError(
            f"step {step.name}: expected {', '.join(step.contents) or 'an output'} at {output}; "
            "it did not appear"
        )
    ledger.finish(step.name, time.perf_counter() - started)


def _remove(output: Path) -> None:
    """Remove what an earlier attempt left, if this tool made it."""
    if not output.exists():
        return
    check_replaceable(output)
    shutil.rmtree(output)
