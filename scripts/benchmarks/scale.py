"""Time and memory of each stage at 1, 4 and 16 times the data, and in 1 against 2 processes.

    python scripts/benchmarks/scale.py
    python scripts/benchmarks/scale.py --base 500 --size 256

Stages: build (decode, scale, encode, search for duplicates, write), purify (the classical method),
input (20 epochs of a classifier's batches with its default augmentation), novelty (the search of
100 candidates among the images) and scoring (100 rounds of the bootstrap of all metrics, at 400
times as many images). Each amount of data has a process of its own. Seconds are those of the
processor, so that other work on the machine matters little; memory is what the peak of a stage adds
to the process. Time for one further item is the difference between two amounts: what a stage takes
once, such as tracing a graph, is not in it. With two processes, each gets half of the largest
amount.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CANDIDATES, NOVELTY_PX, BLOCK, SCORED, ROUNDS, BATCH, EPOCHS = 100, 32, 64, 400, 100, 10, 20
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
STAGES = ("build", "purify", "input", "novelty", "scoring")


def make_images(folder: Path, count: int, size: int) -> None:
    """Distinct ones with edges, as the detector of hairs looks for: blobs, and lines."""
    random = np.random.default_rng(0)
    for index in range(count):
        coarse = random.integers(60, 220, (6, 6, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (size * 4 // 3, size), interpolation=cv2.INTER_CUBIC)
        for _ in range(4):
            start, end = random.integers(0, size, (2, 2)).tolist()
            cv2.line(image, start, end, (20, 20, 30), 1, cv2.LINE_AA)
        cv2.imwrite(str(folder / f"{index}.jpg"), image)


def measure(work: Callable[[], object], items: int) -> dict[str, float]:
    """Processor seconds and added memory of some work; the peak is set back before it."""
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mib("VmRSS")
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return {
        "items": items,
        "seconds": time.process_time() - processor,
        "clock": time.perf_counter() - clock,
        "mib": memory_mib("VmHWM") - before,
    }


def memory_mib(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def work_of(
    images: Path, first: int, count: int, size: int, output: Path
) -> dict[str, Callable[[], None]]:
    """The stages by name, on some images."""
    from melanoma_tf.classification.data import training_batches
    from melanoma_tf.classification.inputs import classifier_inputs
    from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
    from melanoma_tf.datasets.lesion import Lesion, Listing
    from melanoma_tf.evaluation.metrics import prepare
    from melanoma_tf.evaluation.metrics.bootstrap import bootstrap, resamples
    from melanoma_tf.generation.nearest_neighbours import nearest
    from melanoma_tf.purification.on_records import purify_records
    from melanoma_tf.purification.settings import PurificationSettings
    from melanoma_tf.records.build.build import build_records
    from melanoma_tf.records.build.settings import BuildSettings
    from melanoma_tf.records.record_set import RecordSet

    lesions = tuple(
        Lesion(f"I{index}", images / f"{index}.jpg", None, CLASSES[index % 3], "made", "train")
        for index in range(first, first + count)
    )
    random = np.random.default_rng(first)
    shape = (NOVELTY_PX, NOVELTY_PX, 3)
    candidates = random.integers(0, 256, (CANDIDATES, *shape), dtype=np.uint8)
    labels = random.integers(0, 3, count * SCORED)
    scores = random.dirichlet(np.ones(3), count * SCORED)
    inputs = classifier_inputs(
        ClassifierSettings(batch_size=BATCH, network=NetworkSettings(image_size_px=size))
    )

    def build() -> None:
        settings = BuildSettings("isic2017", image_size=size, split="official")
        build_records([Listing("made", lesions, (), "CC0-1.0", "made")], settings, output / "r")

    def purify() -> None:
        purify_records(
            output / "r",
            output / "p",
            PurificationSettings(method="classical", segmenter="none", workers=1),
        )

    def read() -> None:
        batches = training_batches(RecordSet.read(output / "r"), inputs)
        for _ in batches.take(EPOCHS * count // BATCH):
            pass

    def novelty() -> None:
        blocks = (min(BLOCK, count - start) for start in range(0, count, BLOCK))
        nearest(
            candidates, (random.integers(0, 256, (each, *shape), dtype=np.uint8) for each in blocks)
        )

    def scoring() -> None:
        bootstrap(
            prepare(labels, scores, CLASSES), resamples(np.arange(len(labels)), ROUNDS, seed=0)
        )

    return dict(zip(STAGES, (build, purify, read, novelty, scoring)))


def run_part(images: Path, first: int, count: int, size: int, output: Path) -> None:
    """Measure all stages on some images, and print the numbers as JSON."""
    work = work_of(images, first, count, size, output)
    times = {"input": EPOCHS, "scoring": SCORED}
    found = {each: measure(work[each], count * times.get(each, 1)) for each in STAGES}
    print(json.dumps(found))


def measured(images: Path, size: int, parts: list[tuple[int, int]]) -> list[dict]:
    """Run parts of the data, each in a process of its own, at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for index, (first, count) in enumerate(parts):
            output = Path(folder) / str(index)
            output.mkdir()
            command = [sys.executable, __file__, "--part", images, first, count, size, output]
            processes.append(subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE))
        found = [process.communicate()[0] for process in processes]
        if any(process.returncode for process in processes):
            raise SystemExit("a process failed")
    return [json.loads(each.splitlines()[-1]) for each in found]


def further_ms(few: dict[str, float], many: dict[str, float]) -> float:
    """Processor milliseconds of one item more."""
    return (many["seconds"] - few["seconds"]) * 1e3 / (many["items"] - few["items"])


def listed(rows: list[dict[str, float]], name: str, form: str) -> str:
    return ", ".join(format(row[name], form) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=int, default=60, help="images at 1 time the data")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--size", type=int, default=96, help="short side of the images")
    parser.add_argument("--part", nargs=5, help=argparse.SUPPRESS)
    add_json_option(parser)
    options = parser.parse_args()
    if options.part:
        images, first, count, size, output = options.part
        run_part(Path(images), int(first), int(count), int(size), Path(output))
        return
    counts = [options.base * factor for factor in sorted(options.factors)]
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder)
        make_images(images, counts[-1], options.size)
        found = [measured(images, options.size, [(0, count)])[0] for count in counts]
        half = counts[-1] // 2
        halves = measured(images, options.size, [(0, half), (half, half)])
    comparisons = []
    for stage in STAGES:
        rows = [each[stage] for each in found]
        further = [further_ms(few, many) for few, many in zip(rows, rows[1:])]
        two = sum(each[stage]["seconds"] for each in halves)
        print(
            f"{stage}: {listed(rows, 'items', 'd')} items: {listed(rows, 'seconds', '.2f')} s; "
            f"{', '.join(f'{each:.4g}' for each in further)} ms for a further one; "
            f"{listed(rows, 'mib', '.0f')} MiB; in two processes {two:.2f} s, "
            f"{listed([each[stage] for each in halves], 'mib', '.0f')} MiB",
            flush=True,
        )
        comparisons.append(
            Comparison(
                f"{stage}, a further item of {rows[-1]['items']}",
                further[-1], further[0], "ms", f"of {rows[1]['items']}",
            )
        )  # fmt: skip
    write_json(options.json, comparisons)


if __name__ == "__main__":
    main()
