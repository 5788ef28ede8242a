"""Records built by Apache Beam equal those of the local builder, to the byte."""

import pytest

from tests.beam.services import PROCESSES, assert_same_records, beam_arguments, job_service

pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")
pytestmark = pytest.mark.beam
BUILD = ("--taxonomy", "isic2017", "--image-size", "48", "--split", "0.6/0.2/0.2", "--skip-bad")


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


@pytest.fixture
def build_on_beam(run_command, data, tmp_path):
    """A function that builds with some options of Beam, and gives folder and result."""

    def build(**options):
        output = tmp_path / "built" / "records"
        output.parent.mkdir()
        result = run_command(
            "build-records", "--add", f"isic2017={data}", *BUILD, "--output", output,
            *beam_arguments(options),
        )  # fmt: skip
        return output, result

    return build


def test_direct_runner_with_several_processes(build_on_beam, local):
    built, result = build_on_beam(**PROCESSES)
    assert result.returncode == 0, result.stderr
    assert_same_records(built, local)


def test_job_service_with_external_workers(build_on_beam, local, tmp_path):
    with job_service(tmp_path) as options:
        built, result = build_on_beam(**options)
    assert result.returncode == 0, result.stderr
    assert_same_records(built, local)


def test_a_failing_pipeline_is_one_line(build_on_beam):
    built, result = build_on_beam(
        runner="PortableRunner", job_endpoint="localhost:9", job_server_timeout=2
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: the pipeline of Apache Beam failed: ")
    assert not built.exists()
