"""Cold start and throughput of `purify` and `segment` against the OpenCV recipe in a loop.

    python scripts/benchmarks/start_up.py --images 50

Writes phantoms of mixed sizes, and runs the commands on the first one and on all of them, each in a
process of its own. `cpu s` is the processor time of the process, which other work on the machine
changes little; `s` is the time on the clock. The *warm rate* is that of the images after the tenth
in one process, and its share that of the same graph called in as many threads on images already in
memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np
from purification_methods import opencv_recipe

from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.purification.on_files import purify_files
from melanoma_tf.purification.purifier import in_threads, load_tools, purifier
from melanoma_tf.purification.settings import PurificationSettings

SIZES = ((384, 512), (450, 600), (768, 1024), (300, 400), (540, 720))
COMMANDS = {
    "purify --method network": ("purify", "--method", "network"),
    "purify --method classical": ("purify", "--method", "classical"),
    "purify --method classical --segmenter none": (
        *("purify", "--method", "classical", "--segmenter", "none"),
    ),
    "segment": ("segment",),
}
# Images of a folder before a rate counts.
WARM_FROM = 10


def write_images(folder: Path, count: int) -> list[Path]:
    """Phantoms with hairs and a ruler, in turn in every size."""
    folder.mkdir()
    paths = []
    for index in range(count):
        settings = PhantomSettings(size_px=SIZES[index % len(SIZES)], hairs=1, ruler=0.5)
        paths.append(folder / f"p{index:03d}.jpg")
        cv2.imwrite(str(paths[-1]), draw_phantom("nevus", index, settings).image[..., ::-1])
    return paths


def run_command(arguments: list[str]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "melanoma_tf", *arguments], check=True, capture_output=True
    )
    elapsed, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_commands(paths: list[Path], work: Path) -> list[Comparison]:
    seconds = {}
    print(f"{'':44} {'one image':>18} {f'{len(paths)} images':>18}")
    print(f"{'':44} {'s':>8} {'cpu s':>9} {'s':>8} {'cpu s':>9}")
    for number, (name, command) in enumerate(COMMANDS.items()):
        times = []
        for source in (paths[0], paths[0].parent):
            output = work / f"out{number}{source.stem}"
            times += run_command([command[0], str(source), "--output", str(output), *command[1:]])
        print(f"{name:44} {times[0]:8.2f} {times[1]:9.2f} {times[2]:8.2f} {times[3]:9.2f}")
        seconds[name] = times[3]
    started, cpu = time.perf_counter(), time.process_time()
    for path in paths:
        image = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        purified, _ = opencv_recipe(image, np.zeros(image.shape[:2], bool))
        cv2.imwrite(str(work / path.name), purified[..., ::-1])
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"{'OpenCV recipe in a loop':44} {'':8} {'':9} {elapsed:8.2f} {cpu:9.2f}")
    return [
        Comparison(f"{name}, {len(paths)} images from a cold start", value, cpu, "s", "OpenCV loop")
        for name, value in seconds.items()
    ]


def measure_rates(paths: list[Path], work: Path) -> list[Comparison]:
    """Images per second of `purify` from the tenth on, and of its graph alone."""
    rows = []
    for method in ("network", "classical"):
        settings = PurificationSettings(method=method)
        tools = load_tools(settings)
        apply = purifier(settings.method, tools.segment_lesion, tools.networks)
        images = [np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]) for path in paths]
        clocks: list[float] = []

        def stamp(items, total, clocks=clocks):
            for item in items:
                clocks.append(time.perf_counter())
                yield item

        purify_files(
            paths[0].parent, work / f"rate_{method}", settings, tools=tools, progress=stamp
        )
        from_files = (len(paths) - WARM_FROM) / (clocks[-1] - clocks[WARM_FROM - 1])
        alone = rate_of(apply, images)
        share = from_files / alone
        print(
            f"{method}: {from_files:.1f} images/s from files, {alone:.1f} from memory; {share:.2f}"
        )
        named = f"purify --method {method}, warm"
        rows.append(Comparison(named, from_files, alone, "images/s", "its graph alone"))
    return rows


def rate_of(apply: Callable[..., object], images: list[np.ndarray]) -> float:
    list(in_threads(lambda image: apply(image, None), images[:WARM_FROM], workers=None))
    started = time.perf_counter()
    list(in_threads(lambda image: apply(image, None), images[WARM_FROM:], workers=None))
    return (len(images) - WARM_FROM) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50, help="more than 20")
    add_json_option(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        paths = write_images(work / "images", given.images)
        found = measure_commands(paths, work) + measure_rates(paths, work)
    write_json(given.json, found)


if __name__ == "__main__":
    main()
