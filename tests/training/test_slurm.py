"""The tasks of a Slurm step, from environments as `srun` makes them."""

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.training import slurm, strategy
from melanoma_tf.training.settings import TrainingSettings
from melanoma_tf.training.slurm import expanded_hosts
from melanoma_tf.training.strategy import choose_devices
from melanoma_tf.training.workers import SLURM, Workers, visible_workers

# Of the second task on the third node of `srun -N 3 -n 5`.
STEP = {
    "SLURM_JOB_ID": "71",
    "SLURM_JOB_NODELIST": "n[07-12]",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "n[08-09,11]",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_TASKS_PER_NODE": "2,1,2",
    "SLURM_NODEID": "2",
    "SLURM_LOCALID": "1",
    "SLURM_PROCID": "4",
}


def workers(**changes):
    return visible_workers({**STEP, **changes}, strategy="multi-worker")


def test_tasks_are_workers_node_by_node():
    found = workers()
    hosts = [address.rpartition(":")[0] for address in found.addresses]
    assert hosts == ["n08", "n08", "n09", "n11", "n11"]
    assert (found.index, found.named_by) == (4, SLURM)
    # All tasks agree on the addresses, and no two share one.
    assert len(set(found.addresses)) == 5
    places = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
    each = [workers(SLURM_NODEID=str(node), SLURM_LOCALID=str(local)) for node, local in places]
    assert [one.index for one in each] == list(range(5))
    assert {one.addresses for one in each} == {found.addresses}
    assert [one.is_chief for one in each] == [True, False, False, False, False]
    # With `--distribution cyclic` the ranks of the same tasks are others.
    assert workers(SLURM_PROCID="3") == found


def test_jobs_and_steps_that_share_a_node_have_ports_of_their_own():
    ports = [
        {int(address.rpartition(":")[2]) for address in workers(**changes).addresses}
        for changes in ({}, {"SLURM_JOB_ID": "72"}, {"SLURM_STEP_ID": "1"})
    ]
    assert not ports[0] & ports[1]
    assert not ports[0] & ports[2]
    for job in ("1", "4294967294"):
        for address in workers(SLURM_JOB_ID=job).addresses:
            assert 1024 < int(address.rpartition(":")[2]) < 32768


@pytest.mark.parametrize(
    ("text", "hosts"),
    [  # As `scontrol show hostnames` of Slurm 22.05 expands them.
        ("vm", ["vm"]),
        ("a[1-2],b[08-10,12],c", ["a1", "a2", "b08", "b09", "b10", "b12", "c"]),
        ("r[1-2]n[01-03]", ["r1n01", "r1n02", "r1n03", "r2n01", "r2n02", "r2n03"]),
        ("n[1-2],m5,o[3-4,6,7-9]", ["n1", "n2", "m5", "o3", "o4", "o6", "o7", "o8", "o9"]),
    ],
)
def test_lists_of_hosts_are_expanded_as_slurm_does(text, hosts):
    assert list(expanded_hosts(text)) == hosts


def test_tasks_are_workers_only_where_the_strategy_says_so():
    assert visible_workers(STEP) == visible_workers(STEP, strategy="single") == Workers()
    # The variables of a batch script itself, in which no other task runs.
    script = {"SLURM_JOB_ID": "71", "SLURM_NTASKS": "5", "SLURM_PROCID": "0"}
    assert visible_workers(script, strategy="multi-worker") == Workers()
    # TF_CONFIG counts first.
    named = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
    assert workers(TF_CONFIG=named) == Workers(("a:1", "b:1"), 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SLURM_STEP_NODELIST": ""}, "expected SLURM_STEP_NODELIST next to SLURM_STEP_NUM_TASKS"),
        ({"SLURM_STEP_NODELIST": "n[08-"}, "SLURM_STEP_NODELIST: expected what Slurm writes"),
        ({"SLURM_STEP_NODELIST": "n[a-b]"}, "SLURM_STEP_NODELIST: expected what Slurm writes"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x3"}, "expected what Slurm writes; found 2(x3"),
        ({"SLURM_STEP_NUM_TASKS": "five"}, "SLURM_STEP_NUM_TASKS: .* found five"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x3)"}, "found 3 nodes and 6 tasks on 3"),
        ({"SLURM_LOCALID": "2"}, "found 2 and 2"),
        (
            {"SLURM_STEP_NUM_TASKS": "300", "SLURM_STEP_TASKS_PER_NODE": "100(x3)"},
            "at most 64 tasks on a node; found 100",
        ),
    ],
)
def test_variables_that_contradict_each_other_are_one_line(changes, message):
    with pytest.raises(MelanomaError, match=message.replace("(", r"\(")):
        workers(**changes)


def test_a_training_on_one_device_tells_of_the_other_tasks(monkeypatch):
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)
    words = choose_devices(TrainingSettings()).words
    assert words.startswith("strategy: single, on a ")
    assert words.endswith("--strategy multi-worker would take the 5 tasks of this Slurm step")
    assert "Slurm" not in choose_devices(TrainingSettings(strategy="single")).words


def test_tensorflow_is_given_the_tasks(monkeypatch):
    given = []
    monkeypatch.setattr(
        strategy.tf.distribute,
        "MultiWorkerMirroredStrategy",
        lambda resolver: given.append(resolver) or strategy.tf.distribute.get_strategy(),
    )
    strategy._multi_worker.cache_clear()
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)
    words = choose_devices(TrainingSettings(strategy="multi-worker")).words
    strategy._multi_worker.cache_clear()
    addresses, index = slurm.tasks(STEP)
    assert words.startswith(
        f"strategy: multi-worker, worker 5 of 5 ({addresses[4]}) of the Slurm step on n08, n09, n11"
    )
    assert given[0].cluster_spec().as_dict() == {"worker": list(addresses)}
    assert (given[0].task_type, given[0].task_id, index) == ("worker", 4, 4)
