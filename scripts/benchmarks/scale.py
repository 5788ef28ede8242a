"""Time and memory of each stage at 1, 4 and 16 times the data, and in 1 against 2 processes.

    python scripts/benchmarks/scale.py
    python scripts/benchmarks/scale.py --purify-sizes 96 192 384 768

Stages, with the items of one unit of data: build (16 images: decode, scale, encode, write), search
(the search for duplicates of these images, which is a part of every build), purify (1 image, the
classical method), input (60 images of a classifier's batches with its default augmentation),
novelty (400 real images of 32 px, among which 200 candidates are sought) and scoring (4,000
images, 20 rounds of the bootstrap of all metrics).

Each amount of data has a process of its own. Seconds are those of the processor, so that other work
on the machine matters little; memory is what the peak of a stage adds to the process. What a stage
does once, such as tracing a graph, is left out twice: by a first batch or image before the clock
starts, and by the difference between two amounts. With two processes, each gets half of the largest
amount.

`--purify-sizes` measures how the time to purify an image depends on its size instead: images in
memory, one thread, the median of `--rounds` images after a first one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CANDIDATES, NOVELTY_PX, BLOCK, ROUNDS, BATCH = 200, 32, 256, 20, 10
# Items of a stage for each unit of data.
TIMES = {"build": 16, "search": 16, "purify": 1, "input": 60, "novelty": 400, "scoring": 4000}
STAGES = tuple(TIMES)
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
# Makes what it needs, yields, does the work that counts, and yields the seconds to leave out.
Stage = Callable[[], Iterator[float]]


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


def measure(stage: Stage, items: int) -> dict[str, float]:
    """Processor seconds and added memory of a stage; the peak is set back before its work."""
    steps = stage()
    next(steps)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mib("VmRSS")
    processor = time.process_time()
    left_out = next(steps)
    return {
        "items": items,
        "seconds": time.process_time() - processor - left_out,
        "mib": memory_mib("VmHWM") - before,
    }


def memory_mib(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def stages_of(images: Path, first: int, count: int, size: int, output: Path) -> dict[str, Stage]:
    """The stages by name, on some units of data."""
    from melanoma_tf.classification.data import training_batches
    from melanoma_tf.classification.inputs import classifier_inputs
    from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
    from melanoma_tf.datasets.lesion import Lesion, Listing
    from melanoma_tf.evaluation.metrics import prepare
    from melanoma_tf.evaluation.metrics.bootstrap import bootstrap, resamples
    from melanoma_tf.generation.nearest_neighbours import nearest
    from melanoma_tf.purification.on_records import purify_records
    from melanoma_tf.purification.settings import PurificationSettings
    from melanoma_tf.records.build import build as builder
    from melanoma_tf.records.build.settings import BuildSettings
    from melanoma_tf.records.record_set import RecordSet

    settings = BuildSettings("isic2017", image_size=size, split="official")
    plain = PurificationSettings(method="classical", segmenter="none", workers=1)
    random = np.random.default_rng(first)
    searched: list[float] = []
    find_clusters = builder.find_clusters

    def timed(*given: object, **named: object) -> object:
        start = time.process_time()
        found = find_clusters(*given, **named)
        searched.append(time.process_time() - start)
        return found

    builder.find_clusters = timed

    def records(name: str, start: int, number: int) -> Path:
        lesions = tuple(
            Lesion(f"I{index}", images / f"{index}.jpg", None, CLASSES[index % 3], "made", "train")
            for index in range(start, start + number)
        )
        listing = Listing("made", lesions, (), "CC0-1.0", "made")
        builder.build_records([listing], settings, output / name, overwrite=True)
        return output / name

    def build() -> Iterator[float]:
        records("first", TIMES["build"] * first, 3)
        yield 0.0
        records("all", TIMES["build"] * first, TIMES["build"] * count)
        yield searched[-1]

    def purify() -> Iterator[float]:
        few, some = records("few", first, 3), records("some", first, count)
        purify_records(few, output / "few-purified", plain, overwrite=True)
        yield 0.0
        purify_records(some, output / "some-purified", plain, overwrite=True)
        yield 0.0

    def read() -> Iterator[float]:
        inputs = classifier_inputs(
            ClassifierSettings(batch_size=BATCH, network=NetworkSettings(image_size_px=size))
        )
        batches = iter(training_batches(RecordSet.read(output / "all"), inputs))
        for _ in range(3):
            next(batches)
        yield 0.0
        for _ in range(TIMES["input"] * count // BATCH):
            next(batches)
        yield 0.0

    def novelty() -> Iterator[float]:
        shape = (NOVELTY_PX, NOVELTY_PX, 3)
        candidates, block = (
            random.integers(0, 256, (number, *shape), dtype=np.uint8)
            for number in (CANDIDATES, BLOCK)
        )
        nearest(candidates, [block])
        yield 0.0
        real = TIMES["novelty"] * count
        nearest(candidates, (block[: real - start] for start in range(0, real, BLOCK)))
        yield 0.0

    def scoring() -> Iterator[float]:
        number = TIMES["scoring"] * count
        labels = random.integers(0, 3, number)
        scores = random.dirichlet(np.ones(3), number)
        yield 0.0
        task = prepare(labels, scores, CLASSES)
        bootstrap(task, resamples(np.arange(number), ROUNDS, seed=0))
        yield 0.0

    def search() -> Iterator[float]:
        yield 0.0
        # It was done within the build: a negative time to leave out adds it.
        yield -min(searched[1::2])

    # The build comes first: others use its records.
    work = (build, search, purify, read, novelty, scoring)
    return dict(zip(STAGES, work))


def run_part(
    images: Path, first: int, count: int, size: int, output: Path, repeats: int, names: list[str]
) -> None:
    """Measure some stages on some units of data, and print the numbers as JSON.

    Of repeated measurements the least time counts, and the memory of the first.
    """
    stages = stages_of(images, first, count, size, output)
    found = {}
    for name in names:
        rows = [measure(stages[name], count * TIMES[name]) for _ in range(repeats)]
        found[name] = {**rows[0], "seconds": min(row["seconds"] for row in rows)}
    print(json.dumps(found))


def purify_by_size(sizes: list[int], rounds: int) -> list[Comparison]:
    """Print the processor milliseconds to purify an image, by its short side."""
    from melanoma_tf.purification.purifier import load_tools, purifier
    from melanoma_tf.purification.settings import PurificationSettings

    found = []
    for method in ("classical", "network"):
        settings = PurificationSettings(method=method, segmenter="none")
        tools = load_tools(settings)
        apply = purifier(method, tools.segment_lesion, tools.networks)
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                make_images(Path(folder), rounds + 1, size)
                images = [cv2.imread(str(each)) for each in sorted(Path(folder).iterdir())]
            seconds = []
            for image in images:
                start = time.process_time()
                apply(image, None)
                seconds.append(time.process_time() - start)
            milliseconds = statistics.median(seconds[1:]) * 1e3
            print(f"purify, {method}, {size * 4 // 3}x{size} px: {milliseconds:.1f} ms", flush=True)
            name = f"purify, {method}, short side {size} px"
            found.append(Comparison(name, milliseconds, None, "ms", ""))
    return found


def measured(
    images: Path, size: int, parts: list[tuple[int, int]], repeats: int, names: list[str]
) -> list[dict]:
    """Run parts of the data, each in a process of its own, at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for index, (first, count) in enumerate(parts):
            output = Path(folder) / str(index)
            output.mkdir()
            part = ["--part", images, first, count, size, output]
            command = [sys.executable, __file__, *part, "--repeats", repeats, "--only", *names]
            processes.append(subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE))
        found = [process.communicate()[0] for process in processes]
        if any(process.returncode for process in processes):
            raise SystemExit("a process failed")
    return [json.loads(each.splitlines()[-1]) for each in found]


def further_ms(few: dict[str, float], many: dict[str, float]) -> float:
    """Processor milliseconds of one item more."""
    return (many["seconds"] - few["seconds"]) * 1e3 / (many["items"] - few["items"])


def further_bytes(few: dict[str, float], many: dict[str, float]) -> float:
    """Bytes of memory that the peak grows by for one item more."""
    return (many["mib"] - few["mib"]) * 2**20 / (many["items"] - few["items"])


def listed(rows: list[dict[str, float]], name: str, form: str) -> str:
    return ", ".join(format(row[name], form) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=int, default=24, help="units of data at 1 time the data")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--size", type=int, default=96, help="short side of the images")
    parser.add_argument("--purify-sizes", type=int, nargs="+", help="short sides of images")
    parser.add_argument("--repeats", type=int, default=1, help="of each stage; the least counts")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=STAGES,
        default=list(STAGES),
        help="stages to measure; search and input need build before them",
    )
    parser.add_argument("--rounds", type=int, default=8, help="images of each size")
    parser.add_argument("--part", nargs=5, help=argparse.SUPPRESS)
    add_json_option(parser)
    options = parser.parse_args()
    if options.part:
        images, first, count, size, output = options.part
        numbers = (int(first), int(count), int(size))
        run_part(Path(images), *numbers, Path(output), options.repeats, options.only)
        return
    if options.purify_sizes:
        write_json(options.json, purify_by_size(options.purify_sizes, options.rounds))
        return
    counts = [options.base * factor for factor in sorted(options.factors)]
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder)
        make_images(images, TIMES["build"] * counts[-1], options.size)
        how = (options.repeats, options.only)
        found = [measured(images, options.size, [(0, count)], *how)[0] for count in counts]
        half = counts[-1] // 2
        halves = measured(images, options.size, [(0, half), (half, half)], *how)
    comparisons = []
    for stage in options.only:
        rows = [each[stage] for each in found]
        further = [further_ms(few, many) for few, many in zip(rows, rows[1:])]
        two = sum(each[stage]["seconds"] for each in halves)
        print(
            f"{stage}: {listed(rows, 'items', 'd')} items: {listed(rows, 'seconds', '.2f')} s; "
            f"{', '.join(f'{each:.4g}' for each in further)} ms for a further one, ratio "
            f"{further[-1] / further[0]:.2f}; {listed(rows, 'mib', '.0f')} MiB, "
            f"{further_bytes(*rows[-2:]):.0f} bytes for a further one; "
            f"in two processes {two:.2f} s, "
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
