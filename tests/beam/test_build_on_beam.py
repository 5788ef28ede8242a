"""Records built by Apache Beam equal those of the local builder, to the byte."""

import contextlib
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")
pytestmark = pytest.mark.beam
BUILD = ("--taxonomy", "isic2017", "--image-size", "48", "--split", "0.6/0.2/0.2", "--skip-bad")


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
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def data(phantom_folder, tmp_path_factory):
    """Phantoms, one of them truncated."""
    import shutil

    folder = tmp_path_factory.mktemp("data") / "isic2017"
    shutil.copytree(phantom_folder, folder)
    image = folder / "ISIC-2017_Training_Data" / "PHANTOM_0000003.jpg"
    image.write_bytes(image.read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def local(data, tmp_path_factory, run_command):
    output = tmp_path_factory.mktemp("local") / "records"
    result = run_command("build-records", "--add", f"isic2017={data}", *BUILD, "--output", output)
    assert result.returncode == 0, result.stderr
    return output


def assert_same_records(built, local):
    names = sorted(path.name for path in local.iterdir())
    assert sorted(path.name for path in built.iterdir()) == names
    for name in names:
        assert (built / name).read_bytes() == (local / name).read_bytes(), name
    assert [path.name for path in built.parent.iterdir()] == [built.name]


@pytest.fixture
def build_on_beam(run_command, data, tmp_path):
    """A function that builds with some options of Beam, and gives folder and result."""

    def build(**options):
        chosen = [f"--beam-option={name}={value}" for name, value in options.items()]
        output = tmp_path / "built" / "records"
        output.parent.mkdir()
        result = run_command(
            "build-records", "--add", f"isic2017={data}", *BUILD, "--output", output,
            "--runner", "beam", *chosen,
        )  # fmt: skip
        return output, result

    return build


def test_direct_runner_with_several_processes(build_on_beam, local):
    built, result = build_on_beam(
        runner="DirectRunner", direct_num_workers=2, direct_running_mode="multi_processing"
    )
    assert result.returncode == 0, result.stderr
    assert_same_records(built, local)


def test_job_service_with_external_workers(build_on_beam, local, tmp_path):
    port = free_port()
    with (
        service("apache_beam.runners.worker.worker_pool_main", service_port=port) as workers,
        service(
            "apache_beam.runners.portability.local_job_service_main",
            tmp_path / "port",
            port=0,
            staging_dir=tmp_path / "staging",
        ) as jobs,
    ):
        built, result = build_on_beam(
            runner="PortableRunner",
            job_endpoint=jobs,
            environment_type="EXTERNAL",
            environment_config=workers,
        )
    assert result.returncode == 0, result.stderr
    assert_same_records(built, local)


def test_a_failing_pipeline_is_one_line(build_on_beam):
    built, result = build_on_beam(
        runner="PortableRunner", job_endpoint="localhost:9", job_server_timeout=2
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: the pipeline of Apache Beam failed: ")
    assert not built.exists()
