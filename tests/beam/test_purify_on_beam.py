"""Records purified by Apache Beam equal those of the local command, to the byte."""

import pytest

from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.records.encode import Encoding, encode_image, encode_mask
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.schema import Example
from melanoma_tf.records.shards import Sharding
from melanoma_tf.records.writer import Description, write_records
from tests.beam.services import PROCESSES, assert_same_records, beam_arguments, job_service

pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")
pytestmark = pytest.mark.beam
CLASSICAL = ("--method", "classical", "--segmenter", "none")


CLASSES = ("melanoma", "nevus")
DESCRIPTION = Description("isic2017", CLASSES, {}, {"phantom": {"licence": "", "attribution": ""}})


def example(index, **fields):
    """A phantom; odd ones are hairy."""
    settings = PhantomSettings((96, 128), hairs=index % 2, ruler=0, ink=0, bubbles=0)
    phantom = draw_phantom(CLASSES[index % 2], index, settings)
    row = {
        "image": encode_image(phantom.image, Encoding()),
        "image_format": "jpeg",
        "height": 96,
        "width": 128,
        "key": f"P_{index}",
        "mask": encode_mask(phantom.lesion_mask),
        "label": index % 2,
        "label_text": CLASSES[index % 2],
        "source": "phantom",
        "split": "train",
    }
    return Example(**{**row, **fields})


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Seven phantoms in two shards, one of them generated, one without a mask."""
    odd = {3: {"origin": "generated", "parent": "run"}, 4: {"mask": b""}}
    folder = tmp_path_factory.mktemp("small") / "records"
    write_records(
        [example(index, **odd.get(index, {})) for index in range(7)],
        folder,
        DESCRIPTION,
        sharding=Sharding(shards=2, expected={"train": 7}),
    )
    return folder


def purified(run_command, records, output, *arguments):
    output.parent.mkdir()
    result = run_command("purify", records, "--output", output, *arguments)
    assert result.returncode == 0, result.stderr
    return output


def test_networks_on_direct_runner_with_several_processes(records, run_command, tmp_path):
    local = purified(run_command, records, tmp_path / "local" / "records")
    assert 0 < read_manifest(local).count(origin="purified") < 6
    beam = beam_arguments(PROCESSES)
    built = purified(run_command, records, tmp_path / "built" / "records", *beam)
    assert_same_records(built, local)


def test_job_service_with_external_workers(records, run_command, tmp_path):
    chosen = (*CLASSICAL, "--replace", "--min-occlusion", "0.05")
    local = purified(run_command, records, tmp_path / "local" / "records", *chosen)
    assert 0 < read_manifest(local).count(origin="purified") < 6
    with job_service(tmp_path) as options:
        beam = beam_arguments(options)
        built = purified(run_command, records, tmp_path / "built" / "records", *chosen, *beam)
    assert_same_records(built, local)


def test_a_damaged_image_is_one_line_and_leaves_nothing(run_command, tmp_path):
    write_records([example(0), example(1, image=b"junk")], tmp_path / "in", DESCRIPTION)
    output = tmp_path / "out" / "records"
    result = run_command(
        "purify", tmp_path / "in", "--output", output, *CLASSICAL, *beam_arguments({})
    )
    assert result.returncode == 1
    assert "P_1: " in result.stderr.splitlines()[-1]
    assert not list(output.parent.iterdir())


def test_images_are_refused(phantom_folder, run_command, tmp_path):
    result = run_command("purify", phantom_folder, "--output", tmp_path / "x", "--runner", "beam")
    assert result.returncode == 1
    assert "expected a record folder with --runner beam; found" in result.stderr
