"""Check a built wheel and source archive: all package files are in them, and nothing else.

python scripts/check_wheel.py dist/melanoma_tf-0.1.0-py3-none-any.whl dist/melanoma_tf-0.1.0.tar.gz
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "melanoma_tf"
LARGEST_MB = 45
_LEFT_OUT = {"__pycache__"}
_OF_A_SOURCE_ARCHIVE = frozenset(
    ("LICENSE", "NOTICE", "README.md", "MANIFEST.in", "PKG-INFO", "pyproject.toml", "setup.cfg")
)


def package_files(repository: Path) -> set[str]:
    """The files of the package in the tree, relative to `repository`."""
    return {
        path.relative_to(repository).as_posix()
        for path in (repository / PACKAGE).rglob("*")
        if path.is_file() and not _LEFT_OUT & set(path.parts)
    }


def problems(wheel: Path, repository: Path = REPOSITORY) -> list[str]:
    """What is wrong with a wheel, a line each."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    expected = package_files(repository)
    size_mb = wheel.stat().st_size / 1e6
    found = []
    if size_mb >= LARGEST_MB:
        found.append(f"expected less than {LARGEST_MB} MB; found {size_mb:.1f} MB")
    found += [f"{name} is missing" for name in sorted(expected - names)]
    found += [f"{name} does not belong in it" for name in sorted(names - expected - metadata)]
    for licence in ("LICENSE", "NOTICE"):
        if not any(name.endswith(f"/licenses/{licence}") for name in metadata):
            found.append(f"{licence} is missing")
    return found


def source_problems(archive: Path, repository: Path = REPOSITORY) -> list[str]:
    """What is wrong with a source archive, a line each."""
    with tarfile.open(archive) as opened:
        # Below one folder, NAME-VERSION.
        names = {each.name.split("/", 1)[1] for each in opened.getmembers() if each.isfile()}
    written = {name for name in names if name.split("/")[0] == f"{PACKAGE}.egg-info"}
    expected = package_files(repository) | _OF_A_SOURCE_ARCHIVE
    return [
        *(f"{name} is missing" for name in sorted(expected - names)),
        *(f"{name} does not belong in it" for name in sorted(names - expected - written)),
    ]


def main() -> int:
    failed = False
    for path in map(Path, sys.argv[1:]):
        found = problems(path) if path.suffix == ".whl" else source_problems(path)
        for problem in found:
            print(f"{path.name}: {problem}", file=sys.stderr)
        if not found:
            count = len(package_files(REPOSITORY))
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, all {count} package files")
        failed |= bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
