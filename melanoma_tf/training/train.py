"""One `train` for every network: a job says what is trained, `train` how a run is carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, TypeVar

from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.fit import fit
from melanoma_tf.training.job import History, Log, TrainingJob
from melanoma_tf.training.run import Run
from melanoma_tf.training.settings import TrainingSettings
from melanoma_tf.training.strategy import make_strategy

T = TypeVar("T", bound=TrainingSettings)


def train(
    make_job: Callable[[RecordSet, T, Log], TrainingJob],
    records: RecordsLike,
    run_dir: Path,
    settings: T,
    *,
    resume: bool = False,
    overwrite: bool = False,
    log: Log = print,
) -> History:
    """Train a network on record folders, from the start or from where a run stopped.

    Args:
        make_job: the job of a kind of network, given the records, the settings and `log`.
        records: a record folder, or several of one taxonomy; the first that has a validation
            split chooses the best epoch.
        run_dir: the run folder to make, or to go on with.
        settings: of the network and its training.
        resume: go on with the run in `run_dir`, after its last finished epoch.
        overwrite: replace a run that exists, once the new one has finished.
        log: takes one line per epoch, and warnings.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: unfinished records or such as cannot be mixed, impossible settings, an
            existing run folder, or a loss that is not finite.
    """
    # First of all: the CPU can be split only before TensorFlow has used it.
    strategy = make_strategy(settings.strategy, settings.replicas)
    chosen = RecordSet.read(records)
    chosen.check_mixture()
    with chosen.damage_named():
        job = make_job(chosen, settings, log)
        run = Run(
            Path(run_dir),
            job.record,
            resume=resume,
            overwrite=overwrite,
            inputs=(*chosen.folders, *job.inputs),
        )
        return fit(job, run, strategy, log)
