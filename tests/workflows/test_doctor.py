"""`doctor`: what is broken is found and named, and devices are compared."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.workflows import device_check, doctor, shipped_answers
from melanoma_tf.workflows.device_check import check_devices
from melanoma_tf.workflows.settings import DeviceCheckSettings

ONE = {"efficientnet_lite0": shipped_answers.answers()["efficientnet_lite0"]}
TINY = DeviceCheckSettings(replicas=2, image_size_px=32, batch_size=4, steps=2, compared_steps=2)


@pytest.fixture
def one_network(monkeypatch):
    """All networks take long to build; the faults tests look at all of them."""
    monkeypatch.setattr(shipped_answers, "answers", lambda: ONE)


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


def test_a_sound_installation(one_network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["doctor", "--json", "found.json"])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "found.json").read_text())
    assert not report["broken"]
    assert report["devices"] is None
    found = {row["subject"]: row for row in report["findings"]}
    assert found["network efficientnet_lite0"]["state"] == "ok"
    assert found["numpy"]["found"] == np.__version__
    assert {"Python", "TensorFlow", "GPUs", "disk, here", "extra dev"} <= set(found)
    assert all(subject in result.output for subject in found)


def test_what_is_broken_is_named_and_the_rest_is_still_looked_at(monkeypatch, tmp_path):
    answers = {**ONE, "classifier": lambda: [1 / 0]}
    monkeypatch.setattr(shipped_answers, "answers", lambda: answers)
    stored = {**shipped_answers.stored_answers()}
    stored["efficientnet_lite0"] = [value + 0.02 for value in stored["efficientnet_lite0"]]
    monkeypatch.setattr(shipped_answers, "stored_answers", lambda: stored)
    monkeypatch.setenv("TF_CONFIG", "{")
    real = doctor.importlib.metadata.version
    versions = {"click": "7.0"}
    monkeypatch.setattr(
        doctor.importlib.metadata, "version", lambda name: versions.get(name) or real(name)
    )
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    last = result.output.splitlines()[-1]
    assert last == ("Error: broken: click, workers, network efficientnet_lite0, network classifier")
    assert "its answer differs by 0.020 from the stored one" in result.output
    assert "ZeroDivisionError" in result.output
    assert "disk, here" in result.output


def test_every_shipped_network_has_a_stored_answer():
    assert set(shipped_answers.stored_answers()) == set(shipped_answers.answers())
    shipped = {path.stem for path in shipped_folder().glob("*.npz")}
    named = " and ".join(shipped_answers.answers())
    for name in shipped:
        if not name.endswith("_graph"):
            assert name in named


def test_a_full_disk_is_told(monkeypatch):
    usage = doctor.shutil.disk_usage("/")._replace(free=2**30)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    found = by_subject(doctor._disk())
    assert found["disk, here"].state == "missing"
    assert found["disk, here"].found.endswith("expected 5 GiB or more")


def test_two_devices_compute_the_same_losses_as_one(tiny_backbone, monkeypatch, invoke_command):
    """On logical CPUs: the path through the code that GPUs take."""
    check = check_devices(TINY, log=lambda line: None)
    assert check.kind == "CPU"
    assert [each.devices for each in (check.one, check.same_batch, check.all_devices)] == [1, 2, 2]
    assert check.all_devices.batch_size == 8
    assert check.one.losses == pytest.approx(check.same_batch.losses, rel=1e-4)
    assert len(set(check.one.losses)) == 2, "nothing was learned"
    assert check.agrees
    assert check.scaling == pytest.approx(
        check.all_devices.images_per_second / (2 * check.one.images_per_second)
    )

    monkeypatch.setattr(device_check, "check_devices", lambda *given: check)
    monkeypatch.setattr(doctor, "examine", lambda: iter(()))
    result = invoke_command("doctor", "--devices", "--json", "-")
    assert result.returncode == 0, result.stderr
    devices = json.loads(result.stdout)["devices"]
    assert devices["one"]["losses"] == list(check.one.losses)

    other = dataclasses.replace(check.same_batch, losses=(1.0, 2.0))
    wrong = dataclasses.replace(check, same_batch=other)
    monkeypatch.setattr(device_check, "check_devices", lambda *given: wrong)
    result = CliRunner().invoke(main, ["doctor", "--devices"])
    assert result.exit_code == 1
    assert "the losses of 2 CPUs differ from those of one by" in result.output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected two devices or more to compare; found 1 CPU"),
        ({"replicas": 2, "batch_size": 3}, "that 2 devices can share equally; found 3"),
    ],
)
def test_devices_that_cannot_be_compared_are_refused(settings, message):
    with pytest.raises(MelanomaError, match=message):
        check_devices(DeviceCheckSettings(**settings), log=lambda line: None)
