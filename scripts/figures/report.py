"""A part of a report as a picture, by headless Chromium.

    python scripts/figures/report.py runs/NAME/report.html --output docs/figures/report.png

Needs chromium.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

WIDTH_PX = 1000


def photograph(page: Path, bottom_px: int) -> Image.Image:
    """The page from its top down."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        command = (
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--window-size={WIDTH_PX},{bottom_px}", f"--screenshot={picture}",
            page.resolve().as_uri(),
        )  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        return Image.open(picture).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="report.html")
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--top-px", type=int, default=1900, help="where the part begins")
    parser.add_argument("--height-px", type=int, default=1570, help="of the part")
    options = parser.parse_args()
    bottom = options.top_px + options.height_px
    part = photograph(options.report, bottom).crop((0, options.top_px, WIDTH_PX, bottom))
    part.quantize(128).save(options.output, optimize=True)


if __name__ == "__main__":
    main()
