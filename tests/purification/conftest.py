"""Fixtures of the tests that train the networks of purification."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.purification.detector import data as detector_data
from melanoma_tf.purification.inpainter import data as inpainter_data
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.writer import Description, write_records


@pytest.fixture(scope="module")
def strip_for_occlusions(request):
    """Replace what the classical detector finds, whose graph takes seconds to build, by a strip.

    The test module names the settings of its patches `SMALL`.
    """
    size_px = request.module.SMALL.image_size_px
    strip = np.zeros((size_px, size_px, 1), np.float32)
    strip[3:6] = 1.0
    with pytest.MonkeyPatch.context() as patch:
        for module in (detector_data, inpainter_data):
            patch.setattr(module, "detected_occlusions", lambda _: tf.constant(strip))
        yield


@pytest.fixture(scope="session")
def few_records(tmp_path_factory, phantom_records):
    """Eight of the phantoms."""
    folder = tmp_path_factory.mktemp("records") / "few"
    examples = itertools.islice(read_examples(phantom_records), 8)
    write_records(examples, folder, Description.of_copy(read_manifest(phantom_records)))
    return folder
