"""Time that a training step of several workers takes beyond that of a single process.

    python scripts/benchmarks/workers.py --workers 2 --backbone small --image-size 96

Each process has one thread and the same share of a batch, so a step of several workers does per
process what the single process does, and also sums the gradients over loopback. All batches are the
same noise: input costs nothing. Processor seconds are those of the chief: a busy machine hardly
changes them. By the clock, processes beyond the number of idle cores measure waiting.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from comparison import Comparison, add_json_option, write_json

LAUNCHER = Path(__file__).resolve().parents[1] / "launch_workers.py"
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
WARM_UP_STEPS = 3


class Step(NamedTuple):
    """Median seconds of a step by the clock, mean processor seconds, megabytes of weights."""

    clock_s: float
    processor_s: float
    weights_mb: float


def train(options: argparse.Namespace) -> None:
    """Train as one worker; the chief prints its `Step`."""
    from melanoma_tf.training.settings import TrainingSettings
    from melanoma_tf.training.strategy import choose_devices
    from melanoma_tf.training.workers import visible_workers

    workers = visible_workers()
    settings = TrainingSettings(batch_size=options.batch_size * workers.count)
    devices = choose_devices(settings, workers)

    import tensorflow as tf

    from melanoma_tf.backbones.classifier import build_classifier
    from melanoma_tf.core.keras import keras

    ends: list[tuple[float, float]] = []
    with devices.strategy.scope():
        model = build_classifier(
            backbone=options.backbone, num_classes=3, image_size_px=options.image_size
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(), loss)
    shape = (options.batch_size, options.image_size, options.image_size, 3)
    batch = (tf.random.uniform(shape, 0, 255), tf.range(options.batch_size) % 3)

    def batches(context: object = None) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(batch).repeat()

    several = workers.count > 1
    given = devices.strategy.distribute_datasets_from_function(batches) if several else batches()
    clock = keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: ends.append((time.perf_counter(), time.process_time()))
    )
    model.fit(given, steps_per_epoch=WARM_UP_STEPS + options.steps, verbose=0, callbacks=[clock])
    if workers.is_chief:
        clocks, processors = zip(*ends[WARM_UP_STEPS - 1 :])
        step = Step(
            statistics.median(later - earlier for earlier, later in zip(clocks, clocks[1:])),
            (processors[-1] - processors[0]) / options.steps,
            4 * model.count_params() / 1e6,
        )
        print("step", *step, flush=True)


def measure(command: list[str]) -> Step:
    """The step of the chief of a training in processes of its own."""
    done = subprocess.run(
        command, env={**os.environ, **THREADS}, stdout=subprocess.PIPE, text=True, check=True
    )
    found = re.search(r"step (\S+) (\S+) (\S+)", done.stdout)
    assert found is not None, done.stdout
    return Step(*map(float, found.groups()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=16, help="images of one worker")
    parser.add_argument("--steps", type=int, default=20)
    add_json_option(parser)
    parser.add_argument("--as-worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_worker:
        train(options)
        return
    own = [sys.executable, __file__, "--as-worker", "--backbone", options.backbone]
    for name in ("image_size", "batch_size", "steps"):
        own += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    launched = [sys.executable, str(LAUNCHER), str(options.workers), "--", *own]
    # Alternating, so that whatever else the machine does falls on both.
    rounds = [(measure(own), measure(launched)) for _ in range(2)]
    one, several = (Step(*map(min, zip(*[pair[side] for pair in rounds]))) for side in (0, 1))
    work = (
        f"{options.backbone} at {options.image_size} px, {one.weights_mb:.1f} MB of weights, "
        f"{options.batch_size} images a worker"
    )
    print(f"{work}\n{'':12}  clock, ms  processor, ms a step")
    for name, step in (("1 process", one), (f"{options.workers} workers", several)):
        print(f"{name:12} {1000 * step.clock_s:10.1f} {1000 * step.processor_s:14.1f}")
    print(f"{'overhead':12} {1000 * (several.clock_s - one.clock_s):10.1f} "
          f"{1000 * (several.processor_s - one.processor_s):14.1f}")  # fmt: skip
    speed = options.workers * one.clock_s / several.clock_s
    print(f"{speed:.2f} times the images per second by the clock, "
          f"{several.processor_s / one.processor_s:.2f} times the processor time")  # fmt: skip
    write_json(
        options.json,
        [Comparison(f"a step of {options.workers} workers, {work}", several.processor_s,
                    one.processor_s, "s", "a process alone, processor time")],
    )  # fmt: skip


if __name__ == "__main__":
    main()
