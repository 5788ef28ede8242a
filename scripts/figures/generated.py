"""Draw images of trained generators, a row a run, unselected and at their own size.

python scripts/figures/generated.py runs/gan-melanoma --output docs/figures/generated.jpg
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.core.files import write_atomically
from melanoma_tf.generation.sampler import load_sampler

GAP_PX = 4
QUALITY = 88


def row(run_dir: Path, width_px: int, seed: int) -> sheets.Pixels:
    """As many images of the run's first class as fit into the width, below the run's name."""
    sampler = load_sampler(run_dir)
    count = max(1, (width_px + GAP_PX) // (sampler.settings.image_size_px + GAP_PX))
    images = sampler.sample(sampler.class_names[0], count, np.random.default_rng(seed))
    return sheets.stack([
        sheets.caption(f"{run_dir.name}: {sampler.class_names[0]}", width_px),
        sheets.side_by_side(list(images), GAP_PX),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="run folders of generators")
    parser.add_argument("--output", type=Path, required=True, help="the JPEG to write")
    parser.add_argument("--width-px", type=int, default=788, help="of the picture")
    parser.add_argument("--seed", type=int, default=0, help="of the latent vectors")
    options = parser.parse_args()
    rows = [row(run, options.width_px, options.seed) for run in options.runs]
    sheet = sheets.stack(rows, GAP_PX)
    write_atomically(options.output, sheets.encode_jpeg(sheet, quality=QUALITY))


if __name__ == "__main__":
    main()
