"""Share of a classifier's training step that is spent waiting for input.

    python scripts/benchmarks/input_wait.py tfrecords/NAME --backbone resnet50 --batch-size 32

Trains a few steps for each augmentation, with the batches, the network and the optimizer of
`train classifier`, measured as by `train ... --profile`. A share near 0 means that the accelerator
sets the pace, a large one that the processor does.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from melanoma_tf.classification.settings import (
    AugmentationSettings,
    ClassifierSettings,
    NetworkSettings,
)
from melanoma_tf.classification.train import classifier_job
from melanoma_tf.records.parts import WHOLE
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.training.input_wait import InputWait


def measure(records: RecordSet, settings: ClassifierSettings, steps: int, warm_up: int) -> None:
    job = classifier_job(records, settings, lambda line: None)
    model = job.compile(job.build())
    wait = InputWait(lambda line: None, warm_up)
    batches = wait.watch(job.training_batches(0, WHOLE))
    model.fit(batches, steps_per_epoch=warm_up + steps, verbose=0, callbacks=[wait])
    print(
        f"{settings.augmentation.augment:10} {settings.batch_size / wait.seconds:8.1f} images/s, "
        f"step {1000 * wait.seconds:7.1f} ms, of which waiting for input {wait.waiting:6.1%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3, help="steps that are not counted")
    options = parser.parse_args()
    records = RecordSet.read(options.records)
    for augment in ("none", "standard", "strong"):
        settings = ClassifierSettings(
            batch_size=options.batch_size,
            network=NetworkSettings(options.backbone, "none", image_size_px=options.image_size),
            augmentation=AugmentationSettings(augment),
        )
        measure(records, settings, options.steps, options.warm_up)


if __name__ == "__main__":
    main()
