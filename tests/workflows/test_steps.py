"""Steps of an experiment: made once, made again where something changed, resumed after a kill."""

import json
import os
import signal
import subprocess
import sys

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.ownership import mark
from melanoma_tf.workflows.run_steps import preview, run_steps
from melanoma_tf.workflows.steps import Estimate, Step, check_steps


class Toys:
    """Three steps, each of which writes the lengths of what it reads: numbers -> sum -> report."""

    def __init__(self, source):
        self.source = source
        self.made = []
        self.failing = None

    def steps(self, factor=1):
        return [
            Step("numbers", "numbers", self.maker("numbers"), inputs=(self.source,),
                 contents=("value.txt",), estimate=Estimate(60.0, 2.0)),
            Step("other", "other", self.maker("other"), inputs=(), contents=("value.txt",)),
            Step("sum", "runs/sum", self.maker("sum"), ("numbers",), {"factor": factor},
                 contents=("value.txt",), continues=True),
            Step("report", "report", self.maker("report"), ("sum", "other"),
                 contents=("value.txt",)),
        ]  # fmt: skip

    def maker(self, name):
        def make(output, resume):
            self.made.append(f"{name}, resumed" if resume else name)
            output.mkdir(parents=True, exist_ok=resume)
            (output / "epoch.txt").write_text("1")
            mark(output, ("*.txt",))
            if self.failing == name:
                raise MelanomaError(f"{name} fails")
            (output / "value.txt").write_text("1")

        return make


@pytest.fixture
def toys(tmp_path):
    source = tmp_path / "data"
    source.mkdir()
    (source / "a.csv").write_text("1,2")
    return Toys(source)


@pytest.fixture
def work_dir(tmp_path):
    return tmp_path / "work"


def run(toys, work_dir, **options):
    """Run the steps; returns what was made, and what was logged."""
    toys.made, lines = [], []
    factor = options.pop("factor", 1)
    run_steps("toys", toys.steps(factor), work_dir, log=lines.append, **options)
    return toys.made, lines


ALL = ["numbers", "other", "sum", "report"]


def test_finished_steps_are_skipped_and_named(toys, work_dir):
    assert run(toys, work_dir)[0] == ALL
    made, lines = run(toys, work_dir)
    assert made == []
    assert [line.split("]")[1] for line in lines] == [
        f" {step.name}: done already, {work_dir / step.output}" for step in toys.steps()
    ]


def test_a_changed_setting_remakes_the_step_and_what_needs_it(toys, work_dir):
    run(toys, work_dir)
    (work_dir / "runs" / "sum" / "epoch.txt").write_text("of the old settings")
    assert run(toys, work_dir, factor=2)[0] == ["sum", "report"]
    assert (work_dir / "runs" / "sum" / "epoch.txt").read_text() == "1"
    assert run(toys, work_dir, factor=2)[0] == []


def test_changed_contents_of_an_input_remake_all_that_needs_it(toys, work_dir):
    run(toys, work_dir)
    (toys.source / "a.csv").write_text("1,3")
    assert run(toys, work_dir)[0] == ["numbers", "sum", "report"]
    (toys.source / "b.csv").write_text("")
    assert run(toys, work_dir)[0] == ["numbers", "sum", "report"]


def test_a_touched_or_moved_input_changes_nothing(toys, work_dir):
    run(toys, work_dir)
    os.utime(toys.source / "a.csv", (1, 1))
    assert run(toys, work_dir)[0] == []
    toys.source = toys.source.rename(toys.source.with_name("moved"))
    assert run(toys, work_dir)[0] == []


def test_from_remakes_a_step_and_its_dependants_only(toys, work_dir):
    run(toys, work_dir)
    assert run(toys, work_dir, from_step="sum")[0] == ["sum", "report"]
    assert run(toys, work_dir)[0] == []
    with pytest.raises(MelanomaError, match="numbers, other, sum, report; found summ"):
        run(toys, work_dir, from_step="summ")


def test_from_is_remembered_when_the_run_stops_before_the_dependants(toys, work_dir):
    run(toys, work_dir)
    toys.failing = "sum"
    with pytest.raises(MelanomaError, match="sum fails"):
        run(toys, work_dir, from_step="numbers")
    toys.failing = None
    assert run(toys, work_dir)[0] == ["sum, resumed", "report"]


def test_an_output_that_lost_a_file_is_made_again(toys, work_dir):
    run(toys, work_dir)
    (work_dir / "numbers" / "value.txt").unlink()
    assert run(toys, work_dir)[0] == ["numbers", "sum", "report"]


@pytest.mark.parametrize(("name", "again"), [("sum", "sum, resumed"), ("report", "report")])
def test_an_interrupted_step_goes_on_or_begins_again(toys, work_dir, name, again):
    toys.failing = name
    with pytest.raises(MelanomaError, match=f"{name} fails"):
        run(toys, work_dir)
    toys.failing = None
    assert run(toys, work_dir)[0][0] == again
    assert run(toys, work_dir)[0] == []


def test_an_interrupted_step_with_other_settings_begins_again(toys, work_dir):
    toys.failing = "sum"
    with pytest.raises(MelanomaError):
        run(toys, work_dir)
    toys.failing = None
    assert run(toys, work_dir, factor=2)[0] == ["sum", "report"]


def test_a_killed_process_is_continued(toys, work_dir):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.workflows.test_steps import Toys\n"
        "from melanoma_tf.workflows.run_steps import run_steps\n"
        "toys = Toys(Path(sys.argv[1]))\n"
        "steps = toys.steps()\n"
        "def killed(output, resume):\n"
        "    output.mkdir(parents=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "object.__setattr__(steps[2], 'make', killed)\n"
        "run_steps('toys', steps, Path(sys.argv[2]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(toys.source), str(work_dir)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert run(toys, work_dir)[0] == ["sum, resumed", "report"]
    steps = json.loads((work_dir / "steps.json").read_text())["steps"]
    assert [steps[name]["attempts"] for name in ALL] == [1, 1, 2, 1]


def test_a_preview_writes_nothing(toys, work_dir):
    planned = preview("toys", toys.steps(), work_dir)
    assert not work_dir.exists()
    assert [each.state for each in planned] == ["to do"] * 4
    run(toys, work_dir)
    before = {path: path.stat().st_mtime_ns for path in work_dir.rglob("*")}
    planned = preview("toys", toys.steps(factor=2), work_dir)
    assert [each.state for each in planned] == ["done", "done", "changed", "changed"]
    assert planned[3].detail == "needs sum"
    assert before == {path: path.stat().st_mtime_ns for path in work_dir.rglob("*")}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "expected JSON"),
        ("[]", "found another file"),
        ('{"format": "melanoma_tf steps", "version": 9}', "found version 9"),
        ('{"format": "melanoma_tf steps", "version": 1, "experiment": "isic2018"}', "isic2018"),
        (
            '{"format": "melanoma_tf steps", "version": 1, "experiment": "toys", '
            '"steps": {"sum": {"fingerprint": 3}}}',
            "found the step sum",
        ),
    ],
)
def test_a_damaged_ledger_is_refused_and_kept(toys, work_dir, text, found):
    run(toys, work_dir)
    (work_dir / "steps.json").write_text(text)
    with pytest.raises(MelanomaError, match=found):
        run(toys, work_dir)
    assert (work_dir / "steps.json").read_text() == text
    assert toys.made == []


def test_an_output_of_someone_else_is_not_replaced_unasked(toys, work_dir):
    run(toys, work_dir)
    (work_dir / "steps.json").unlink()
    with pytest.raises(MelanomaError, match="--from numbers to replace it"):
        run(toys, work_dir)
    toys.failing = "sum"
    with pytest.raises(MelanomaError, match="--from other to replace it"):
        run(toys, work_dir, from_step="numbers")


def test_a_foreign_file_in_an_output_is_never_removed(toys, work_dir):
    run(toys, work_dir)
    thesis = work_dir / "runs" / "sum" / "thesis.doc"
    thesis.write_text("years of work")
    with pytest.raises(MelanomaError, match=r"thesis\.doc"):
        run(toys, work_dir, factor=2)
    assert thesis.read_text() == "years of work"


def test_a_step_that_makes_nothing_is_an_error(work_dir):
    step = Step("idle", "idle", lambda output, resume: None, contents=("value.txt",))
    with pytest.raises(MelanomaError, match=r"step idle: expected value\.txt"):
        run_steps("toys", [step], work_dir)


def test_two_runs_do_not_share_a_folder(toys, work_dir):
    def nested(output, resume):
        run_steps("toys", toys.steps(), work_dir)

    with pytest.raises(MelanomaError, match="no other run that works in"):
        run_steps("toys", [Step("outer", "outer", nested)], work_dir)


def test_steps_come_after_what_they_need():
    first, second = (
        Step(name, name, lambda output, resume: None, needs) for name, needs in
        (("a", ("b",)), ("b", ()))
    )  # fmt: skip
    with pytest.raises(ValueError, match="a needs b"):
        check_steps([first, second])
    with pytest.raises(ValueError, match="two steps are called b"):
        check_steps([second, second])
