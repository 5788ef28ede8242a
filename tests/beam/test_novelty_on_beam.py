"""Nearest real images found by Apache Beam equal those of one process."""

import numpy as np
import pytest

from melanoma_tf.generation.data import real_blocks
from melanoma_tf.generation.nearest_neighbours import nearest
from melanoma_tf.generation.nearest_on_beam import BeamSearch
from melanoma_tf.records.record_set import RecordSet
from tests.beam.services import PROCESSES, job_service

pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")
pytestmark = pytest.mark.beam
SIZE_PX = 24


def assert_equal_to_here(phantom_records, output, options):
    records = RecordSet.read(phantom_records)
    real = np.concatenate([block for block, _ in real_blocks(records, SIZE_PX)()])
    search = BeamSearch(records, output, [f"{name}={options[name]}" for name in options])
    places = np.arange(20)
    found, expected = search(real[:20], places), nearest(real[:20], [real], own_places=places)
    assert (expected.distance > 0.0).all()
    for name in ("index", "distance", "mirrored"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert not list(output.parent.iterdir())


def test_direct_runner_with_several_processes(phantom_records, tmp_path, monkeypatch):
    from tests.conftest import REPOSITORY

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    assert_equal_to_here(phantom_records, tmp_path / "out" / "generated", PROCESSES)


def test_job_service_with_external_workers(phantom_records, tmp_path):
    with job_service(tmp_path) as options:
        assert_equal_to_here(phantom_records, tmp_path / "out" / "generated", options)
