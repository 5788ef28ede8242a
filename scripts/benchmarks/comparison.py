"""What a benchmark found: this package against a peer or a limit, for people and for `all.py`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Units of which more is better; of all others, less is.
_RATES = {"images/s", "found", "AUC"}
_LEVELS = {"dB"}


@dataclass(frozen=True)
class Comparison:
    """One measurement of both sides in one run.

    Attributes:
        work: what both did.
        ours, peer: the measured values; `peer` is None where there is nothing to compare with.
        unit: of both: `s`, `ms`, `MiB`, `images/s`, `found`, `AUC` or `dB`.
        peer_name: what the peer or the limit is.
    """

    work: str
    ours: float
    peer: float | None
    unit: str
    peer_name: str = ""

    @property
    def ratio(self) -> str:
        """How many times as fast or as small we are; the difference of levels in dB."""
        if self.peer is None:
            return ""
        if self.unit in _LEVELS:
            return f"{self.ours - self.peer:+.1f} dB"
        better, worse = self.ours, self.peer
        if self.unit not in _RATES:
            better, worse = worse, better
        return f"{better / worse:.2f}" if worse else ""

    def cells(self) -> tuple[str, str, str, str]:
        """Work, ours, peer and ratio, for a table."""
        peer = "" if self.peer is None else f"{self.peer:.3g} {self.unit}, {self.peer_name}"
        return self.work, f"{self.ours:.3g} {self.unit}", peer, self.ratio


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json FILE`."""
    parser.add_argument("--json", type=Path, help="write the comparisons to this file, too")


def write_json(path: Path | None, comparisons: Sequence[Comparison]) -> None:
    """Write the comparisons where a file is given."""
    if path is not None:
        path.write_text(json.dumps([asdict(each) for each in comparisons], indent=2) + "\n")


def read_json(path: Path) -> list[Comparison]:
    """Read what `write_json` wrote."""
    return [Comparison(**each) for each in json.loads(path.read_text())]
