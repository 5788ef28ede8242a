"""The ISIC 2018 experiment of Bisla et al. 2019, Section 6: seven classes, in steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.classification.settings import BatchSettings
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.datasets.diagnoses import CLASSES
from melanoma_tf.purification.classical.settings import NETWORK
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.workflows import experiment_steps as shared
from melanoma_tf.workflows import networks, tasks
from melanoma_tf.workflows.experiment import (
    Experiment,
    data_notes,
    find_data,
    images,
    report_step,
    too_few,
    training_images,
)
from melanoma_tf.workflows.experiment_data import ExperimentData
from melanoma_tf.workflows.isic2018_data import CHALLENGE, SOURCES, TAXONOMY, TRAINING, read_data
from melanoma_tf.workflows.settings import NO_RECIPE, Isic2018Settings
from melanoma_tf.workflows.steps import Step
from melanoma_tf.workflows.tasks import Tasks

NAME = "isic2018"
GAN, GENERATED = "runs/gan", "records/generated"
# Phantoms are drawn in these fractions: one class has far more than the others, as in HAM10000.
PHANTOM_FRACTIONS = {name: 0.4 if name == "nevus" else 0.1 for name in CLASSES[TAXONOMY]}
# The evaluations of the proposed classifier, by purification of the test images (Table 6).
TEST_PURIFICATIONS = {"proposed": None, "proposed-classical": "classical",
                      "proposed-network": NETWORK}  # fmt: skip


def plan_experiment(
    data: Sequence[str],
    work_dir: Path,
    settings: Isic2018Settings,
    *,
    workers: int = 1,
    log: Callable[[str], None] = print,
) -> Experiment:
    """Divide the experiment into steps, for the data that is there; nothing is written.

    Args:
        data: `NAME=DIR` for ham10000 or isic2018, or a folder with folders of these names; empty
            where the settings draw phantoms.
        work_dir: folder of all outputs.
        settings: see `Isic2018Settings`.
        workers: threads that prepare images; no result depends on it.
        log: takes a line for each epoch, and warnings.

    Raises:
        MelanomaError: see `experiment.find_data`.
    """
    one_of = (TRAINING, CHALLENGE)
    found = find_data(data, settings, work_dir, read_data, sources=SOURCES, one_of=one_of)
    classes, notes = _to_generate(found, settings)
    work = Tasks(work_dir, TAXONOMY, settings, found, workers, log)
    remarks = (*data_notes(found), *_other_networks(settings), *notes)
    steps = _steps(work, settings, classes)
    steps.append(_report(work, remarks, steps, classes))
    return Experiment(NAME, work_dir, settings, found, remarks, tuple(steps))


def _other_networks(settings: Isic2018Settings) -> list[str]:
    notes = [
        "The networks that ship purify the images; the paper trained its own for a week. Copies "
        "are made of the images that they find occluded, in the paper of all.",
    ]
    if settings.recipe == NO_RECIPE:
        notes.append(
            f"Networks and trainings are smaller than the paper's: {settings.backbone} at "
            f"{settings.classifier_size_px} px for ResNet-50 at 224 px, generated images of "
            f"{settings.gan_size_px} px for 256 px."
        )
    return notes


def _to_generate(
    data: ExperimentData | None, settings: Isic2018Settings
) -> tuple[tuple[str, ...], list[str]]:
    """Leave out classes that no GAN can be trained on; say so."""
    if not settings.generated_count:
        return (), ["No image is generated: the settings ask for none."]
    known = {
        name: training_images(name, data, settings, PHANTOM_FRACTIONS) for name in CLASSES[TAXONOMY]
    }
    few = [name for name, count in known.items() if count < settings.gan_batch_size]
    notes = [too_few(name, known[name], settings) for name in few]
    return tuple(name for name in known if name not in few), notes


def _steps(work: Tasks, settings: Isic2018Settings, classes: tuple[str, ...]) -> list[Step]:
    seen = 0.7 * images(work)
    grown = seen * (1 + shared.OCCLUDED) + settings.generated_count * len(classes)
    records = (tasks.PURIFIED, *([GENERATED] if classes else []))
    needs = ("purify", *(["generate"] if classes else []))
    limit = settings.generated_fraction if classes else None
    baseline, proposed = (
        networks.classifier_settings(settings, epochs, batches,
                                     frozen_epochs=settings.frozen_epochs)
        for epochs, batches in (
            (settings.baseline_epochs, None),
            (settings.proposed_epochs, BatchSettings(balance="batch", generated_fraction=limit)),
        )
    )  # fmt: skip
    return [
        *shared.data_steps(work, PHANTOM_FRACTIONS),
        shared.purify_step(work, PurificationSettings(method=NETWORK), ("records",)),
        *(_gan_steps(work, settings, classes) if classes else []),
        shared.classifier_step(work, "baseline", (tasks.RAW,), ("records",), baseline, seen),
        shared.classifier_step(work, "proposed", records, needs, proposed, grown),
        shared.evaluation_step(work, "baseline", "baseline"),
        *(shared.evaluation_step(work, name, "proposed", purify)
          for name, purify in TEST_PURIFICATIONS.items()),
        shared.comparison_step(work, "baseline", "proposed"),
        *(shared.comparison_step(work, "proposed", f"proposed-{method}", f"-{method}")
          for method in TEST_PURIFICATIONS.values() if method),
        shared.export_step(work, SHIPPED, ("proposed",), settings.test_purify),
    ]  # fmt: skip


def _gan_steps(work: Tasks, settings: Isic2018Settings, classes: tuple[str, ...]) -> list[Step]:
    gan = networks.coupled_gan_settings(settings, classes)
    largest = max(training_images(name, work.data, settings, PHANTOM_FRACTIONS) for name in classes)
    rounds = gan.epochs * (gan.steps_per_epoch or largest / gan.batch_size)
    return shared.gan_steps(work, "", GAN, GENERATED, gan, rounds, settings.generated_count)


def _report(
    work: Tasks, notes: Sequence[str], steps: Sequence[Step], classes: Sequence[str]
) -> Step:
    def write(made: Sequence[Mapping[str, Any]], output: Path) -> None:
        # Imported here: it loads TensorFlow.
        from melanoma_tf.workflows.report_isic2018 import write_isic2018_report

        write_isic2018_report(work, notes, made, classes, output)

    needs = [step.name for step in steps if step.name.startswith(("purify", "gen", "compare"))]
    return report_step(NAME, work, notes, steps, (*needs, "export"), write)
