"""Time that a training step of several workers takes beyond that of a single process.

    python scripts/benchmarks/workers.py --workers 2 --backbone small --image-size 96

Each process has one thread and the same share of a batch, so a step of several workers does per
process what the single process does, and also sums the gradients over loopback. All batches are the
same noise: input costs nothing. Processes beyond the number of idle cores measure waiting.
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

LAUNCHER = Path(__file__).resolve().parents[1] / "launch_workers.py"
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
WARM_UP_STEPS = 3


def train(options: argparse.Namespace) -> None:
    """Train as one worker; the chief prints the seconds of its steps, median and mean."""
    from melanoma_tf.training.settings import TrainingSettings
    from melanoma_tf.training.strategy import choose_devices
    from melanoma_tf.training.workers import visible_workers

    workers = visible_workers()
    settings = TrainingSettings(batch_size=options.batch_size * workers.count)
    devices = choose_devices(settings, workers)

    import tensorflow as tf

    from melanoma_tf.backbones.classifier import build_classifier
    from melanoma_tf.core.keras import keras

    ends: list[float] = []
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
    clock = keras.callbacks.LambdaCallback(on_batch_end=lambda *_: ends.append(time.perf_counter()))
    model.fit(given, steps_per_epoch=WARM_UP_STEPS + options.steps, verbose=0, callbacks=[clock])
    if workers.is_chief:
        kept = ends[WARM_UP_STEPS - 1 :]
        seconds = [later - earlier for earlier, later in zip(kept, kept[1:])]
        size_mb = 4 * model.count_params() / 1e6
        print(f"median {statistics.median(seconds)} weights {size_mb}", flush=True)


def measure(command: list[str]) -> tuple[float, float]:
    """Median seconds of a step, and megabytes of weights."""
    done = subprocess.run(
        command, env={**os.environ, **THREADS}, stdout=subprocess.PIPE, text=True, check=True
    )
    found = re.search(r"median (\S+) weights (\S+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1]), float(found[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=16, help="images of one worker")
    parser.add_argument("--steps", type=int, default=20)
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
    one, several = (min(pair[side][0] for pair in rounds) for side in (0, 1))
    print(f"{options.backbone} at {options.image_size} px, {rounds[0][0][1]:.1f} MB of weights, "
          f"{options.batch_size} images a worker")  # fmt: skip
    print(f"1 process   {1000 * one:8.1f} ms a step")
    print(f"{options.workers} workers   {1000 * several:8.1f} ms a step")
    print(f"overhead    {1000 * (several - one):8.1f} ms, {several / one:.2f} times the step; "
          f"{options.workers * one / several:.2f} times the images per second")  # fmt: skip


if __name__ == "__main__":
    main()
