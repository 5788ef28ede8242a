"""An ablation: the same classifier trained with parts of the method on and off, in steps."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.classification.settings import (
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.ownership import refuse_inputs
from melanoma_tf.workflows.ledger import Entry
from melanoma_tf.workflows.run_steps import preview, run_steps
from melanoma_tf.workflows.settings import AblationSettings
from melanoma_tf.workflows.steps import PlannedStep, Step

NAME = "ablation"
REPORT = "report"
NONE = "none"
_WEIGHTS, _SCORES = ("config.json", "weights.npz"), ("metrics.json", "predictions.csv")
_WITHOUT = "none"

Variant = tuple[str, ...]


@dataclass(frozen=True)
class AblationRecords:
    """The record folders of an ablation.

    Attributes:
        raw: the images; its test split is what is scored.
        purified: what `purify` made of them, which holds the originals too; None without.
        generated: folders of generated images.
    """

    raw: Path
    purified: Path | None = None
    generated: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ablation:
    """An ablation, divided into steps.

    Attributes:
        work_dir: folder of all outputs.
        settings: see `AblationSettings`.
        variants: the factors that are on, by name of the variant.
        seeds: of the trainings.
        steps: see `steps.Step`.
    """

    work_dir: Path
    settings: AblationSettings
    variants: Mapping[str, Variant]
    seeds: tuple[int, ...]
    steps: tuple[Step, ...]


def plan_ablation(
    records: AblationRecords,
    work_dir: Path,
    settings: AblationSettings,
    training: ClassifierSettings,
    *,
    log: Callable[[str], None] = print,
) -> Ablation:
    """Divide an ablation into steps; nothing is written.

    Factors that are on: `purify` trains on the purified records, `generate` adds the generated
    ones, `balance` draws balanced batches, and `augment` takes the augmentation of `training`. Off
    are the raw records, no generated images, every image equally often, and no augmentation. What
    is no factor is as `training` says.

    Args:
        records: see `AblationRecords`.
        work_dir: folder of all outputs.
        settings: see `AblationSettings`.
        training: of all classifiers; its seed is the first.
        log: takes a line for each epoch.

    Raises:
        MelanomaError: a factor without its records or records without their factor, settings that
            do not go together, or a work folder that holds or lies in the records.
    """
    _check_records(records, settings)
    folders = [each for each in (records.raw, records.purified, *records.generated) if each]
    refuse_inputs(work_dir, folders)
    variants = {variant_name(each): each for each in variants_of(settings)}
    seeds = tuple(training.seed + index for index in range(settings.seeds))
    work = _Work(records, work_dir, settings, training, log)
    # Seed by seed: a series that is broken off has all variants with fewer seeds.
    pairs = [(name, seed) for seed in seeds for name in variants]
    steps = [step for name, seed in pairs for step in work.steps(name, variants[name], seed)]
    ablation = Ablation(work_dir, settings, variants, seeds, ())
    steps.append(_report_step(ablation, training, [f"evaluate-{n}-{s}" for n, s in pairs]))
    return dataclasses.replace(ablation, steps=tuple(steps))


def run_ablation(
    ablation: Ablation, *, from_step: str | None = None, log: Callable[[str], None] = print
) -> dict[str, Entry]:
    """Make the steps that are not done; see `run_steps.run_steps`."""
    return run_steps(NAME, ablation.steps, ablation.work_dir, from_step=from_step, log=log)


def preview_ablation(ablation: Ablation, from_step: str | None = None) -> list[PlannedStep]:
    """Return what `run_ablation` would do; nothing is written."""
    return preview(NAME, ablation.steps, ablation.work_dir, from_step)


def variants_of(settings: AblationSettings) -> list[Variant]:
    """List the combinations of a design, each as the factors that are on."""
    names = settings.names
    combinations = [
        each for size in range(len(names) + 1) for each in itertools.combinations(names, size)
    ]
    if settings.design == "full":
        return combinations
    return [each for each in combinations if len(each) in (0, 1, len(names))]


def variant_name(variant: Variant) -> str:
    """Name a variant, as `purify+balance`."""
    return "+".join(variant) or NONE


def variant_settings(
    training: ClassifierSettings, settings: AblationSettings, variant: Variant, seed: int
) -> ClassifierSettings:
    """Return the settings of a training.

    Args:
        training: of all of them.
        settings: which parts are factors.
        variant: the factors that are on.
        seed: of this one.

    Raises:
        MelanomaError: settings that do not go together.
    """
    batches, augmentation = training.batches, training.augmentation
    if "balance" in settings.names:
        balance = "batch" if "balance" in variant else "none"
        batches = dataclasses.replace(
            BatchSettings(origins=batches.origins),
            balance=balance,
            generated_fraction=_limit(batches, settings, variant),
        )
    elif "generate" in settings.names and "generate" not in variant:
        # There are no generated images to limit.
        batches = dataclasses.replace(batches, generated_fraction=None)
    if "augment" in settings.names and "augment" not in variant:
        augmentation = AugmentationSettings(_WITHOUT)
    return dataclasses.replace(training, batches=batches, augmentation=augmentation, seed=seed)


def _limit(batches: BatchSettings, settings: AblationSettings, variant: Variant) -> float | None:
    has_generated = "generate" in variant or "generate" not in settings.names
    return batches.generated_fraction if "balance" in variant and has_generated else None


def _check_records(records: AblationRecords, settings: AblationSettings) -> None:
    needed = {
        "purify": ("--purified", records.purified),
        "generate": ("--generated", records.generated),
    }
    for factor, (option, given) in needed.items():
        if (factor in settings.names) != bool(given):
            found = "none" if factor in settings.names else f"them without the factor {factor}"
            raise MelanomaError(f"expected {option} with the factor {factor} only; found {found}")


@dataclass(frozen=True)
class _Work:
    records: AblationRecords
    work_dir: Path
    settings: AblationSettings
    training: ClassifierSettings
    log: Callable[[str], None]

    def steps(self, name: str, variant: Variant, seed: int) -> list[Step]:
        """The training of a variant with a seed, and its scores."""
        chosen = variant_settings(self.training, self.settings, variant, seed)
        folders = self._folders(variant)
        scale = {"seed": self.training.seed}
        train = functools.partial(self._train, folders, chosen)
        run = f"runs/{name}-{seed}"
        return [
            Step(f"train-{name}-{seed}", run, train, (), chosen.to_json(), tuple(folders),
                 _WEIGHTS, continues=True),
            Step(f"evaluate-{name}-{seed}", f"evaluation/{name}-{seed}",
                 functools.partial(self._evaluate, run), (f"train-{name}-{seed}",), scale,
                 (self.records.raw,), _SCORES),
        ]  # fmt: skip

    def _folders(self, variant: Variant) -> list[Path]:
        base = self.records.purified if "purify" in variant else self.records.raw
        assert base is not None  # `_check_records` saw to it.
        return [base, *(self.records.generated if "generate" in variant else ())]

    def _train(
        self, folders: Sequence[Path], chosen: ClassifierSettings, output: Path, resume: bool
    ) -> None:
        # Imported here: they load TensorFlow.
        from melanoma_tf.classification.train import train_classifier
        from melanoma_tf.workflows.tasks import can_resume

        resume = can_resume(output, resume)
        train_classifier(folders, output, chosen, resume=resume, log=self.log)

    def _evaluate(self, run: str, output: Path, resume: bool) -> None:
        from melanoma_tf.classification.evaluate import evaluate_classifier
        from melanoma_tf.classification.evaluation_settings import EvaluationSettings
        from melanoma_tf.core.outputs import published_folder

        chosen = EvaluationSettings(rounds=0, seed=self.training.seed)
        with published_folder(output) as folder:
            evaluate_classifier(self.work_dir / run, self.records.raw, chosen, output=folder)


def _report_step(ablation: Ablation, training: ClassifierSettings, needs: Sequence[str]) -> Step:
    def write(output: Path, resume: bool) -> None:
        from melanoma_tf.workflows.report_ablation import write_ablation_report

        write_ablation_report(ablation, training, output)

    chosen: dict[str, Any] = {"ablation": ablation.settings.to_json()}
    return Step("report", REPORT, write, tuple(needs), chosen,
                contents=("report.html", "results.json"))  # fmt: skip
