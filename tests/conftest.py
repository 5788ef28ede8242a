"""Shared fixtures: where the real data lies, and how a command is run as a user runs it."""

import contextlib
import gc
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Machines differ and are shared: an example may be slow without being wrong. CI's workflow tries
# more examples of each property.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=30)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=150)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

REPOSITORY = Path(__file__).resolve().parent.parent
ONE_CONVOLUTION = "one-convolution"
# The files that take most processor time, then the folders of which the other files do: in this
# order, two processes end together.
LONGEST = (
    "test_public_api.py",
    "purification/detector/test_train.py",
    "training/test_training.py",
    "generation/test_train.py",
    "purification/inpainter/test_train.py",
    "purification/test_classical.py",
    "records/test_remote_records.py",
    "segmentation/test_train.py",
    "segmentation/test_lite_train.py",
    "classification/test_data.py",
    "serving/test_app.py",
    "classification/test_network.py",
    "classification/test_explain.py",
    "purification/detector/test_shipped.py",
    "workflows/test_chain.py",
    "test_docs_examples.py",
    "serving",
    "purification",
    "classification",
    "segmentation",
    "generation",
    "training",
    "workflows",
    "exchange",
    "backbones",
    "evaluation/official",
    "cli",
    "augmentation",
    "records",
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("MELANOMA_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set MELANOMA_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def run_command():
    """A function that runs `melanoma-tf ARGUMENTS` in a process of its own."""

    def run(*arguments, module="melanoma_tf", **options):
        prefix = ("-m", module) if module else ()
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, *prefix, *map(str, arguments)],
            capture_output=True, text=True, timeout=300, env=environment, check=False, **options,
        )  # fmt: skip

    return run


def cli_runner():
    """A runner that keeps standard output and standard error apart.

    Click before 8.2, which Python 3.9 has, joins them in `stdout` unless it is told not to.
    """
    from click.testing import CliRunner

    apart = "mix_stderr" in inspect.signature(CliRunner).parameters
    return CliRunner(**({"mix_stderr": False} if apart else {}))


@pytest.fixture(scope="session")
def invoke_command():
    """`run_command` in this process, for what does not depend on a process of its own."""
    from melanoma_tf.cli import main

    def invoke(*arguments):
        done = cli_runner().invoke(main, [str(each) for each in arguments])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return invoke


@pytest.fixture(scope="session")
def preview_tags():
    """A function that returns the titles of the pictures in the TensorBoard logs of a run."""
    import tensorflow as tf

    def tags(run_dir):
        return [
            value.tag
            for path in (run_dir / "logs" / "validation").glob("events*")
            for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
            for value in tf.compat.v1.Event.FromString(serialized).summary.value
        ]

    return tags


def pytest_configure(config):
    """Split the CPU in two before anything uses it, so that mirrored training can be tested.

    Registers a backbone that compiles at once, too.
    """
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return  # The process that only hands out the tests of pytest-xdist.
    import tensorflow as tf

    from melanoma_tf.backbones import register_backbone

    register_backbone(ONE_CONVOLUTION, build_one_convolution)

    cpu = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)


def pytest_collection_modifyitems(items):
    """Put the longest files first; with pytest-xdist, next to `--no-loadscope-reorder`."""
    tests = REPOSITORY / "tests"

    def rank(item):
        path = Path(item.path).relative_to(tests).as_posix()
        found = (place for place, name in enumerate(LONGEST) if path.startswith(name))
        return next(found, len(LONGEST))

    items.sort(key=rank)


def pytest_collection_finish():
    """Spare the collector what is loaded by now and stays: it took a twelfth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory) -> Path:
    """60 phantoms of 48 px in the official layout of ISIC 2017."""
    from melanoma_tf.phantoms import PhantomSettings, write_phantoms

    folder = tmp_path_factory.mktemp("phantoms") / "isic2017"
    return write_phantoms(folder, 60, settings=PhantomSettings(48), seed=1)


@pytest.fixture(scope="session")
def phantom_records(tmp_path_factory, phantom_folder) -> Path:
    """A record folder of those phantoms, with the three splits and two shards in each."""
    from melanoma_tf.datasets.catalogue import list_source
    from melanoma_tf.records.build.build import BuildSettings, build_records

    folder = tmp_path_factory.mktemp("records") / "phantoms"
    settings = BuildSettings("isic2017", image_size=48, shards=2, split="0.6/0.2/0.2")
    build_records([list_source("isic2017", phantom_folder)], settings, folder)
    return folder


def build_one_convolution(size_px, weights):
    """A backbone that compiles at once."""
    from melanoma_tf.core.keras import keras

    images = keras.Input((size_px, size_px, 3))
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.Conv2D(8, 7, 4, activation="relu")(features)
    return keras.Model(images, features, name=ONE_CONVOLUTION)


@contextlib.contextmanager
def one_convolution_for_small() -> Iterator[None]:
    """Put one convolution in the place of the small backbone, which takes long to compile."""
    from melanoma_tf.backbones.networks import BACKBONES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "small", build_one_convolution)
        yield


@contextlib.contextmanager
def few_occlusions() -> Iterator[None]:
    """Draw hairs and strokes only: the graph of all occlusions takes a second in every epoch."""
    import tensorflow as tf

    from melanoma_tf.augmentation import synthetic_occlusions
    from melanoma_tf.purification.detector import data as detector_data

    # Traced for itself, so that the graph of all occlusions is neither used nor replaced.
    paint = tf.function(synthetic_occlusions.paint_occlusions.python_function)
    with pytest.MonkeyPatch.context() as patch:
        shapes = synthetic_occlusions.SHAPES
        few = {"hairs": shapes["hairs"], "strokes": shapes["strokes"]._replace(fraction=0.7)}
        patch.setattr(synthetic_occlusions, "SHAPES", few)
        patch.setattr(
            synthetic_occlusions,
            "paint_bubbles",
            lambda image, seed: (image, tf.zeros_like(image[..., :1])),
        )
        for module in (synthetic_occlusions, detector_data):
            patch.setattr(module, "paint_occlusions", paint)
        yield


@pytest.fixture
def tiny_backbone() -> Iterator[None]:
    """See `one_convolution_for_small`; tests of the networks themselves do without it."""
    with one_convolution_for_small():
        yield


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory, phantom_records) -> Path:
    """A classifier run of one epoch on those records, of a tiny network."""
    from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
    from melanoma_tf.classification.train import train_classifier

    run_dir = tmp_path_factory.mktemp("runs") / "small"
    network = NetworkSettings(ONE_CONVOLUTION, "none", image_size_px=32)
    settings = ClassifierSettings(epochs=1, batch_size=8, network=network)
    train_classifier(phantom_records, run_dir, settings)
    return run_dir


@pytest.fixture(scope="session")
def exported(tmp_path_factory, trained_run) -> Path:
    """The exported model of that run."""
    from melanoma_tf.serving.export import export_run

    folder = tmp_path_factory.mktemp("saved_models") / "small"
    export_run(trained_run, folder)
    return folder
