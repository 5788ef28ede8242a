"""The ISIC 2017 experiment of Bisla et al. 2019, from raw data sets to a report, in steps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.ownership import refuse_inputs
from melanoma_tf.workflows import estimates
from melanoma_tf.workflows import isic2017_tasks as tasks
from melanoma_tf.workflows.isic2017_data import ExperimentData, find_folders, read_data
from melanoma_tf.workflows.isic2017_tasks import Tasks
from melanoma_tf.workflows.ledger import Entry, Ledger
from melanoma_tf.workflows.run_steps import preview, run_steps
from melanoma_tf.workflows.settings import NO_RECIPE, ExperimentSettings
from melanoma_tf.workflows.steps import Estimate, PlannedStep, Step

NAME = "isic2017"
MELANOMA, KERATOSIS = "melanoma", "seborrheic_keratosis"
_MANIFEST, _WEIGHTS = ("manifest.json",), ("config.json", "weights.npz")
_SIX_VIEWS_AND_MIRRORED = 9.0  # Examples of an image in an epoch of the plan, on average.
_OCCLUDED = 0.25  # Fraction of the images that get a purified copy.


@dataclass(frozen=True)
class Experiment:
    """An experiment on given data, divided into steps.

    Attributes:
        work_dir: folder of all outputs.
        settings: see `ExperimentSettings`.
        data: the data sets; None draws phantoms.
        notes: what differs from the paper.
        steps: see `steps.Step`.
    """

    work_dir: Path
    settings: ExperimentSettings
    data: ExperimentData | None
    notes: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def assumption(self) -> str:
        """Name the machine that the estimates are for."""
        return estimates.ASSUMPTIONS[_device(self.settings)]


def plan_experiment(
    data: Sequence[str],
    work_dir: Path,
    settings: ExperimentSettings,
    *,
    workers: int = 1,
    log: Callable[[str], None] = print,
) -> Experiment:
    """Divide the experiment into steps, for the data that is there; nothing is written.

    Args:
        data: `NAME=DIR` for isic2017, ph2 and dermofit, or a folder with folders of these names;
            empty where the settings draw phantoms.
        work_dir: folder of all outputs.
        settings: see `ExperimentSettings`.
        workers: threads that prepare images; no result depends on it.
        log: takes a line for each epoch, and warnings.

    Raises:
        MelanomaError: no data, data with phantoms, a folder of another layout, or a work folder
            that holds or lies in the data.
    """
    found = _find_data(data, settings)
    if found is not None:
        refuse_inputs(work_dir, found.folders.values())
    wanted = {MELANOMA: settings.melanoma_count, KERATOSIS: settings.keratosis_count}
    counts, notes = _to_generate(wanted, found, settings)
    work = Tasks(work_dir, settings, found, tuple(counts), workers, log)
    known = found.notes if found else ("The images are phantoms: no score says anything of skin.",)
    remarks = (*known, *_other_networks(settings), *notes)
    steps = _steps(work, counts)
    steps.append(_report_step(work, remarks, [step.name for step in steps]))
    return Experiment(work_dir, settings, found, remarks, tuple(steps))


def run_experiment(
    experiment: Experiment, *, from_step: str | None = None, log: Callable[[str], None] = print
) -> dict[str, Entry]:
    """Make the steps that are not done; see `run_steps.run_steps`."""
    return run_steps(NAME, experiment.steps, experiment.work_dir, from_step=from_step, log=log)


def preview_experiment(experiment: Experiment, from_step: str | None = None) -> list[PlannedStep]:
    """Return what `run_experiment` would do; nothing is written."""
    return preview(NAME, experiment.steps, experiment.work_dir, from_step)


def _find_data(data: Sequence[str], settings: ExperimentSettings) -> ExperimentData | None:
    if not settings.phantoms:
        return read_data(find_folders(data))
    if data:
        raise MelanomaError(
            f"expected --data or phantoms; found both, {settings.phantoms} phantoms and {data[0]}: "
            "give --phantoms 0"
        )
    return None


def _other_networks(settings: ExperimentSettings) -> list[str]:
    if settings.recipe != NO_RECIPE:
        return []
    return [
        f"Networks and trainings are smaller than the paper's: {settings.backbone} at "
        f"{settings.classifier_size_px} px for ResNet-50 at 224 px, a segmenter at "
        f"{settings.segmenter_size_px} px for 380 px, generated images of "
        f"{settings.gan_size_px} px for 256 px."
    ]


def _to_generate(
    wanted: dict[str, int], data: ExperimentData | None, settings: ExperimentSettings
) -> tuple[dict[str, int], list[str]]:
    """Leave out classes that no GAN can be trained on; say so."""
    counts, notes = {}, []
    for name, count in wanted.items():
        spoken = name.replace("_", " ")
        images = _training_images(name, data, settings)
        if not count:
            notes.append(f"No image of {spoken} is generated: the settings ask for none.")
        elif images < settings.gan_batch_size:
            notes.append(
                f"No image of {spoken} is generated: there are about {images} training images, "
                f"fewer than the {settings.gan_batch_size} of a batch."
            )
        else:
            counts[name] = count
    return counts, notes


def _training_images(
    class_name: str, data: ExperimentData | None, settings: ExperimentSettings
) -> int:
    if data is not None:
        return data.training_images(class_name)
    return int(0.7 * tasks.PHANTOM_FRACTIONS[class_name] * settings.phantoms)


def _steps(work: Tasks, counts: dict[str, int]) -> list[Step]:
    generations = [f"generate-{name}" for name in counts]
    scale = {"rounds": work.settings.rounds, "seed": work.settings.seed}
    return [
        *_data_steps(work),
        *(step for name, count in counts.items() for step in _class_steps(work, name, count)),
        Step("expansion", tasks.EXPANSION, work.expand, ("purify", *generations),
             contents=("expansion.json",)),
        *_classifier_steps(work, counts, scale),
        Step("compare", tasks.COMPARISON, work.compare, ("evaluate-baseline", "evaluate-proposed"),
             scale, contents=("comparison.json",)),
        Step("export", tasks.MODEL, work.export, ("segmenter", "proposed"),
             contents=("*/saved_model.pb",), continues=True, adds_versions=True,
             estimate=Estimate(40.0, 100.0)),
    ]  # fmt: skip


def _report_step(work: Tasks, notes: Sequence[str], names: Sequence[str]) -> Step:
    def write(output: Path, resume: bool) -> None:
        # Imported here: it loads TensorFlow.
        from melanoma_tf.workflows.report import write_experiment_report

        write_experiment_report(work, notes, _made(work.work_dir, names), output)

    return Step(
        "report",
        tasks.REPORT,
        write,
        ("expansion", "compare", "export"),
        {"notes": list(notes), "settings": work.settings.to_json()},
        contents=("report.html", "results.json"),
    )


def _made(work_dir: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe the steps that were made."""
    entries = Ledger(work_dir, NAME).entries
    return [
        {
            "name": name,
            "output": entries[name].output,
            "seconds": entries[name].seconds,
            "attempts": entries[name].attempts,
        }
        for name in names
    ]


def _data_steps(work: Tasks) -> list[Step]:
    settings, data, device = work.settings, work.data, _device(work.settings)
    images = _images(work)
    size, built = settings.image_size_px, tasks.build_settings(settings, data).to_json()
    drawn = {"phantoms": settings.phantoms, "size_px": size, "seed": settings.seed}
    phantoms = [Step("phantoms", tasks.PHANTOMS, work.draw_phantoms, (), drawn,
                     estimate=estimates.records(images, size))]  # fmt: skip
    inputs = () if data is None else tuple(data.folders.values())
    sources = [] if data is None else list(data.folders)
    segmenter = tasks.segmenter_settings(settings)
    network = "unet" if settings.recipe != NO_RECIPE else segmenter.encoder
    method = {"method": settings.purify_method}
    return [
        *(phantoms if data is None else []),
        Step("records", tasks.RAW, work.build_records, ("phantoms",) if data is None else (),
             {**built, "sources": sources}, inputs, _MANIFEST, continues=True,
             estimate=estimates.records(images, size)),
        Step("segmenter", tasks.SEGMENTER, work.train_segmenter, ("records",), segmenter.to_json(),
             contents=_WEIGHTS, continues=True,
             estimate=estimates.training(
                 network, settings.segmenter_size_px, images, segmenter.epochs, device)),
        Step("purify", tasks.PURIFIED, work.purify, ("records", "segmenter"), method,
             contents=_MANIFEST, estimate=estimates.records(images * (1 + _OCCLUDED), size)),
    ]  # fmt: skip


def _class_steps(work: Tasks, name: str, count: int) -> list[Step]:
    settings, device = work.settings, _device(work.settings)
    gan = tasks.gan_settings(settings, name)
    images = _training_images(name, work.data, settings)
    trained = estimates.training("gan", gan.image_size_px, images, gan.epochs, device)
    return [
        Step(f"gan-{name}", tasks.gan_run(name), functools.partial(work.train_gan, name),
             ("records",), gan.to_json(), contents=_WEIGHTS, continues=True, estimate=trained),
        Step(f"generate-{name}", tasks.generated_records(name),
             functools.partial(work.generate, name, count), ("records", f"gan-{name}"),
             tasks.generation_settings(settings, count).to_json(), contents=_MANIFEST,
             estimate=estimates.generated(count, gan.image_size_px, device)),
    ]  # fmt: skip


def _classifier_steps(work: Tasks, counts: dict[str, int], scale: dict[str, int]) -> list[Step]:
    settings, device, images = work.settings, _device(work.settings), _images(work)
    size, backbone = settings.classifier_size_px, settings.backbone
    baseline = tasks.classifier_settings(settings, proposed=False)
    proposed = tasks.classifier_settings(settings, proposed=True)
    examples = _SIX_VIEWS_AND_MIRRORED * (images * (1 + _OCCLUDED) + sum(counts.values()))
    test = estimates.inference(backbone, size, images / 5, device)
    generations = tuple(f"generate-{name}" for name in counts)
    scores = ("metrics.json", "predictions.csv", "report.html")
    return [
        Step("baseline", tasks.BASELINE, work.train_baseline, ("records",), baseline.to_json(),
             contents=_WEIGHTS, continues=True,
             estimate=estimates.training(backbone, size, images, baseline.epochs, device)),
        Step("proposed", tasks.PROPOSED, work.train_proposed, ("purify", *generations),
             proposed.to_json(), contents=_WEIGHTS, continues=True,
             estimate=estimates.training(backbone, size, examples, proposed.epochs, device)),
        *(Step(f"evaluate-{name}", f"{tasks.EVALUATION}/{name}",
               functools.partial(work.evaluate, f"runs/{name}"), ("records", name), scale,
               contents=scores, estimate=test)
          for name in ("baseline", "proposed")),
    ]  # fmt: skip


def _images(work: Tasks) -> int:
    return work.settings.phantoms if work.data is None else work.data.images()


def _device(settings: ExperimentSettings) -> str:
    return "cpu" if settings.recipe == NO_RECIPE else "gpu"
