"""The work of the steps of the ISIC 2017 experiment.

TensorFlow takes seconds to load, and a plan does without it: each function imports what it needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.classification.settings import (
    RECIPES,
    BatchSettings,
    ClassifierSettings,
    OptimizationSettings,
)
from melanoma_tf.core.files import write_json
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.generation.settings import GAN_RECIPES, GanSettings, GenerationSettings
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.build.settings import BuildSettings
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.workflows.isic2017_data import MAIN, TAXONOMY, ExperimentData, read_data
from melanoma_tf.workflows.settings import NO_RECIPE, ExperimentSettings

PHANTOMS, RAW, PURIFIED = "phantoms", "records/raw", "records/purified"
SEGMENTER, BASELINE, PROPOSED = "runs/segmenter", "runs/baseline", "runs/proposed"
EVALUATION, COMPARISON, EXPANSION = "evaluation", "evaluation/comparison", "expansion"
MODEL, REPORT = "saved_models/proposed", "report"
# Phantoms are drawn in these fractions, near to those of ISIC 2017.
PHANTOM_FRACTIONS = {"melanoma": 0.25, "nevus": 0.5, "seborrheic_keratosis": 0.25}
_SHORT_ENCODER = "efficientnet-lite0"


def gan_run(class_name: str) -> str:
    """The folder of the GAN of a class, relative to the work folder."""
    return f"runs/gan-{class_name}"


def generated_records(class_name: str) -> str:
    """The records of generated images of a class, relative to the work folder."""
    return f"records/generated-{class_name}"


def build_settings(settings: ExperimentSettings, data: ExperimentData | None) -> BuildSettings:
    """The settings of the records; phantoms, which are no data set yet, are divided."""
    return BuildSettings(
        TAXONOMY,
        settings.image_size_px,
        split="0.7/0.15/0.15" if data is None else data.split,
        keep_split=() if data is None else data.keep_split,
        seed=settings.seed,
        skip_bad=True,
    )


def segmenter_settings(settings: ExperimentSettings) -> SegmenterSettings:
    """The network of Table 1, or a U-Net with a small encoder."""
    if settings.recipe != NO_RECIPE:
        return SegmenterSettings(
            image_size_px=settings.segmenter_size_px,
            epochs=settings.segmenter_epochs,
            seed=settings.seed,
        )
    return SegmenterSettings(
        image_size_px=settings.segmenter_size_px,
        encoder=_SHORT_ENCODER,
        weights=settings.weights,
        normalization="batch",
        epochs=settings.segmenter_epochs,
        learning_rate=1e-3,
        schedule="cosine",
        overlap="dice",
        augment="mild",
        seed=settings.seed,
    )


def gan_settings(settings: ExperimentSettings, class_name: str) -> GanSettings:
    """The settings of the DCGAN of a class."""
    base = GanSettings(schedule="cosine")
    if settings.recipe != NO_RECIPE:
        base = GAN_RECIPES[settings.recipe]
    return dataclasses.replace(
        base,
        class_names=(class_name,),
        image_size_px=settings.gan_size_px,
        epochs=settings.gan_epochs,
        batch_size=settings.gan_batch_size,
        seed=settings.seed,
    )


def generation_settings(settings: ExperimentSettings, count: int) -> GenerationSettings:
    """The settings of the generated images of a class."""
    return GenerationSettings(count=count, min_mse=settings.min_mse, seed=settings.seed)


def classifier_settings(settings: ExperimentSettings, *, proposed: bool) -> ClassifierSettings:
    """The settings of a classifier; the proposed one is trained by the expansion plan."""
    base = ClassifierSettings(
        optimization=OptimizationSettings("adam", 3e-4, schedule="cosine"),
    )
    if settings.recipe != NO_RECIPE:
        base = RECIPES[settings.recipe]
    network = dataclasses.replace(
        base.network,
        backbone=settings.backbone,
        weights=settings.weights,
        image_size_px=settings.classifier_size_px,
    )
    return dataclasses.replace(
        base,
        network=network,
        batches=BatchSettings(expansion=TAXONOMY if proposed else "none"),
        epochs=settings.proposed_epochs if proposed else settings.baseline_epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )


@dataclass(frozen=True)
class Tasks:
    """What the steps of an experiment do; each method makes the output of a step.

    Attributes:
        work_dir: folder of all outputs.
        settings: of the experiment.
        data: the data sets; None draws phantoms.
        classes: of which images are generated.
        workers: threads and processes that prepare images; no result depends on it.
        log: takes a line for each epoch, and warnings.
    """

    work_dir: Path
    settings: ExperimentSettings
    data: ExperimentData | None
    classes: Sequence[str]
    workers: int
    log: Callable[[str], None]

    def draw_phantoms(self, output: Path, resume: bool) -> None:
        """Draw phantoms in the layout of ISIC 2017."""
        from melanoma_tf.phantoms import PhantomSettings, write_phantoms

        write_phantoms(
            output,
            self.settings.phantoms,
            settings=PhantomSettings(self.settings.image_size_px),
            seed=self.settings.seed,
            class_fractions=PHANTOM_FRACTIONS,
        )

    def build_records(self, output: Path, resume: bool) -> None:
        """Build the records of all data sets."""
        from melanoma_tf.records.build.build import build_records

        if resume and output.exists():
            return  # It appeared whole just before the run stopped.
        data = self.data or read_data({MAIN: self.work_dir / PHANTOMS})
        manifest = build_records(
            data.listings,
            build_settings(self.settings, self.data),
            output,
            workers=self.workers,
            resume=resume,
        )
        for row in manifest.skipped:
            self.log(f"warning: left out {row['key']}: {row['reason']}")

    def train_segmenter(self, output: Path, resume: bool) -> None:
        """Train the segmenter that guides the purification."""
        from melanoma_tf.segmentation.train import train_segmenter

        train_segmenter(
            self._records,
            output,
            segmenter_settings(self.settings),
            resume=can_resume(output, resume),
            log=self.log,
        )

    def purify(self, output: Path, resume: bool) -> None:
        """Add purified copies of the occluded images."""
        from melanoma_tf.purification.on_records import purify_records

        chosen = PurificationSettings(
            method=self.settings.purify_method,
            segmenter=str(self.work_dir / SEGMENTER),
            workers=self.workers,
        )
        purify_records(self._records, output, chosen)

    def train_gan(self, class_name: str, output: Path, resume: bool) -> None:
        """Train a DCGAN of a class."""
        from melanoma_tf.generation.train import train_gan

        train_gan(
            self._records,
            output,
            gan_settings(self.settings, class_name),
            resume=can_resume(output, resume),
            log=self.log,
        )

    def generate(self, class_name: str, count: int, output: Path, resume: bool) -> None:
        """Generate images of a class through the novelty filter."""
        from melanoma_tf.generation.generate import generate_records

        generate_records(
            self.work_dir / gan_run(class_name),
            output,
            generation_settings(self.settings, count),
            records=self._records,
            log=self.log,
        )

    def expand(self, output: Path, resume: bool) -> None:
        """Count how the training set grows, Figure 7."""
        from melanoma_tf.classification.batches import count_by_origin
        from melanoma_tf.classification.expansion_plan import (
            expansion_plan_named,
            generated_fraction,
            grow,
        )
        from melanoma_tf.records.record_set import RecordSet

        counts = count_by_origin(RecordSet.read(self._training_records()))
        rows = grow(counts, expansion_plan_named(TAXONOMY))
        with published_folder(output) as folder:
            payload = {
                "classes": [dataclasses.asdict(row) for row in rows],
                "generated_fraction": generated_fraction(rows),
            }
            write_json(folder / "expansion.json", payload)

    def train_baseline(self, output: Path, resume: bool) -> None:
        """Train a classifier on the raw images."""
        self._train_classifier([self._records], output, resume, proposed=False)

    def train_proposed(self, output: Path, resume: bool) -> None:
        """Train a classifier on raw, purified and generated images by the expansion plan."""
        self._train_classifier(self._training_records(), output, resume, proposed=True)

    def evaluate(self, run: str, output: Path, resume: bool) -> None:
        """Score a classifier on the raw test images, as in the paper's Section 4.2."""
        from melanoma_tf.classification.evaluate import evaluate_classifier
        from melanoma_tf.classification.evaluation_settings import EvaluationSettings

        chosen = EvaluationSettings(rounds=self.settings.rounds, seed=self.settings.seed)
        with published_folder(output) as folder:
            evaluate_classifier(self.work_dir / run, self._records, chosen, output=folder)

    def compare(self, output: Path, resume: bool) -> None:
        """Test whether the proposed classifier differs from the baseline."""
        from melanoma_tf.evaluation.compare import compare_predictions
        from melanoma_tf.evaluation.predictions import read_predictions

        first, second = (
            read_predictions(self.work_dir / EVALUATION / name / "predictions.csv")
            for name in ("baseline", "proposed")
        )
        rounds, seed = self.settings.rounds, self.settings.seed
        with published_folder(output) as folder:
            result = compare_predictions(first, second, rounds=rounds, seed=seed)
            write_json(folder / "comparison.json", result)

    def export(self, output: Path, resume: bool) -> None:
        """Export the proposed classifier with the segmenter."""
        from melanoma_tf.serving.export import export_run
        from melanoma_tf.serving.settings import ExportSettings

        chosen = ExportSettings(segmenter=str(self.work_dir / SEGMENTER))
        export_run(self.work_dir / PROPOSED, output, chosen)

    @property
    def _records(self) -> Path:
        return self.work_dir / RAW

    def _training_records(self) -> list[Path]:
        generated = [self.work_dir / generated_records(name) for name in self.classes]
        return [self.work_dir / PURIFIED, *generated]

    def _train_classifier(
        self, records: Sequence[Path], output: Path, resume: bool, *, proposed: bool
    ) -> None:
        from melanoma_tf.classification.train import train_classifier

        train_classifier(
            records,
            output,
            classifier_settings(self.settings, proposed=proposed),
            resume=can_resume(output, resume),
            log=self.log,
        )


def can_resume(run_dir: Path, resume: bool) -> bool:
    """Tell whether a training goes on; one that was killed in its first epoch begins again."""
    from melanoma_tf.training.run import HISTORY

    return resume and (run_dir / HISTORY).is_file()
