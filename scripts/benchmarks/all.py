"""Run every benchmark that this machine can, and write what they found as one table.

    python scripts/benchmarks/all.py --output docs/benchmarks.md
    python scripts/benchmarks/all.py --full --data DATA --output docs/benchmarks.md
    python scripts/benchmarks/all.py --only scores.py --only phantom.py

Small work by default, on phantoms; `--full` for the sizes of docs/benchmarks.md. The table takes
the place of the one between the two markers in the file. Both sides of a row ran in one process, so
that its ratio hardly depends on the machine's load; times do. `stack.py` compares two environments,
and is not among them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from comparison import Comparison, read_json

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- all.py: begin -->", "<!-- all.py: end -->"
COLUMNS = ("stage", "work", "ours", "peer or limit", "ratio", "command")
PHANTOMS, PHANTOM_PX = 60, 256


@dataclass(frozen=True)
class Benchmark:
    """A script with its arguments; words in braces are folders that `prepare` makes, or --data.

    One whose `small` is None needs data, or enough of it, and runs with --full only.
    """

    stage: str
    script: str
    small: str | None
    full: str


BENCHMARKS = (
    Benchmark("records", "build_records.py", "--phantoms 40 --repeats 1", "--phantoms 300"),
    Benchmark("records", "build_memory.py", "--rows 500 2000", "--rows 5000 50000"),
    Benchmark("records", "scale.py", None, "--base 24"),
    Benchmark("records", "duplicates.py", "{photos} --planted 20 --scale", "{photos}"),
    Benchmark("phantoms", "phantom.py", "--count 10", "--count 80"),
    Benchmark(
        "input", "input_pipeline.py",
        "{records} --image-size 96 --images 200 --rounds 1", "{records}",
    ),
    Benchmark(
        "purification", "purification.py", "--phantoms 2 --scale-phantoms 0",
        "--phantoms 16 --data {data}",
    ),
    Benchmark(
        "purification", "purification_filling.py", "--phantoms 2", "--phantoms 16 --data {data}"
    ),
    Benchmark("purification", "purification_real.py", None, "--data {data}"),
    Benchmark("purification", "planted_ruler.py", None, "--data {data}"),
    Benchmark("purification", "start_up.py", "--images 21", "--images 50"),
    Benchmark("purification", "partial_convolution.py", "--rounds 3 --batch-size 1", ""),
    Benchmark(
        "segmentation", "segmenter.py",
        "network --base-filters 4 --input-size 228 --repeats 2", "network",
    ),
    Benchmark(
        "segmentation", "segmenter.py", "folder {photos} --repeats 1", "folder {photos}"
    ),
    Benchmark("generation", "gan.py", "--rounds 2 --batch 4", "--rounds 15"),
    Benchmark(
        "generation", "novelty_filter.py", "--candidates 200 --real 4000 --rounds 2", ""
    ),
    Benchmark("training", "workers.py", "--image-size 32 --batch-size 4 --steps 10", ""),
    Benchmark(
        "scores", "scores.py", "--images 10000 --rounds 200 --plain-rounds 2", ""
    ),
    Benchmark(
        "serving", "serving.py",
        "--backbone small --image-size 96 --seconds 1 --malformed 60 --batches 1,8", "",
    ),
)  # fmt: skip


def prepare(folder: Path) -> dict[str, str]:
    """Phantoms, and records of them."""
    from melanoma_tf.datasets.catalogue import list_source
    from melanoma_tf.phantoms import PhantomSettings, write_phantoms
    from melanoma_tf.records.build.build import BuildSettings, build_records

    phantoms, records = folder / "phantoms", folder / "records"
    write_phantoms(phantoms, PHANTOMS, settings=PhantomSettings(PHANTOM_PX))
    build_records([list_source("isic2017", phantoms)], BuildSettings("isic2017"), records)
    return {"photos": str(phantoms / "ISIC-2017_Training_Data"), "records": str(records)}


def run(benchmark: Benchmark, arguments: str, folders: dict[str, str]) -> list[Comparison]:
    """Run one benchmark, and read what it found.

    Raises:
        RuntimeError: it failed; with the last line of its errors.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        words = [word.format(**folders) for word in shlex.split(arguments)]
        done = subprocess.run(
            [sys.executable, str(HERE / benchmark.script), *words, "--json", str(found)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        )  # fmt: skip
        if done.returncode or not found.is_file():
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise RuntimeError(f"{benchmark.script} ended with {done.returncode}: {lines[-1]}")
        return read_json(found)


def rows_of(benchmark: Benchmark, arguments: str, found: list[Comparison]) -> Iterator[str]:
    """The rows of one benchmark in the table."""
    shown = arguments.replace("{photos}", "PHOTOS").replace("{records}", "RECORDS")
    command = f"`{benchmark.script} {shown.replace('{data}', 'DATA')}`".replace(" `", "`")
    for each in found:
        yield f"| {' | '.join((benchmark.stage, *each.cells(), command))} |"


def placed(page: str, table: str) -> str:
    """The page with the table between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"expected a file with the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the sizes of docs/benchmarks.md")
    parser.add_argument("--data", type=Path, help="folder of the data sets, for --full")
    parser.add_argument("--only", action="append", help="run this script only; may be repeated")
    parser.add_argument("--output", type=Path, help="page whose table is replaced")
    options = parser.parse_args()
    if options.full and options.data is None:
        parser.error("expected --data with --full")
    page = options.output.read_text() if options.output else f"{BEGIN}\n{END}"
    placed(page, "")  # Before the work, not after it.
    chosen = [each for each in BENCHMARKS if not options.only or each.script in options.only]
    if not chosen:
        parser.error(f"expected --only with one of {', '.join(b.script for b in BENCHMARKS)}")
    table = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    failures = []
    print("\n".join(table), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folders = {**prepare(Path(folder)), "data": str(options.data)}
        for benchmark in chosen:
            arguments = benchmark.full if options.full else benchmark.small
            if arguments is None:
                print(f"{benchmark.script} runs with --full only", file=sys.stderr)
                continue
            started = time.perf_counter()
            try:
                rows = list(rows_of(benchmark, arguments, run(benchmark, arguments, folders)))
                table += rows
                print("\n".join(rows), flush=True)
            except RuntimeError as error:
                failures.append(str(error))
            seconds = time.perf_counter() - started
            print(f"{benchmark.script} {arguments}: {seconds:.0f} s", file=sys.stderr, flush=True)
    if options.output and not failures:
        options.output.write_text(placed(page, "\n".join(table)))
    if failures:
        raise SystemExit("\n".join(failures))


if __name__ == "__main__":
    main()
