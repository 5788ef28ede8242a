"""Apache Beam on this machine: options of two ways to run, and what both must write."""

import contextlib
import os
import socket
import subprocess
import sys
import time

from tests.conftest import REPOSITORY

PROCESSES = {
    "runner": "DirectRunner",
    "direct_num_workers": 2,
    "direct_running_mode": "multi_processing",
}


@contextlib.contextmanager
def service(module, port_file=None, **options):
    """A service of Beam in a process of its own; yields its address."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    if port_file is not None:
        arguments.append(f"--port_file={port_file}")
    # The pool of workers starts `python`, whichever comes first on the path.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PATH": path}
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while port_file is not None and not port_file.is_file():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            port = options.get("service_port") or int(port_file.read_text())
            yield f"localhost:{port}"
        finally:
            process.terminate()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def job_service(folder):
    """A job service, and external workers, on loopback; yields the options that name them."""
    port = free_port()
    with (
        service("apache_beam.runners.worker.worker_pool_main", service_port=port) as workers,
        service(
            "apache_beam.runners.portability.local_job_service_main",
            folder / "port",
            port=0,
            staging_dir=folder / "staging",
        ) as jobs,
    ):
        yield {
            "runner": "PortableRunner",
            "job_endpoint": jobs,
            "environment_type": "EXTERNAL",
            "environment_config": workers,
        }


def beam_arguments(options):
    """The command's arguments for some options of Beam."""
    return ["--runner", "beam", *(f"--beam-option={name}={options[name]}" for name in options)]


def assert_same_records(built, local):
    """Two folders are equal to the byte, and nothing else is left beside the first."""
    names = sorted(path.name for path in local.iterdir())
    assert sorted(path.name for path in built.iterdir()) == names
    for name in names:
        assert (built / name).read_bytes() == (local / name).read_bytes(), name
    assert [path.name for path in built.parent.iterdir()] == [built.name]
