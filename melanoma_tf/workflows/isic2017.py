"""The ISIC 2017 experiment of Bisla et al. 2019, from raw data sets to a report, in steps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.classification.settings import BatchSettings
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.workflows import estimates, networks, tasks
from melanoma_tf.workflows import experiment_steps as shared
from melanoma_tf.workflows.experiment import (
    Experiment,
    data_notes,
    device,
    find_data,
    images,
    report_step,
    too_few,
    training_images,
)
from melanoma_tf.workflows.experiment_data import ExperimentData
from melanoma_tf.workflows.isic2017_data import MAIN, SOURCES, TAXONOMY, read_data
from melanoma_tf.workflows.settings import EXPANSION, NO_RECIPE, Isic2017Settings
from melanoma_tf.workflows.steps import Step
from melanoma_tf.workflows.tasks import Tasks

NAME = "isic2017"
MELANOMA, KERATOSIS = "melanoma", "seborrheic_keratosis"
# Phantoms are drawn in these fractions, near to those of ISIC 2017.
PHANTOM_FRACTIONS = {"melanoma": 0.25, "nevus": 0.5, "seborrheic_keratosis": 0.25}
_SIX_VIEWS_AND_MIRRORED = 9.0  # Examples of an image in an epoch of the plan, on average.


def plan_experiment(
    data: Sequence[str],
    work_dir: Path,
    settings: Isic2017Settings,
    *,
    workers: int = 1,
    log: Callable[[str], None] = print,
) -> Experiment:
    """Divide the experiment into steps, for the data that is there; nothing is written.

    Args:
        data: `NAME=DIR` for isic2017, ph2 and dermofit, or a folder with folders of these names;
            empty where the settings draw phantoms.
        work_dir: folder of all outputs.
        settings: see `Isic2017Settings`.
        workers: threads that prepare images; no result depends on it.
        log: takes a line for each epoch, and warnings.

    Raises:
        MelanomaError: see `experiment.find_data`.
    """
    found = find_data(data, settings, work_dir, read_data, sources=SOURCES, one_of=(MAIN,))
    counts, notes = _to_generate(found, settings)
    work = Tasks(work_dir, TAXONOMY, settings, found, workers, log)
    remarks = (*data_notes(found), *_other_networks(settings), *notes)
    steps = _steps(work, settings, counts)
    steps.append(_report(work, remarks, steps, tuple(counts)))
    return Experiment(NAME, work_dir, settings, found, remarks, tuple(steps))


def gan_run(class_name: str) -> str:
    """The folder of the GAN of a class, relative to the work folder."""
    return f"runs/gan-{class_name}"


def generated_records(class_name: str) -> str:
    """The records of generated images of a class, relative to the work folder."""
    return f"records/generated-{class_name}"


def _other_networks(settings: Isic2017Settings) -> list[str]:
    notes = []
    if settings.recipe == NO_RECIPE:
        notes.append(
            f"Networks and trainings are smaller than the paper's: {settings.backbone} at "
            f"{settings.classifier_size_px} px for ResNet-50 at 224 px, a segmenter at "
            f"{settings.segmenter_size_px} px for 380 px, generated images of "
            f"{settings.gan_size_px} px for 256 px."
        )
    if settings.balance != EXPANSION:
        notes.append(
            "Every batch of the proposed classifier holds equally many images of each class, in "
            "place of the expansion plan, which Figure 7 shows."
        )
    return notes


def _to_generate(
    data: ExperimentData | None, settings: Isic2017Settings
) -> tuple[dict[str, int], list[str]]:
    """Leave out classes that no GAN can be trained on; say so."""
    wanted = {MELANOMA: settings.melanoma_count, KERATOSIS: settings.keratosis_count}
    counts, notes = {}, []
    for name, count in wanted.items():
        found = training_images(name, data, settings, PHANTOM_FRACTIONS)
        if not count:
            spoken = name.replace("_", " ")
            notes.append(f"No image of {spoken} is generated: the settings ask for none.")
        elif found < settings.gan_batch_size:
            notes.append(too_few(name, found, settings))
        else:
            counts[name] = count
    return counts, notes


def _steps(work: Tasks, settings: Isic2017Settings, counts: Mapping[str, int]) -> list[Step]:
    baseline = networks.classifier_settings(settings, settings.baseline_epochs)
    is_expanded = settings.balance == EXPANSION
    batches = BatchSettings(expansion=TAXONOMY) if is_expanded else BatchSettings(balance="batch")
    proposed = networks.classifier_settings(settings, settings.proposed_epochs, batches)
    views = _SIX_VIEWS_AND_MIRRORED if is_expanded else 1.0
    grown = images(work) * (1 + shared.OCCLUDED) + sum(counts.values())
    records = (tasks.PURIFIED, *map(generated_records, counts))
    needs = ("purify", *(f"generate-{name}" for name in counts))
    segmenter = str(work.work_dir / tasks.SEGMENTER)
    purification = PurificationSettings(method=settings.purify_method, segmenter=segmenter)
    return [
        *shared.data_steps(work, PHANTOM_FRACTIONS),
        _segmenter_step(work, settings),
        shared.purify_step(work, purification, ("records", "segmenter")),
        *(step for name, count in counts.items()
          for step in _class_steps(work, settings, name, count)),
        Step("expansion", tasks.EXPANSION, functools.partial(work.expand, records), needs,
             contents=("expansion.json",)),
        shared.classifier_step(
            work, "baseline", (tasks.RAW,), ("records",), baseline, images(work)),
        shared.classifier_step(
            work, "proposed", records, needs, proposed, views * grown),
        *(shared.evaluation_step(work, name, name) for name in ("baseline", "proposed")),
        shared.comparison_step(work, "baseline", "proposed"),
        shared.export_step(work, segmenter, ("segmenter", "proposed")),
    ]  # fmt: skip


def _segmenter_step(work: Tasks, settings: Isic2017Settings) -> Step:
    chosen = networks.segmenter_settings(settings)
    network = "unet" if settings.recipe != NO_RECIPE else "small U-Net"
    trained = estimates.training(
        network, chosen.image_size_px, images(work), chosen.epochs, device(settings)
    )
    return Step("segmenter", tasks.SEGMENTER, functools.partial(work.train_segmenter, chosen),
                ("records",), chosen.to_json(), contents=shared.WEIGHTS, continues=True,
                estimate=trained)  # fmt: skip


def _class_steps(work: Tasks, settings: Isic2017Settings, name: str, count: int) -> list[Step]:
    gan = networks.gan_settings(settings, name)
    known = training_images(name, work.data, settings, PHANTOM_FRACTIONS)
    rounds = gan.epochs * known / gan.batch_size
    return shared.gan_steps(
        work, f"-{name}", gan_run(name), generated_records(name), gan, rounds, count
    )


def _report(
    work: Tasks, notes: Sequence[str], steps: Sequence[Step], classes: Sequence[str]
) -> Step:
    def write(made: Sequence[Mapping[str, Any]], output: Path) -> None:
        # Imported here: it loads TensorFlow.
        from melanoma_tf.workflows.report_isic2017 import write_isic2017_report

        write_isic2017_report(work, notes, made, classes, output)

    return report_step(NAME, work, notes, steps, ("expansion", "compare", "export"), write)
