"""The public names: few, lazily imported, each with an example that runs."""

import doctest
import importlib
import shutil

import pytest

import melanoma_tf
from melanoma_tf import backbones
from tests.conftest import few_occlusions, one_convolution_for_small

NAMES = [name for name in melanoma_tf.__all__ if not name.startswith("__")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, phantom_folder, phantom_records, trained_run, exported):
    """What docs/python_api.md makes: phantoms, their records, a run and its exported model."""
    root = tmp_path_factory.mktemp("examples")
    shutil.copytree(phantom_folder, root / "phantoms")
    shutil.copytree(phantom_records, root / "tfrecords" / "phantoms")
    shutil.copytree(trained_run, root / "runs" / "first")
    shutil.copytree(exported, root / "saved_models" / "first")
    return root


@pytest.fixture(scope="module")
def small_networks():
    """Small networks and short graphs of the training data: the examples do not depend on them."""
    import tensorflow as tf

    from melanoma_tf.purification.detector import data as detector_data
    from melanoma_tf.purification.inpainter import data as inpainter_data

    with one_convolution_for_small(), few_occlusions(), pytest.MonkeyPatch.context() as patch:
        for module in ("dcgan", "coupled_dcgan"):
            for table in ("GENERATOR_CHANNELS", "DISCRIMINATOR_CHANNELS"):
                path = f"melanoma_tf.generation.{module}.{table}"
                patch.setattr(path, (8, 8, 8, 8, 8, 8))
        patch.setattr("melanoma_tf.generation.adversarial.augment", lambda images, seed: images)
        patch.setattr("melanoma_tf.generation.monitor._COMPARED", 16)
        for data in (detector_data, inpainter_data):
            patch.setattr(data, "detected_occlusions", lambda patch: tf.zeros_like(patch[..., :1]))
        yield


@pytest.fixture(scope="module")
def gan(folder, small_networks):
    """The example of `train_gan`, whose run that of `generate_records` takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_example("train_gan")


def test_there_are_few_and_importing_the_package_loads_none(run_command):
    assert 20 <= len(NAMES) <= 30
    assert set(NAMES) <= set(dir(melanoma_tf))
    program = (
        "import sys, melanoma_tf; print(sorted({'tensorflow', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    assert run_command("-c", program, module=None).stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = melanoma_tf.absent


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name, folder, monkeypatch, small_networks, request):
    monkeypatch.chdir(folder)
    # What an example registers is gone after it.
    monkeypatch.setattr(backbones, "_registered", dict(backbones._registered))
    if name in ("train_gan", "generate_records"):
        request.getfixturevalue("gan")
    if name != "train_gan":
        run_example(name)


def run_example(name):
    subject = getattr(melanoma_tf, name)
    module = importlib.import_module(subject.__module__)
    examples = [
        test
        for test in doctest.DocTestFinder(recurse=False).find(subject, name, module=module)
        if test.examples
    ]
    assert examples, f"{name} has no example"
    for test in examples:
        test.globs = {name: subject}
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        assert result.failed == 0
