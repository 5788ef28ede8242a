"""The work of the steps of an experiment.

TensorFlow takes seconds to load, and a plan does without it: each function imports what it needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.classification.settings import ClassifierSettings
from melanoma_tf.core.files import write_json
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.generation.settings import CoupledGanSettings, GanSettings, GenerationSettings
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.build.settings import BuildSettings
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.workflows.experiment_data import DIVIDED, ExperimentData
from melanoma_tf.workflows.settings import ExperimentSettings

PHANTOMS, RAW, PURIFIED = "phantoms", "records/raw", "records/purified"
SEGMENTER, BASELINE, PROPOSED = "runs/segmenter", "runs/baseline", "runs/proposed"
EVALUATION, EXPANSION = "evaluation", "expansion"
MODEL, REPORT = "saved_models/proposed", "report"


@dataclass(frozen=True)
class Tasks:
    """What the steps of an experiment do; each method makes the output of a step.

    Paths of records and runs are relative to the work folder.

    Attributes:
        work_dir: folder of all outputs.
        taxonomy: whose classes are told apart; of phantoms also their layout.
        settings: of the experiment.
        data: the data sets; None draws phantoms.
        workers: threads and processes that prepare images; no result depends on it.
        log: takes a line for each epoch, and warnings.
    """

    work_dir: Path
    taxonomy: str
    settings: ExperimentSettings
    data: ExperimentData | None
    workers: int
    log: Callable[[str], None]

    def build_settings(self) -> BuildSettings:
        """The settings of the records; phantoms, which are no data set yet, are divided."""
        return BuildSettings(
            self.taxonomy,
            self.settings.image_size_px,
            split=DIVIDED if self.data is None else self.data.split,
            keep_split=() if self.data is None else self.data.keep_split,
            seed=self.settings.seed,
            skip_bad=True,
        )

    def draw_phantoms(self, fractions: Mapping[str, float], output: Path, resume: bool) -> None:
        """Draw phantoms in the layout of the challenge."""
        from melanoma_tf.phantoms import PhantomSettings, write_phantoms

        write_phantoms(
            output,
            self.settings.phantoms,
            settings=PhantomSettings(self.settings.image_size_px),
            seed=self.settings.seed,
            taxonomy=self.taxonomy,
            class_fractions=fractions,
        )

    def build_records(self, output: Path, resume: bool) -> None:
        """Build the records of all data sets."""
        from melanoma_tf.records.build.build import build_records

        if resume and output.exists():
            return  # It appeared whole just before the run stopped.
        listings = (
            [list_source(self.taxonomy, self.work_dir / PHANTOMS)]
            if self.data is None
            else self.data.listings
        )
        manifest = build_records(
            listings, self.build_settings(), output, workers=self.workers, resume=resume
        )
        for row in manifest.skipped:
            self.log(f"warning: left out {row['key']}: {row['reason']}")

    def train_segmenter(self, chosen: SegmenterSettings, output: Path, resume: bool) -> None:
        """Train the segmenter that guides the purification."""
        from melanoma_tf.segmentation.train import train_segmenter

        train_segmenter(
            self._path(RAW), output, chosen, resume=can_resume(output, resume), log=self.log
        )

    def purify(self, chosen: PurificationSettings, output: Path, resume: bool) -> None:
        """Add purified copies of the occluded images."""
        from melanoma_tf.purification.on_records import purify_records

        purify_records(self._path(RAW), output, dataclasses.replace(chosen, workers=self.workers))

    def train_gan(self, chosen: GanSettings, output: Path, resume: bool) -> None:
        """Train a DCGAN of a class, or coupled ones of several."""
        from melanoma_tf.generation.train import train_coupled_gan, train_gan

        resume = can_resume(output, resume)
        if isinstance(chosen, CoupledGanSettings):
            train_coupled_gan(self._path(RAW), output, chosen, resume=resume, log=self.log)
        else:
            train_gan(self._path(RAW), output, chosen, resume=resume, log=self.log)

    def generate(self, run: str, chosen: GenerationSettings, output: Path, resume: bool) -> None:
        """Generate images through the novelty filter."""
        from melanoma_tf.generation.generate import generate_records

        generate_records(self._path(run), output, chosen, records=self._path(RAW), log=self.log)

    def expand(self, records: Sequence[str], output: Path, resume: bool) -> None:
        """Count how the training set grows, Figure 7."""
        from melanoma_tf.classification.batches import count_by_origin
        from melanoma_tf.classification.expansion_plan import (
            expansion_plan_named,
            generated_fraction,
            grow,
        )
        from melanoma_tf.records.record_set import RecordSet

        counts = count_by_origin(RecordSet.read(self._paths(records)))
        rows = grow(counts, expansion_plan_named(self.taxonomy))
        with published_folder(output) as folder:
            payload = {
                "classes": [dataclasses.asdict(row) for row in rows],
                "generated_fraction": generated_fraction(rows),
            }
            write_json(folder / "expansion.json", payload)

    def train_classifier(
        self, records: Sequence[str], chosen: ClassifierSettings, output: Path, resume: bool
    ) -> None:
        """Train a classifier on record folders."""
        from melanoma_tf.classification.train import train_classifier

        resume = can_resume(output, resume)
        train_classifier(self._paths(records), output, chosen, resume=resume, log=self.log)

    def evaluate(self, run: str, purify: str | None, output: Path, resume: bool) -> None:
        """Score a classifier on the test images; None purifies as it was trained to."""
        from melanoma_tf.classification.evaluate import evaluate_classifier
        from melanoma_tf.classification.evaluation_settings import EvaluationSettings

        chosen = EvaluationSettings(
            purify=purify, rounds=self.settings.rounds, seed=self.settings.seed
        )
        with published_folder(output) as folder:
            evaluate_classifier(self._path(run), self._path(RAW), chosen, output=folder)

    def compare(self, first: str, second: str, output: Path, resume: bool) -> None:
        """Test whether the second evaluation differs from the first."""
        from melanoma_tf.evaluation.compare import compare_predictions
        from melanoma_tf.evaluation.predictions import read_predictions

        before, after = (
            read_predictions(self._path(f"{EVALUATION}/{name}/predictions.csv"))
            for name in (first, second)
        )
        rounds, seed = self.settings.rounds, self.settings.seed
        with published_folder(output) as folder:
            result = compare_predictions(before, after, rounds=rounds, seed=seed)
            write_json(folder / "comparison.json", result)

    def export(self, segmenter: str, purify: str | None, output: Path, resume: bool) -> None:
        """Export the proposed classifier; the arguments are those of `ExportSettings`."""
        from melanoma_tf.serving.export import export_run
        from melanoma_tf.serving.settings import ExportSettings

        chosen = ExportSettings(segmenter=segmenter, purify=purify)
        export_run(self._path(PROPOSED), output, chosen)

    def _path(self, relative: str) -> Path:
        return self.work_dir / relative

    def _paths(self, relative: Sequence[str]) -> list[Path]:
        return [self._path(each) for each in relative]


def can_resume(run_dir: Path, resume: bool) -> bool:
    """Tell whether a training goes on; one that was killed in its first epoch begins again."""
    from melanoma_tf.training.run import HISTORY

    return resume and (run_dir / HISTORY).is_file()
