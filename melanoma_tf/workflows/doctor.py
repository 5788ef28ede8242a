"""The state of an installation: what works, what is missing, and what is broken."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf import __version__
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.versions import library_versions

OK, MISSING, BROKEN = "ok", "missing", "broken"
_PACKAGE = "melanoma-tf"
_PYTHONS = ((3, 9), (3, 13))
_LEAST_FREE_BYTES = 5 * 2**30
_GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is, as `disk`.
        state: `ok`; `missing`, which some commands need; or `broken`.
        found: what was found, and what to do where it is not `ok`.
    """

    subject: str
    state: str
    found: str


def examine() -> Iterator[Finding]:
    """Look at Python, the libraries, the devices, the networks that ship, and the disk.

    A check that fails is a finding, and does not stop the others.
    """
    yield _python()
    yield from _guarded("requirements", _requirements)
    yield from _guarded("TensorFlow", _tensorflow)
    yield from _guarded("workers", _workers)
    yield from _networks()
    yield from _guarded("disk", _disk)


def is_broken(findings: list[Finding]) -> bool:
    """Tell whether any finding is of something broken."""
    return any(finding.state == BROKEN for finding in findings)


def _guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A check's findings; an error of any kind becomes one, since nothing here may be trusted."""
    try:
        yield from check()
    except Exception as error:
        yield Finding(subject, BROKEN, f"{type(error).__name__}: {error}".splitlines()[0])


def _python() -> Finding:
    first, last = (".".join(map(str, each)) for each in _PYTHONS)
    found = f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}"
    if _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        return Finding("Python", OK, found)
    return Finding("Python", BROKEN, f"{found}; expected {first} to {last}")


def _requirements() -> Iterator[Finding]:
    """Compare what is installed with what the package asks for, and with its extras."""
    from packaging.requirements import Requirement

    try:
        stated = importlib.metadata.requires(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(_PACKAGE, MISSING, f"{__version__}, which runs without being installed")
        return
    yield Finding(_PACKAGE, OK, f"{__version__} at {Path(__file__).resolve().parents[1]}")
    required = [Requirement(each) for each in stated]
    for one in required:
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            yield _library(one.name, str(one.specifier), one.specifier.contains, BROKEN)
    distribution = importlib.metadata.metadata(_PACKAGE)
    for extra in distribution.get_all("Provides-Extra") or []:
        lacking = sorted(
            one.name
            for one in required
            if one.marker is not None
            and one.marker.evaluate({"extra": extra})
            and not one.marker.evaluate({"extra": ""})
            and _version(one.name) is None
        )
        state = MISSING if lacking else OK
        found = f"no {', '.join(lacking)}: pip install '{_PACKAGE}[{extra}]'" if lacking else "all"
        yield Finding(f"extra {extra}", state, found)


def _library(
    name: str, expected: str, fits: Callable[[str, bool], bool], otherwise: str
) -> Finding:
    found = _version(name)
    if found is None:
        return Finding(name, otherwise, f"not installed; expected {expected or 'any version'}")
    if not fits(found, True):
        return Finding(name, otherwise, f"{found}; expected {expected}")
    return Finding(name, OK, found)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _tensorflow() -> Iterator[Finding]:
    import tensorflow as tf

    from melanoma_tf.core.stack import IS_TENSORFLOW_2_15, is_usable

    importlib.import_module("melanoma_tf.core.keras")
    yield Finding("TensorFlow", OK, f"{tf.__version__}, with Keras 2")
    for package in ("tensorflow_addons", "tensorflow_io") if IS_TENSORFLOW_2_15 else ():
        if not is_usable(package):
            yield Finding(package, MISSING, "not installed; own implementations are used instead")
    if float(tf.reduce_sum(tf.ones([3, 3]) @ tf.ones([3, 3]))) != 27.0:
        yield Finding("computing", BROKEN, "a product of matrices is wrong")
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "") for gpu in gpus]
    built = tf.test.is_built_with_cuda()
    if gpus:
        yield Finding("GPUs", OK, f"{len(gpus)}: {', '.join(names)}")
    elif Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi"):
        why = "its CUDA libraries are missing" if built else "this TensorFlow is built without CUDA"
        yield Finding("GPUs", BROKEN, f"a driver is there, but TensorFlow sees none: {why}")
    else:
        yield Finding("GPUs", OK, "none")
    yield Finding("CPU", OK, f"{len(os.sched_getaffinity(0))} cores")


def _workers() -> Iterator[Finding]:
    from melanoma_tf.training.workers import SLURM, visible_workers

    # Named by Slurm they are workers only where a training says so.
    workers = visible_workers(strategy="multi-worker")
    if workers.count > 1:
        role = "the chief" if workers.is_chief else workers.addresses[workers.index]
        found = f"worker {workers.index + 1} of {workers.count} ({role})"
        if workers.named_by == SLURM:
            found += ", with --strategy multi-worker"
        yield Finding(workers.named_by, OK, found)


def _networks() -> Iterator[Finding]:
    from melanoma_tf.workflows import shipped_answers

    for name, answer in shipped_answers.answers().items():
        subject = f"network {name}"

        def compare(name: str = name, answer: Callable = answer) -> Iterator[Finding]:
            subject = f"network {name}"
            difference = shipped_answers.largest_difference(name, answer())
            if difference > shipped_answers.TOLERANCE:
                raise MelanomaError(f"its answer differs by {difference:.3f} from the stored one")
            yield Finding(subject, OK, f"gives its stored answer (within {difference:.1e})")

        yield from _guarded(subject, compare)


def _disk() -> Iterator[Finding]:
    for name, folder in (("here", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        found = f"{free / _GIB:.1f} GiB free at {folder}"
        if not os.access(folder, os.W_OK):
            yield Finding(f"disk, {name}", MISSING, f"{found}, where nothing may be written")
        elif free < _LEAST_FREE_BYTES:
            least = _LEAST_FREE_BYTES / _GIB
            yield Finding(f"disk, {name}", MISSING, f"{found}; expected {least:.0f} GiB or more")
        else:
            yield Finding(f"disk, {name}", OK, found)


def describe_installation(findings: list[Finding]) -> dict[str, object]:
    """JSON values of an examination, with the versions of the libraries."""
    return {
        "melanoma_tf": __version__,
        "versions": library_versions(),
        "broken": is_broken(findings),
        "findings": [vars(finding) for finding in findings],
    }
