"""`config.json`: typed, of one format, and every damage is one line."""

import json
from dataclasses import dataclass

import pytest

from melanoma_tf import __version__
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.core.settings import setting
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.training.run import Run
from melanoma_tf.training.run_record import RunKind, describe_run, read_run, run_kind
from melanoma_tf.training.settings import TrainingSettings


@dataclass(frozen=True)
class Settings(TrainingSettings):
    filters: int = setting(4, "Filters.", minimum=1, before=2)


KIND, OTHER = (
    RunKind(name, settings, lambda record: keras.Sequential())
    for name, settings in (("tiny", Settings), ("other", TrainingSettings))
)


@pytest.fixture
def run_dir(phantom_records, tmp_path):
    record = describe_run(
        KIND, Settings(filters=7), RecordSet.read(phantom_records), details={"fold": [1]}
    )
    (tmp_path / "config.json").write_text(json.dumps(record.to_json()))
    (tmp_path / "weights.npz").touch()
    return tmp_path


def change(run_dir, **values):
    payload = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps({**payload, **values}))


def test_a_record_comes_back_as_it_was(run_dir, phantom_records):
    record = read_run(run_dir, OTHER, KIND)
    records = RecordSet.read(phantom_records)
    assert record == describe_run(KIND, Settings(filters=7), records, details={"fold": [1]})
    assert record.settings.filters == 7
    assert record.class_names == records.class_names
    assert record.record_paths() == (phantom_records,)
    assert record.versions["melanoma_tf"] == __version__
    shards = {shard.name: shard.sha256 for shard in records.manifests[0].shards}
    assert dict(record.records[0].shards) == shards
    assert run_kind(run_dir) == "tiny"


def test_a_run_of_an_earlier_version_is_read_and_says_what_was_assumed(run_dir, phantom_records):
    """`filters` is newer than the run; without it there were 2."""
    settings = Settings(filters=7).to_json()
    change(run_dir, settings={k: v for k, v in settings.items() if k not in ("filters", "seed")})
    record = read_run(run_dir, KIND)
    assert record.settings == Settings(filters=2)
    assert record.assumed == ("filters", "seed")
    (run_dir / "config.json").write_text(json.dumps(record.to_json()))
    assert read_run(run_dir, KIND).assumed == ("filters", "seed")


def test_such_a_run_is_resumed_with_the_settings_that_reproduce_it(run_dir, phantom_records):
    settings = {k: v for k, v in Settings().to_json().items() if k != "filters"}
    change(run_dir, settings=settings)
    records = RecordSet.read(phantom_records)
    Run(run_dir, describe_run(KIND, Settings(filters=2), records, details={"fold": [1]}),
        resume=True).check()  # fmt: skip
    other = describe_run(KIND, Settings(filters=4), records, details={"fold": [1]})
    with pytest.raises(MelanomaError, match=r"settings\.filters was 2, is 4 now"):
        Run(run_dir, other, resume=True).check()


def test_another_kind_or_an_unfinished_run_is_refused(run_dir):
    with pytest.raises(MelanomaError, match="expected a other run; found tiny"):
        read_run(run_dir, OTHER)
    (run_dir / "weights.npz").unlink()
    with pytest.raises(MelanomaError, match="has not finished; continue it with --resume"):
        read_run(run_dir, KIND)
    assert read_run(run_dir, KIND, finished=False).settings.filters == 7


@pytest.mark.parametrize("found", [1, 3, "2", None])
def test_another_format_is_one_line(run_dir, found):
    change(run_dir, format=found)
    with pytest.raises(MelanomaError, match=f"expected run format 2; found {found}") as caught:
        read_run(run_dir, KIND)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"settings": []}, "config.json: settings: expected an object; found list"),
        ({"settings": {"looks": 3}}, "settings: expected the settings .* found looks, which is"),
        ({"assumed": [3]}, "expected names of settings as assumed"),
        ({"records": {}}, "expected a list as records"),
        ({"records": []}, "expected a record folder"),
        ({"records": [3]}, "expected a text as path; found None"),
        ({"class_names": [1]}, "class names as texts"),
        ({"sources": {"a": 1}}, "expected an object as a; found 1"),
        ({"versions": None}, "expected an object as versions; found None"),
        ({"taxonomy": 3}, "expected a text as taxonomy; found 3"),
    ],
)
def test_damaged_records_are_one_line(run_dir, damage, message):
    change(run_dir, **damage)
    with pytest.raises(MelanomaError, match=message) as caught:
        read_run(run_dir, KIND)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 100_000])
def test_what_is_no_json_object_is_one_line(run_dir, text):
    (run_dir / "config.json").write_text(text)
    with pytest.raises(MelanomaError, match=r"config\.json: expected"):
        read_run(run_dir, KIND)


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(MelanomaError, match=r"expected a run folder at .*; found no config\.json"):
        read_run(tmp_path, KIND)
