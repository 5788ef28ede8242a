"""Versions of the libraries that this package uses, read without importing any of them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = (
    "tensorflow",
    "keras",
    "tf-keras",
    "tensorflow-addons",
    "tensorflow-io",
    "tensorboard",
    "numpy",
    "opencv-python-headless",
    "scikit-learn",
    "scipy",
    "pydicom",
    "pillow",
    "matplotlib",
)


def library_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that are installed, by their names."""
    found = {"Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # Addons and I/O on newer stacks, tf-keras on older ones.
            continue
    return found
