"""`train`: replicas agree, a killed run goes on, equal seeds give equal weights."""

from __future__ import annotations

import functools
import json
import shutil
import time
from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.classification.data import evaluation_batches, training_batches
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.losses import Accuracy, ClassificationLoss
from melanoma_tf.classification.optimization import compile_classifier
from melanoma_tf.classification.settings import (
    ClassifierSettings,
    NetworkSettings,
    OptimizationSettings,
)
from melanoma_tf.classification.train import train_classifier
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.core.keras import OWN_GENERATOR, keras
from melanoma_tf.core.settings import redeclared, setting
from melanoma_tf.records.parts import WHOLE
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.training import train as training
from melanoma_tf.training.compile_model import compile_model
from melanoma_tf.training.job import TrainingJob
from melanoma_tf.training.run import Run, read_history
from melanoma_tf.training.run_record import RunKind, describe_run, read_run
from melanoma_tf.training.settings import TrainingSettings
from melanoma_tf.training.strategy import make_strategy
from tests.conftest import ONE_CONVOLUTION

BATCH, STEPS = 12, 3
INPUTS = classifier_inputs(
    ClassifierSettings(batch_size=BATCH, seed=3, network=NetworkSettings(image_size_px=32))
)


@dataclass(frozen=True)
class Settings(TrainingSettings):
    epochs: int = redeclared(TrainingSettings, "epochs", 2)
    batch_size: int = redeclared(TrainingSettings, "batch_size", BATCH)
    learning_rate: float = setting(1e-2, "Learning rate.")
    schedule: str = setting("constant", "Schedule.")
    dropout: float = setting(0.0, "Dropout.")

    @property
    def depends_on_epochs(self):
        return self.schedule == "cosine"


def build(dropout=0.0):
    """A network with everything that can go wrong under a strategy, but tiny."""
    images = keras.Input((32, 32, 3))
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.Conv2D(4, 5, 4, activation="relu")(features)
    features = keras.layers.BatchNormalization(synchronized=True)(features)
    features = keras.layers.GlobalAveragePooling2D()(features)
    if dropout:
        features = keras.layers.Dropout(dropout, **OWN_GENERATOR)(features)
    return keras.Model(images, keras.layers.Dense(3, dtype="float32")(features))


KIND = RunKind("tiny", Settings, lambda record: build(record.settings.dropout))


# What is read does not depend on the training. It is built once: that takes as long as a training.
@functools.cache
def examples(folder, done, part):
    return training_batches(RecordSet.read(folder), INPUTS, first_example=done, part=part)


@functools.cache
def validation(folder):
    batches = evaluation_batches(RecordSet.read(folder), "validation", INPUTS)
    return batches.map(lambda batch: (batch["image"], batch["label"]))


def compile_plainly(model, settings):
    """With one metric: those of a classifier take a third of the time of a training."""
    optimizer = keras.optimizers.Adam(settings.learning_rate)
    return compile_model(
        model, optimizer=optimizer, loss=ClassificationLoss(), metrics=[Accuracy()]
    )


def compile_with_all_metrics(model):
    """As a classifier, for what depends on its metrics."""
    optimization = OptimizationSettings(learning_rate=1e-2)
    return compile_classifier(model, optimization, counts=[1] * 3, steps_per_epoch=STEPS, epochs=2)


def make_job(records, settings, log, **changes):
    (folder,) = records.folders
    return TrainingJob(
        **{
            "record": describe_run(KIND, settings, records),
            "kind": KIND,
            "build": lambda: build(settings.dropout),
            "compile": lambda model: compile_plainly(model, settings),
            "steps_per_epoch": STEPS,
            "training_batches": functools.partial(examples, folder),
            "validation_batches": validation(folder),
            "monitor": "val_accuracy",
            **changes,
        }
    )


def train(
    records, run_dir, *, log=lambda line: None, resume=False, resume_if_begun=False,
    overwrite=False, profile=False, job=None, **settings,
):  # fmt: skip
    """Train for two epochs; `job` changes what the job is."""
    return training.train(
        lambda *given: make_job(*given, **(job or {})),
        records,
        run_dir,
        Settings(**settings),
        resume=resume,
        resume_if_begun=resume_if_begun,
        overwrite=overwrite,
        profile=profile,
        log=log,
    )


def weights(run_dir):
    return list(np.load(run_dir / "weights.npz").values())


@pytest.fixture(scope="module")
def straight(phantom_records, tmp_path_factory):
    """A run of two epochs without a break."""
    run_dir = tmp_path_factory.mktemp("straight") / "run"
    return run_dir, train(phantom_records, run_dir)


def test_the_run_folder_is_as_designed(straight):
    run_dir, history = straight
    assert {path.name for path in run_dir.iterdir()} == {
        ".melanoma-tf.json", "config.json", "history.json", "logs", "checkpoints", "weights.npz",
    }  # fmt: skip
    assert read_run(run_dir, KIND).settings.learning_rate == 1e-2
    assert read_history(run_dir) == history
    assert all(len(values) == 2 for values in history.values())
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "images_per_second"} <= set(history)


def test_tensorboard_has_the_curves(straight):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(straight[0] / "logs" / "validation"))
    events.Reload()
    assert {"epoch_loss", "epoch_accuracy"} <= set(events.Tags()["tensors"])
    assert [event.step for event in events.Tensors("epoch_loss")] == [0, 1]


def test_equal_seeds_give_equal_weights_and_other_seeds_others(straight, phantom_records, tmp_path):
    train(phantom_records, tmp_path / "again")
    for ours, theirs in zip(weights(straight[0]), weights(tmp_path / "again")):
        np.testing.assert_array_equal(ours, theirs)
    train(phantom_records, tmp_path / "other", seed=1)
    pairs = zip(weights(straight[0]), weights(tmp_path / "other"))
    assert any(not np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_a_killed_run_goes_on_as_if_it_had_not_been(phantom_records, tmp_path):
    class Killed(BaseException):
        pass

    def kill_in_the_second_epoch(line):
        if line.startswith("epoch 2"):
            raise Killed

    run_dir = tmp_path / "run"
    with pytest.raises(Killed):
        train(phantom_records, run_dir, epochs=3, dropout=0.5, log=kill_in_the_second_epoch)
    assert not (run_dir / "weights.npz").exists()
    with pytest.raises(MelanomaError, match="has not finished; continue it with --resume"):
        read_run(run_dir, KIND)
    with pytest.raises(MelanomaError, match="has not finished; expected --resume to go on"):
        train(phantom_records, run_dir, epochs=3)
    lines = []
    history = train(phantom_records, run_dir, epochs=3, dropout=0.5, resume=True, log=lines.append)
    assert [line.split()[1] for line in lines[1:]] == ["3/3"]
    whole = train(phantom_records, tmp_path / "whole", epochs=3, dropout=0.5)
    assert history["loss"] == whole["loss"]
    for ours, theirs in zip(weights(run_dir), weights(tmp_path / "whole")):
        np.testing.assert_array_equal(ours, theirs)


def test_training_stops_where_patience_runs_out_and_resumes_to_the_same_end(
    phantom_records, tmp_path
):
    # The learning rate never gets better than in the first epoch.
    waiting = {"epochs": 9, "job": {"monitor": "learning_rate"}, "patience": 2}
    history = train(phantom_records, tmp_path / "run", **waiting)
    assert len(history["loss"]) == 3
    before = (tmp_path / "run" / "weights.npz").read_bytes()
    again = train(phantom_records, tmp_path / "run", **waiting, resume=True)
    assert again == history
    # Byte for byte: a calibration names the file that it belongs to.
    assert (tmp_path / "run" / "weights.npz").read_bytes() == before
    with pytest.raises(MelanomaError, match=r"expected patience within \[0, inf\); found -1"):
        Settings(patience=-1)


def test_a_damaged_checkpoint_costs_one_epoch_and_no_run(straight, phantom_records, tmp_path):
    run_dir = shutil.copytree(straight[0], tmp_path / "run")
    (run_dir / "weights.npz").unlink()
    with (run_dir / "checkpoints" / "ckpt-2.index").open("r+b") as stream:
        stream.truncate(20)
    lines = []
    history = train(phantom_records, run_dir, resume=True, log=lines.append)
    assert "ckpt-2 is damaged and left out" in lines[1]
    assert [line.split()[1] for line in lines[2:]] == ["2/2"]
    assert history["loss"] == pytest.approx(straight[1]["loss"], rel=1e-5)
    for path in (run_dir / "checkpoints").glob("ckpt-*.index"):
        path.write_bytes(b"no index")
    with pytest.raises(MelanomaError, match="a whole checkpoint to go on from; all 2 are damaged"):
        train(phantom_records, run_dir, resume=True)
    for path in (run_dir / "checkpoints").glob("ckpt-*"):
        path.unlink()
    with pytest.raises(MelanomaError, match="expected a checkpoint of the finished epochs"):
        train(phantom_records, run_dir, resume=True)


def test_a_run_in_a_folder_with_brackets_goes_on(straight, phantom_records, tmp_path):
    """TensorFlow takes such a name for a pattern."""
    run_dir = shutil.copytree(straight[0], tmp_path / "fold[1] of *")
    (run_dir / "weights.npz").unlink()
    history = train(phantom_records, run_dir, epochs=3, resume=True)
    assert history["loss"][:2] == straight[1]["loss"]
    assert len(history["loss"]) == 3
    kept = {path.stem for path in (run_dir / "checkpoints").glob("*.index")}
    assert kept == {"ckpt-2", "ckpt-3"}


def test_two_trainings_of_one_run_are_refused(phantom_records, tmp_path):
    run_dir, refused = tmp_path / "run", []

    def another(line):
        if not refused and line.startswith("epoch"):
            with pytest.raises(MelanomaError, match="no other command that writes") as caught:
                train(phantom_records, run_dir, resume=True)
            refused.append(caught)

    train(phantom_records, run_dir, epochs=1, log=another)
    assert refused
    assert not list(tmp_path.glob(".*"))


def test_two_replicas_train_like_one(straight, phantom_records, tmp_path):
    """Same global batches, so the same losses, statistics of the batches included."""
    job = {"compile": compile_with_all_metrics}
    two = train(phantom_records, tmp_path / "two", strategy="mirrored", replicas=2, job=job)
    assert {"auc", "cohen_kappa", "matthews_correlation"} <= set(two)
    assert two["loss"] == pytest.approx(straight[1]["loss"], rel=1e-4)
    assert two["val_loss"] == pytest.approx(straight[1]["val_loss"], rel=1e-3)


def test_an_existing_run_is_kept(straight, phantom_records):
    before = (straight[0] / "weights.npz").read_bytes()
    with pytest.raises(MelanomaError, match="exists"):
        train(phantom_records, straight[0])
    with pytest.raises(MelanomaError, match=r"settings.learning_rate was 0.01, is 0.5 now"):
        train(phantom_records, straight[0], learning_rate=0.5, resume=True)
    with pytest.raises(MelanomaError, match=r"expected at least the 2 epochs .* found 1"):
        train(phantom_records, straight[0], epochs=1, resume=True)
    assert read_run(straight[0], KIND).settings.epochs == 2
    assert (straight[0] / "weights.npz").read_bytes() == before


def test_a_network_that_cannot_be_built_costs_no_earlier_run(straight, phantom_records):
    before = (straight[0] / "weights.npz").read_bytes()
    settings = ClassifierSettings(network=NetworkSettings("small", "imagenet", 32))
    with pytest.raises(MelanomaError, match="no ImageNet weights"):
        train_classifier(phantom_records, straight[0], settings, overwrite=True)
    assert (straight[0] / "weights.npz").read_bytes() == before


def test_a_calibration_on_other_images_survives_resuming_a_finished_run(
    trained_run, phantom_records, tmp_path
):
    run_dir = shutil.copytree(trained_run, tmp_path / "run")
    calibration = {**read_checked_json(run_dir / "calibration.json"), "temperature": 7.0}
    (run_dir / "calibration.json").write_text(json.dumps(calibration))
    network = NetworkSettings(ONE_CONVOLUTION, "none", image_size_px=32)
    settings = ClassifierSettings(epochs=1, batch_size=8, network=network)
    lines = []
    train_classifier(phantom_records, run_dir, settings, resume=True, log=lines.append)
    assert lines[1:] == [f"{run_dir / 'calibration.json'} belongs to this model already, and stays"]
    assert json.loads((run_dir / "calibration.json").read_text()) == calibration


def test_there_must_be_something_to_resume(phantom_records, tmp_path):
    with pytest.raises(MelanomaError, match=r"--resume expected a run"):
        train(phantom_records, tmp_path / "absent", resume=True)


def test_a_loss_that_is_not_finite_stops_training(phantom_records, tmp_path):
    run_dir = tmp_path / "run"
    with pytest.raises(MelanomaError, match="expected a finite one"):
        train(phantom_records, run_dir, learning_rate=1e38)
    assert not (run_dir / "weights.npz").exists()


def test_compiled_steps_train_like_others(phantom_records, tmp_path):
    """A tiny network, since XLA compiles slowly; `test_precision_and_compilation` has all."""
    job = {"compile": compile_with_all_metrics}
    plain = train(phantom_records, tmp_path / "plain", job=job)
    compiled = train(phantom_records, tmp_path / "run", jit_compile=True, job=job)
    assert {"auc", "cohen_kappa", "matthews_correlation"} <= set(compiled)
    for name in ("loss", "val_loss", "cohen_kappa"):
        assert compiled[name] == pytest.approx(plain[name], rel=1e-3, abs=1e-6), name


@pytest.mark.parametrize(
    ("name", "replicas", "message"),
    [
        ("both", 0, "expected a strategy out of single, mirrored"),
        ("single", 2, "expected --strategy mirrored for 2 replicas"),
        ("mirrored", 5, "expected 5 logical CPU devices; TensorFlow already runs on 2"),
    ],
)
def test_impossible_strategies_are_refused(name, replicas, message):
    with pytest.raises(MelanomaError, match=message):
        make_strategy(name, replicas)


def test_replicas_that_cannot_share_a_batch_equally_are_refused(phantom_records, tmp_path):
    """The mean of their means would weigh images unequally."""
    settings = {"batch_size": 13, "strategy": "mirrored", "replicas": 2}
    with pytest.raises(MelanomaError, match="that 2 replicas can share equally; found 13"):
        train(phantom_records, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_a_damaged_shard_is_one_line(phantom_records, tmp_path):
    damaged = tmp_path / "records"
    shutil.copytree(phantom_records, damaged)
    shard = next(damaged.glob("train-*"))
    content = bytearray(shard.read_bytes())
    content[1000] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(MelanomaError, match=rf"{shard.name}: cannot be read after \d+ examples"):
        train(damaged, tmp_path / "run")
    train(phantom_records, tmp_path / "run", epochs=1)  # What was begun is not in the way.


def test_a_rate_that_falls_until_the_last_epoch_cannot_get_more_of_them(phantom_records, tmp_path):
    records = RecordSet.read(phantom_records)

    def run(**settings):
        return describe_run(KIND, Settings(**settings), records)

    Run(tmp_path / "cosine", run(epochs=3, schedule="cosine")).begin()
    with pytest.raises(MelanomaError, match=r"settings\.epochs was 3, is 5 now"):
        Run(tmp_path / "cosine", run(epochs=5, schedule="cosine"), resume=True).check()
    Run(tmp_path / "cosine", run(epochs=3, schedule="cosine"), resume=True).check()
    Run(tmp_path / "step", run(epochs=3, schedule="step")).begin()
    Run(tmp_path / "step", run(epochs=5, schedule="step"), resume=True).check()


def test_a_validation_that_is_no_number_is_one_line(phantom_records, tmp_path):
    class Undefined(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = float("nan")

    with pytest.raises(MelanomaError, match="val_loss is nan in epoch 1; expected a finite numb"):
        train(phantom_records, tmp_path / "run", job={"measures": lambda run_dir: [Undefined()]})
    assert not (tmp_path / "run" / "weights.npz").exists()


def test_parts_of_the_input_make_the_same_batches_of_all_files(phantom_records, tmp_path):
    """A batch has the same number of examples of each file, and a resumed run keeps the parts."""
    whole = train(phantom_records, tmp_path / "whole", epochs=2, input_parts=2)
    train(phantom_records, tmp_path / "run", epochs=1, input_parts=2)
    resumed = train(phantom_records, tmp_path / "run", epochs=2, resume=True)
    assert resumed["loss"] == whole["loss"]
    assert read_run(tmp_path / "run", KIND).settings.input_parts == 2
    with pytest.raises(MelanomaError, match=r"settings\.input_parts was 2, is 1 now"):
        train(phantom_records, tmp_path / "run", epochs=3, resume=True, input_parts=1)
    with pytest.raises(MelanomaError, match="expected at least 3 training shards"):
        train(phantom_records, tmp_path / "three", input_parts=3)
    assert not (tmp_path / "three" / "history.json").exists()


def test_a_scheduler_begins_and_continues_by_one_command(phantom_records, tmp_path):
    begun = {"records": phantom_records, "run_dir": tmp_path / "run", "resume_if_begun": True}
    train(**begun, epochs=1)
    lines = []
    train(**begun, epochs=2, log=lines.append)
    assert [line.split()[1] for line in lines[1:]] == ["2/2"]
    with pytest.raises(MelanomaError, match="to resume a begun run or to overwrite it; found both"):
        train(**begun, overwrite=True)


@pytest.mark.parametrize("devices", [{}, {"strategy": "mirrored", "replicas": 2}])
def test_a_profile_is_written_and_the_wait_for_input_is_said(phantom_records, tmp_path, devices):
    slow = make_job(RecordSet.read(phantom_records), Settings(), print).training_batches(0, WHOLE)
    seconds = 0.2

    def wait(*batch):
        paused = tf.numpy_function(lambda: time.sleep(seconds) or True, [], tf.bool)
        with tf.control_dependencies([paused]):
            return tf.nest.map_structure(tf.identity, batch)

    lines = []
    train(
        phantom_records, tmp_path / "run", profile=True, log=lines.append, **devices,
        job={"training_batches": lambda done, part: slow.map(wait)},
    )  # fmt: skip
    (line,) = [line for line in lines if line.startswith("waiting for input: ")]
    fraction = float(line.split("%")[0].rsplit(" ", 1)[1])
    assert fraction > 50, line
    assert f"(mean of {2 * STEPS - 3} steps)" in line
    assert list((tmp_path / "run" / "logs").rglob("*.xplane.pb"))
