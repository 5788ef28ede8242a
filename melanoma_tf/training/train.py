"""One `train` for every network: a job says what is trained, `train` how a run is carried out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Callable, TypeVar

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.fit import Session, fit
from melanoma_tf.training.job import History, Log, TrainingJob
from melanoma_tf.training.run import Run, working_folder
from melanoma_tf.training.run_record import CONFIG, run_payload
from melanoma_tf.training.settings import TrainingSettings
from melanoma_tf.training.strategy import choose_devices, lost_workers_named
from melanoma_tf.training.watchdog import Watchdog
from melanoma_tf.training.workers import Workers, visible_workers

T = TypeVar("T", bound=TrainingSettings)


def train(
    make_job: Callable[[RecordSet, T, Log], TrainingJob],
    records: RecordsLike,
    run_dir: Path,
    settings: T,
    *,
    resume: bool = False,
    resume_if_begun: bool = False,
    overwrite: bool = False,
    profile: bool = False,
    log: Log = print,
) -> History:
    """Train a network on record folders, from the start or from where a run stopped.

    With several workers (see `training.workers`) every one of them calls this with the same
    arguments. All of them read the record folders and the run folder, which the first one alone
    writes.

    Args:
        make_job: the job of a kind of network, given the records, the settings and `log`.
        records: a record folder, or several of one taxonomy; the first that has a validation
            split chooses the best epoch.
        run_dir: the run folder to make, or to go on with.
        settings: of the network and its training.
        resume: go on with the run in `run_dir`, after its last finished epoch.
        resume_if_begun: as `resume` where `run_dir` holds a run, else begin one.
        overwrite: replace a run that exists, once the new one has finished.
        profile: write a profile of some steps for TensorBoard, and say which fraction of a step
            waits for input.
        log: takes one line per epoch, and warnings.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: unfinished records or such as cannot be mixed, impossible settings, an
            existing run folder, a loss that is not finite, or another worker that is gone.
    """
    if resume_if_begun and overwrite:
        raise MelanomaError("expected to resume a begun run or to overwrite it; found both")
    run_dir, workers = Path(run_dir), visible_workers(strategy=settings.strategy)
    resume = resume or (resume_if_begun and (run_dir / CONFIG).is_file())
    watchdog = Watchdog(workers, settings.worker_timeout_s)
    with watchdog.watching(), lost_workers_named(workers):
        # First of all: the CPU can be split only before TensorFlow has used it.
        devices = choose_devices(settings, workers)
        log = log if workers.is_chief else _silence
        settings = _with_input_parts(settings, run_dir, workers, resume, overwrite)
        chosen = RecordSet.read(records)
        chosen.check_mixture()
        with chosen.damage_named():
            job = make_job(chosen, settings, log)
            run = Run(
                run_dir,
                job.record,
                resume=resume,
                overwrite=overwrite,
                inputs=(*chosen.folders, *job.inputs),
            )
            return fit(job, run, Session(devices, watchdog, log, profile))


def _silence(line: str) -> None:
    """Say nothing: the chief says it."""


def _with_input_parts(
    settings: T, run_dir: Path, workers: Workers, resume: bool, overwrite: bool
) -> T:
    """Divide the input as the run to resume does, or else into one part for each worker.

    Raises:
        MelanomaError: the workers cannot share the parts equally.
    """
    parts = settings.input_parts
    folder = working_folder(run_dir, resume, overwrite)
    if not parts and resume and (folder / CONFIG).is_file():
        stored = run_payload(folder).get("settings")
        found = stored.get("input_parts", 0) if isinstance(stored, dict) else 0
        parts = found if isinstance(found, int) else 0
    parts = parts or (workers.count if workers.count > 1 else 0)
    if max(1, parts) % workers.count:
        raise MelanomaError(
            f"expected a number of workers that share the {max(1, parts)} parts of the input "
            f"(--input-parts) equally; found {workers.count}"
        )
    return dataclasses.replace(settings, input_parts=parts)
