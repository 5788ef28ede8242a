"""Workers as TF_CONFIG names them, and what each of them trains on."""

import json

import pytest

from melanoma_tf.core.errors import MelanomaError, in_one_line
from melanoma_tf.training import strategy
from melanoma_tf.training.settings import TrainingSettings
from melanoma_tf.training.strategy import choose_devices, lost_workers_named
from melanoma_tf.training.workers import Workers, visible_workers


def configuration(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


@pytest.mark.parametrize(
    ("cluster", "task", "addresses", "index"),
    [
        # TFJob of Kubernetes: workers alone.
        ({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 1}, ("a:1", "b:1"), 1),
        # Vertex AI: a chief besides the workers, and what else it sets.
        (
            {"chief": ["c:1"], "worker": ["a:1", "b:1"]},
            {"type": "worker", "index": 1, "trial": ""},
            ("c:1", "a:1", "b:1"), 2,
        ),
        ({"chief": ["c:1"], "worker": ["a:1"]}, {"type": "chief", "index": "0"}, ("c:1", "a:1"), 0),
        ({}, {}, ("",), 0),
    ],
)  # fmt: skip
def test_workers_are_read_as_schedulers_name_them(cluster, task, addresses, index):
    found = visible_workers(configuration(cluster, task))
    assert (found.addresses, found.index) == (addresses, index)
    assert found.is_chief == (index == 0)


def test_one_worker_without_the_variable():
    assert visible_workers({}) == visible_workers({"TF_CONFIG": " "}) == Workers()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG: expected JSON"),
        ("[]", "expected an object with cluster and task"),
        ('{"cluster": {"worker": "a:1"}, "task": {}}', "expected a list of host:port as worker"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps"}}', "found ps"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "expected the index of one of 1 tasks of type worker; found 1",
        ),
        (
            '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "expected one chief; found 2",
        ),
    ],
)
def test_a_broken_variable_is_one_line(text, message):
    with pytest.raises(MelanomaError, match=message):
        visible_workers({"TF_CONFIG": text})


@pytest.mark.parametrize(
    ("gpus", "workers", "settings", "expected"),
    [
        (0, 1, {}, ("single", 0)),
        (1, 1, {}, ("single", 0)),
        (4, 1, {"batch_size": 32}, ("mirrored", 4)),
        (8, 1, {"batch_size": 50}, ("mirrored", 5)),
        (4, 1, {"batch_size": 7}, ("single", 0)),
        (0, 1, {"replicas": 2}, ("mirrored", 2)),
        (4, 2, {}, ("multi-worker", 0)),
    ],
)
def test_the_strategy_is_chosen_by_what_is_visible(monkeypatch, gpus, workers, settings, expected):
    made = []
    monkeypatch.setattr(strategy.tf.config, "list_physical_devices", lambda kind: ["GPU"] * gpus)
    default = strategy.tf.distribute.get_strategy()
    monkeypatch.setattr(strategy, "make_strategy", lambda *given: made.append(given[:2]) or default)
    addresses = tuple(f"host{index}:1" for index in range(workers))
    devices = choose_devices(TrainingSettings(**settings), Workers(addresses))
    assert made == [expected]
    assert devices.words.startswith(f"strategy: {expected[0]}")
    assert devices.words.endswith("chosen by what is visible")


def test_several_workers_train_together_or_not_at_all():
    workers = Workers(("a:1", "b:1"))
    with pytest.raises(MelanomaError, match="expected --strategy multi-worker for the 2 workers"):
        choose_devices(TrainingSettings(strategy="single"), workers)
    with pytest.raises(MelanomaError, match="expected TF_CONFIG or a Slurm step to name"):
        choose_devices(TrainingSettings(strategy="multi-worker"), Workers())


def test_a_lost_worker_is_one_line():
    error = strategy.tf.errors.UnavailableError(
        None, None, "Graph execution error:\n\nDetected at node x\nFile \"a.py\"\n"
        "/job:worker/replica:0/task:1 is down\n\t [[{{node x}}]] [Op:__inference_step]"
    )  # fmt: skip
    with pytest.raises(MelanomaError) as caught, lost_workers_named(Workers(("a:1", "b:1"))):
        raise error
    assert in_one_line(caught.value) == (
        "worker 1 of 2 lost another one: /job:worker/replica:0/task:1 is down. Start every worker "
        "again with --resume"
    )
    with pytest.raises(strategy.tf.errors.UnavailableError), lost_workers_named(Workers()):
        raise error
