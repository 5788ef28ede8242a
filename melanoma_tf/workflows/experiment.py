"""An experiment: its data, its settings and its steps. Free of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.ownership import refuse_inputs
from melanoma_tf.workflows import estimates
from melanoma_tf.workflows.experiment_data import ExperimentData, find_folders
from melanoma_tf.workflows.ledger import Entry, Ledger
from melanoma_tf.workflows.run_steps import preview, run_steps
from melanoma_tf.workflows.settings import NO_RECIPE, ExperimentSettings
from melanoma_tf.workflows.steps import PlannedStep, Step
from melanoma_tf.workflows.tasks import REPORT, Tasks

ON_PHANTOMS = "The images are phantoms: no score says anything of skin."


@dataclass(frozen=True)
class Experiment:
    """An experiment on given data, divided into steps.

    Attributes:
        name: of the experiment; a work folder holds one.
        work_dir: folder of all outputs.
        settings: see `ExperimentSettings`.
        data: the data sets; None draws phantoms.
        notes: what differs from the paper.
        steps: see `steps.Step`.
    """

    name: str
    work_dir: Path
    settings: ExperimentSettings
    data: ExperimentData | None
    notes: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def assumption(self) -> str:
        """Name the machine that the estimates are for."""
        return estimates.ASSUMPTIONS[device(self.settings)]


def run_experiment(
    experiment: Experiment, *, from_step: str | None = None, log: Callable[[str], None] = print
) -> dict[str, Entry]:
    """Make the steps that are not done; see `run_steps.run_steps`."""
    return run_steps(
        experiment.name, experiment.steps, experiment.work_dir, from_step=from_step, log=log
    )


def preview_experiment(experiment: Experiment, from_step: str | None = None) -> list[PlannedStep]:
    """Return what `run_experiment` would do; nothing is written."""
    return preview(experiment.name, experiment.steps, experiment.work_dir, from_step)


def find_data(
    given: Sequence[str],
    settings: ExperimentSettings,
    work_dir: Path,
    read: Callable[[Mapping[str, Path]], ExperimentData],
    *,
    sources: Sequence[str],
    one_of: Sequence[str],
) -> ExperimentData | None:
    """Find and list the data sets; None where the settings draw phantoms.

    Args:
        given: `NAME=DIR`, or a folder with folders of these names.
        settings: of the experiment.
        work_dir: folder of all outputs.
        read: lists the data sets in some folders.
        sources: the names that there are.
        one_of: of these, at least one must be there.

    Raises:
        MelanomaError: no data, data with phantoms, a folder of another layout, or a work folder
            that holds or lies in the data.
    """
    if not settings.phantoms:
        found = read(find_folders(given, sources, one_of))
        refuse_inputs(work_dir, found.folders.values())
        return found
    if given:
        raise MelanomaError(
            f"expected --data or phantoms; found both, {settings.phantoms} phantoms and "
            f"{given[0]}: give --phantoms 0"
        )
    return None


def data_notes(data: ExperimentData | None) -> tuple[str, ...]:
    """Say what differs from the paper's data."""
    return (ON_PHANTOMS,) if data is None else data.notes


def training_images(
    class_name: str,
    data: ExperimentData | None,
    settings: ExperimentSettings,
    phantom_fractions: Mapping[str, float],
) -> int:
    """Estimate the training images of a class."""
    if data is not None:
        return data.training_images(class_name)
    return int(0.7 * phantom_fractions[class_name] * settings.phantoms)


def too_few(class_name: str, images: int, settings: ExperimentSettings) -> str:
    """Say why no image of a class is generated."""
    return (
        f"No image of {class_name.replace('_', ' ')} is generated: there are about {images} "
        f"training images, fewer than the {settings.gan_batch_size} of a batch."
    )


def images(work: Tasks) -> int:
    """Count the images of an experiment."""
    return work.settings.phantoms if work.data is None else work.data.images()


def device(settings: ExperimentSettings) -> str:
    """Name the device that the estimates are for."""
    return "cpu" if settings.recipe == NO_RECIPE else "gpu"


# Writes the report: takes the steps that were made, and the folder to appear.
WriteReport = Callable[[Sequence[Mapping[str, Any]], Path], None]


def report_step(
    name: str,
    work: Tasks,
    notes: Sequence[str],
    steps: Sequence[Step],
    needs: Sequence[str],
    write_report: WriteReport,
) -> Step:
    """The last step of an experiment.

    Args:
        name: of the experiment.
        work: its settings and work folder.
        notes: what differs from the paper.
        steps: all earlier ones.
        needs: those whose output the report shows.
        write_report: writes it.
    """
    earlier = [step.name for step in steps]

    def write(output: Path, resume: bool) -> None:
        write_report(_made(work.work_dir, name, earlier), output)

    return Step(
        "report",
        REPORT,
        write,
        tuple(needs),
        {"notes": list(notes), "settings": work.settings.to_json()},
        contents=("report.html", "results.json"),
    )


def _made(work_dir: Path, experiment: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe the steps that were made."""
    entries = Ledger(work_dir, experiment).entries
    return [
        {
            "name": name,
            "output": entries[name].output,
            "seconds": entries[name].seconds,
            "attempts": entries[name].attempts,
        }
        for name in names
    ]
