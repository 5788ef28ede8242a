"""Damaged and hostile JSON: read, or refused in one line that names the file; never a crash."""

from __future__ import annotations

import copy
import json
import math
import random
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.calibration_file import check_calibration
from melanoma_tf.classification.operating_points import read_thresholds
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json, read_json
from melanoma_tf.records.manifest import Count, Manifest, manifest_from_json, read_manifest
from melanoma_tf.training.run import read_history
from melanoma_tf.training.run_record import read_run, run_from_json

# What JSON can hold, and what Python's reader takes for JSON.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../../etc/passwd", "/etc/passwd", "\0", "a\nb", "1e999", "x" * 5000])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def places(payload, path=()):
    """Every place of a JSON value, as a tuple of keys and indices."""
    yield path
    if isinstance(payload, dict):
        for key in payload:
            yield from places(payload[key], (*path, key))
    elif isinstance(payload, list):
        for index, each in enumerate(payload):
            yield from places(each, (*path, index))


@st.composite
def damaged(draw, payload):
    """A JSON value with another value at one place, or without one, or with one more."""
    found = copy.deepcopy(payload)
    path = draw(st.sampled_from(list(places(payload))[1:]))
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    how = draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "replace":
        holder[path[-1]] = draw(VALUES)
    elif how == "remove":
        del holder[path[-1]]
    elif isinstance(holder, dict):
        holder[draw(st.text(max_size=8))] = draw(VALUES)
    return found


def refused_in_one_line(read, *arguments):
    """Read; return what was read, or None where it was refused as a user can understand."""
    try:
        return read(*arguments)
    except MelanomaError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 2000
    assert "file.json" in message
    return None


def hold_counts(manifest):
    numbers = [row.count for row in (*manifest.counts, *manifest.shards)]
    numbers += [shard.size_bytes for shard in manifest.shards]
    return all(isinstance(each, int) and each >= 0 for each in numbers)


@pytest.fixture(scope="module")
def files(trained_run, phantom_records):
    """The JSON of a record folder and of a run."""
    return {
        "manifest": read_checked_json(phantom_records / "manifest.json"),
        "config": read_checked_json(trained_run / "config.json"),
        "calibration": read_checked_json(trained_run / "calibration.json"),
    }


@FUZZ
@given(st.data())
def test_manifests(files, data):
    found = data.draw(damaged(files["manifest"]))
    read = refused_in_one_line(manifest_from_json, found, "file.json")
    if read is not None:
        assert hold_counts(read)
        assert all("/" not in shard.name for shard in read.shards)
        wanted = json.loads(json.dumps({**asdict(_empty()), **found}))
        assert json.loads(json.dumps(asdict(read))) == wanted


def _empty():
    return Manifest("", (), (), (), {}, {})


@FUZZ
@given(st.data())
def test_records_of_runs(files, data):
    found = data.draw(damaged(files["config"]))
    read = refused_in_one_line(run_from_json, found, CLASSIFIER, "file.json")
    if read is not None:
        assert math.isfinite(read.settings.optimization.learning_rate)
        assert run_from_json(read.to_json(), CLASSIFIER, "file.json") == read


@FUZZ
@given(st.data())
def test_calibrations(files, data):
    found = data.draw(damaged(files["calibration"]))
    read = refused_in_one_line(check_calibration, found, "file.json")
    if read is not None:
        assert 0 < read["temperature"] < math.inf
        assert set(read["thresholds"]) == set(read["class_names"])


@FUZZ
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_bytes_that_may_be_json(tmp_path, content):
    (tmp_path / "file.json").write_bytes(content)
    refused_in_one_line(read_json, tmp_path / "file.json")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "9" * 10_000, '{"a": NaN}', "[-Infinity]", '{"a": ', "\ud800", "", "\0"],
    ids=["deep", "long number", "nan", "infinity", "cut", "surrogate", "empty", "zero"],
)
def test_texts_that_are_no_json(tmp_path, text):
    (tmp_path / "file.json").write_text(text, errors="surrogatepass")
    assert refused_in_one_line(read_json, tmp_path / "file.json") is None


def test_flipped_bits_of_a_manifest_are_refused(phantom_records, tmp_path):
    whole = (phantom_records / "manifest.json").read_bytes()
    for shard in read_manifest(phantom_records).shards:
        (tmp_path / shard.name).symlink_to(phantom_records / shard.name)
    choose = random.Random(0)
    for _ in range(150):
        content = bytearray(whole)
        content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
        (tmp_path / "manifest.json").write_bytes(content)
        with pytest.raises(MelanomaError, match=r"manifest\.json") as refused:
            read_manifest(tmp_path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"counts": [{"count": math.nan}]}, "NaN, which JSON has not"),
        ({"settings": "small"}, "expected an object as settings; found 'small'"),
        ({"sources": []}, r"expected an object as sources; found \[\]"),
        ({"skipped": [1]}, "skipped: expected texts; found 1"),
        ({"class_names": ["a", "a"]}, "expected different class names"),
        ({"class_names": ["a", "\x1b[31m"]}, "names of printable characters"),
        ({"looks": 1}, "found looks too"),
        (
            {
                "shards": [
                    {"name": "a", "split": "train", "count": 10**400, "size_bytes": 1, "sha256": ""}
                ]
            },
            "expected a count as count",
        ),
    ],
)
def test_damages_met_in_manifests(phantom_records, tmp_path, damage, message):
    payload = read_checked_json(phantom_records / "manifest.json")
    (tmp_path / "manifest.json").write_text(json.dumps({**payload, **damage}))
    with pytest.raises(MelanomaError, match=message):
        read_manifest(tmp_path)


def test_a_shard_is_a_file_of_the_folder(phantom_records, tmp_path):
    payload = read_checked_json(phantom_records / "manifest.json")
    for name in ("../secret.tfrecord", "/etc/passwd", "a/b.tfrecord", ""):
        payload["shards"][0]["name"] = name
        (tmp_path / "manifest.json").write_text(json.dumps(payload))
        with pytest.raises(MelanomaError, match="expected the name of a file in the folder"):
            read_manifest(tmp_path)


def test_a_manifest_names_each_shard_once(phantom_records, tmp_path):
    payload = read_checked_json(phantom_records / "manifest.json")
    payload["shards"].append(payload["shards"][0])
    (tmp_path / "manifest.json").write_text(json.dumps(payload))
    with pytest.raises(MelanomaError, match=r"expected each shard once; found .* several times"):
        read_manifest(tmp_path)


def test_a_manifest_may_lack_what_has_a_default(phantom_records):
    payload = read_checked_json(phantom_records / "manifest.json")
    for name in ("findings", "tool_version", "skipped"):
        payload.pop(name)
    read = manifest_from_json(payload, "file.json")
    assert (read.findings, read.tool_version, read.skipped) == ({}, "", ())
    assert all(isinstance(row, Count) for row in read.counts)


@pytest.mark.parametrize("temperature", [-1.0, 0, "hot", None, True, [1.0]])
def test_a_temperature_is_a_number_above_zero(trained_run, tmp_path, temperature):
    for name in ("config.json", "weights.npz"):
        (tmp_path / name).write_bytes((trained_run / name).read_bytes())
    payload = read_checked_json(trained_run / "calibration.json")
    payload["temperature"] = temperature
    (tmp_path / "calibration.json").write_text(json.dumps(payload))
    with pytest.raises(MelanomaError, match="expected a finite temperature above 0"):
        read_calibration(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [{"thresholds": {"melanoma": {"0.82": "hot"}}}, {"class_names": [1]}, {"fitted_on": 3}],
)
def test_thresholds_of_a_damaged_file_are_not_applied(trained_run, tmp_path, damage):
    payload = read_checked_json(trained_run / "calibration.json")
    here = {"classes": payload["class_names"], "calibrated": True}
    path = tmp_path / "file.json"
    path.write_text(json.dumps(payload))
    assert read_thresholds(path, here).by_class == payload["thresholds"]
    path.write_text(json.dumps({**payload, **damage}))
    assert refused_in_one_line(read_thresholds, path, here) is None
    chosen = {"scores": "probabilities", "classes": ["a"], "operating_points": []}
    path.write_text(json.dumps(chosen))
    assert refused_in_one_line(read_thresholds, path, here) is None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"biases": [0.0, 0.0, 0.0]}, "a finite bias of each of melanoma, nevus, seb"),
        ({"biases": {"melanoma": 0.1}}, "a finite bias of each of"),
        ({"biases": None}, "a finite bias of each of"),
        ({"nevus": "high"}, "a finite bias of each of"),
        ({"nevus": True}, "a finite bias of each of"),
        ({"n_per_class": {"melanoma": 1}}, "a number of images above 0 of each of"),
        ({"n_per_class": {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 1}}, "images above 0"),
    ],
)
def test_biases_are_a_number_of_each_class_and_fitted_on_each(trained_run, damage, message):
    payload = read_checked_json(trained_run / "calibration.json")
    payload["biases"] = dict.fromkeys(payload["class_names"], 0.5)
    assert check_calibration(payload, "file.json") == payload
    target = payload["fitted_on"] if "n_per_class" in damage else payload
    target = payload["biases"] if "nevus" in damage else target
    target.update(damage)
    with pytest.raises(MelanomaError, match=f"file.json: expected .*{message}.*; found"):
        check_calibration(payload, "file.json")


def test_damaged_weights_are_not_taken_for_those_of_another_model(trained_run, tmp_path):
    for name in ("config.json", "calibration.json"):
        (tmp_path / name).write_bytes((trained_run / name).read_bytes())
    content = bytearray((trained_run / "weights.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "weights.npz").write_bytes(content)
    with pytest.raises(MelanomaError, match=r"weights\.npz: expected a whole \.npz file"):
        read_calibration(tmp_path)


@pytest.mark.parametrize("history", [[], {"loss": 3}, {"loss": ["a"]}, {"loss": [True]}])
def test_histories(trained_run, tmp_path, history):
    (tmp_path / "history.json").write_text(json.dumps(history))
    with pytest.raises(MelanomaError, match=r"history\.json: expected lists of numbers"):
        read_history(tmp_path)


def test_a_strangers_run_cannot_ask_for_all_memory(files):
    """Its network is built from its settings before its weights are read."""
    payload = copy.deepcopy(files["config"])
    payload["settings"]["network"]["image_size_px"] = 1_000_000
    with pytest.raises(MelanomaError, match=r"file.json: .*2048.* found 1000000"):
        run_from_json(payload, CLASSIFIER, "file.json")


@pytest.mark.parametrize("classes", [[], "melanoma", [1, 2], None])
def test_class_names_of_a_run(trained_run, tmp_path, classes):
    payload = read_checked_json(trained_run / "config.json")
    (tmp_path / "config.json").write_text(json.dumps({**payload, "class_names": classes}))
    (tmp_path / "weights.npz").touch()
    with pytest.raises(MelanomaError, match=r"config\.json: expected"):
        read_run(tmp_path, CLASSIFIER)
