"""`config.json` of a run: what was trained, on what, with which settings and versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import tensorflow as tf

from melanoma_tf import __version__
from melanoma_tf.core.errors import MelanomaError, shown
from melanoma_tf.core.files import public_names, read_checked_json
from melanoma_tf.core.keras import keras
from melanoma_tf.core.settings import Settings, missing_settings
from melanoma_tf.core.urls import without_secrets
from melanoma_tf.records.record_set import RecordSet

CONFIG, WEIGHTS = "config.json", "weights.npz"
_WEIGHTS_BEFORE = "model.keras"  # Of runs of earlier versions; see `weights.read_weights`.
FORMAT = 2
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class RunKind(Generic[S]):
    """A kind of run.

    Attributes:
        name: as `segmenter`.
        settings: the class of its settings.
        network: builds the network of a record, without weights.
    """

    name: str
    settings: type[S]
    network: Callable[[RunRecord[S]], keras.Model]


@dataclass(frozen=True)
class RecordFolder:
    """A record folder that a run was trained on.

    Attributes:
        path: where it was, without the password or query of a URL.
        shards: SHA-256 by shard: the fingerprint of the folder.
    """

    path: str
    shards: Mapping[str, str]


@dataclass(frozen=True)
class RunRecord(Generic[S]):
    """The whole content of `config.json`.

    Attributes:
        kind: see `RunKind`.
        settings: the resolved settings.
        records: the record folders, in the order given.
        taxonomy: that of the records.
        class_names: that the network knows; of the records, in the order of labels.
        sources: per data set its `licence` and `attribution`.
        details: what else a kind keeps, as JSON values.
        versions: of this package and of TensorFlow.
        assumed: settings that the version which began the run did not have, as
            `optimization.schedule`: they have the values that reproduce what it did.
    """

    kind: str
    settings: S
    records: tuple[RecordFolder, ...]
    taxonomy: str
    class_names: tuple[str, ...]
    sources: Mapping[str, Mapping[str, str]]
    details: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON values of `config.json`."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "settings": self.settings.to_json(),
            "records": [dataclasses.asdict(folder) for folder in self.records],
            "taxonomy": self.taxonomy,
            "class_names": list(self.class_names),
            "sources": {name: dict(row) for name, row in self.sources.items()},
            "details": dict(self.details),
            "versions": dict(self.versions),
            "assumed": list(self.assumed),
        }

    def to_public_json(self) -> dict[str, Any]:
        """`to_json` for files that others get to see: no path of this machine is in it."""
        names = self.record_names()
        return {
            **self.to_json(),
            "settings": self.settings.to_public_json(),
            "records": [
                {"path": name, "shards": dict(folder.shards)}
                for name, folder in zip(names, self.records)
            ],
        }

    def record_names(self) -> list[str]:
        """The names of the record folders, see `core.files.public_names`."""
        return public_names([folder.path for folder in self.records])

    def record_paths(self) -> tuple[Path, ...]:
        """The paths of the record folders when the run began."""
        return tuple(Path(folder.path) for folder in self.records)


def describe_run(
    kind: RunKind[S],
    settings: S,
    records: RecordSet,
    *,
    class_names: tuple[str, ...] | None = None,
    details: Mapping[str, Any] | None = None,
) -> RunRecord[S]:
    """The record of a run that begins now.

    Args:
        kind: what is trained.
        settings: resolved.
        records: what it is trained on.
        class_names: where they are not all of the records.
        details: what else the kind keeps, as JSON values.
    """
    folders = tuple(
        RecordFolder(
            without_secrets(str(path)), {shard.name: shard.sha256 for shard in manifest.shards}
        )
        for path, manifest in zip(records.folders, records.manifests)
    )
    sources = {
        name: dict(row) for manifest in records.manifests for name, row in manifest.sources.items()
    }
    return RunRecord(
        kind=kind.name,
        settings=settings,
        records=folders,
        taxonomy=records.taxonomy,
        class_names=tuple(records.class_names if class_names is None else class_names),
        sources=sources,
        details=details or {},
        versions={"melanoma_tf": __version__, "tensorflow": tf.__version__},
    )


def run_kind(run_dir: Path) -> str:
    """The name of what a run trains, as `classifier`.

    Raises:
        MelanomaError: there is no run, or its format is unknown.
    """
    return str(run_payload(Path(run_dir)).get("kind"))


def read_run(run_dir: Path, *kinds: RunKind[S], finished: bool = True) -> RunRecord[S]:
    """Read the record of a run.

    Args:
        run_dir: the run folder.
        kinds: what the run may be.
        finished: refuse a run whose training has not finished.

    Raises:
        MelanomaError: there is no run, its format is unknown, it trains another kind of network,
            it has not finished, or `config.json` is damaged.
    """
    run_dir = Path(run_dir)
    payload = check_run(run_dir, *(each.name for each in kinds), finished=finished)
    kind = next(each for each in kinds if each.name == payload["kind"])
    return parsed_record(payload, kind.settings, str(run_dir / CONFIG))


def check_run(run_dir: Path, *kinds: str, finished: bool = True) -> dict[str, Any]:
    """Check what a run is, where the settings of its kind are not known.

    Args:
        run_dir: the run folder.
        kinds: names of what the run may be.
        finished: refuse a run whose training has not finished.

    Returns:
        The JSON values of `config.json`.

    Raises:
        MelanomaError: as `read_run`, but for what the settings hold.
    """
    run_dir = Path(run_dir)
    payload = run_payload(run_dir)
    found = payload.get("kind")
    if found not in kinds:
        raise MelanomaError(f"{run_dir}: expected a {' or '.join(kinds)} run; found {shown(found)}")
    if finished and not weights_file(run_dir).is_file():
        raise MelanomaError(f"{run_dir}: training has not finished; continue it with --resume")
    return payload


def weights_file(run_dir: Path) -> Path:
    """The file of a run's weights, which is there once its training has finished."""
    path, before = Path(run_dir) / WEIGHTS, Path(run_dir) / _WEIGHTS_BEFORE
    return before if before.is_file() and not path.is_file() else path


def run_from_json(payload: Any, kind: RunKind[S], where: str) -> RunRecord[S]:
    """Return the record of a run from what `RunRecord.to_json` returned.

    Args:
        payload: the JSON values.
        kind: what the run trains.
        where: how errors name it.

    Raises:
        MelanomaError: another format or kind, or a value is missing or of another type.
    """
    payload = _checked_format(payload, where)
    if payload.get("kind") != kind.name:
        raise MelanomaError(
            f"{where}: expected a {kind.name} run; found {shown(payload.get('kind'))}"
        )
    return parsed_record(payload, kind.settings, where)


def run_payload(run_dir: Path) -> dict[str, Any]:
    """The JSON values of a run's `config.json`, of the present format.

    Raises:
        MelanomaError: there is no run, or its format is unknown.
    """
    path = run_dir / CONFIG
    if not path.is_file():
        raise MelanomaError(f"expected a run folder at {run_dir}; found no {CONFIG} there")
    return _checked_format(read_checked_json(path), str(path))


def _checked_format(payload: Any, where: str) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise MelanomaError(f"{where}: expected a JSON object; found {type(payload).__name__}")
    found = payload.get("format", "none")
    if found != FORMAT:
        raise MelanomaError(
            f"{where}: expected run format {FORMAT}; found {shown(found)}. The run was made by "
            "another version of melanoma_tf: use that version, or train again"
        )
    return payload


def parsed_record(payload: Mapping[str, Any], settings: type[S], where: str) -> RunRecord[S]:
    """The record of a run from the JSON values of `config.json`.

    Args:
        payload: of the present format, see `run_payload`.
        settings: the class of the run's settings.
        where: how errors name it.

    Raises:
        MelanomaError: a value is missing or of another type.
    """
    names = {field.name for field in dataclasses.fields(RunRecord)} - {"assumed"}
    absent = sorted(names - set(payload))
    if absent:
        raise MelanomaError(f"{where}: expected {', '.join(sorted(names))}; found no {absent[0]}")
    sources = _object(payload, "sources", where)
    records = tuple(
        RecordFolder(str(_text(row, "path", where)), _texts(row, "shards", where))
        for row in _list(payload, "records", where)
    )
    class_names = _list(payload, "class_names", where)
    are_texts = all(isinstance(name, str) for name in class_names)
    if not records or not class_names or not are_texts:
        raise MelanomaError(f"{where}: expected a record folder, and class names as texts")
    parsed = settings.from_json(payload["settings"], f"{where}: settings")
    assumed = _list({"assumed": [], **payload}, "assumed", where)
    if not all(isinstance(name, str) for name in assumed):
        raise MelanomaError(f"{where}: expected names of settings as assumed; found others")
    return RunRecord(
        kind=_text(payload, "kind", where),
        settings=parsed,
        records=records,
        taxonomy=_text(payload, "taxonomy", where),
        class_names=tuple(class_names),
        sources={name: _texts(sources, name, where) for name in sources},
        details=_object(payload, "details", where),
        versions=_texts(payload, "versions", where),
        assumed=tuple(sorted({*assumed, *missing_settings(settings, payload["settings"])})),
    )


def _object(payload: Any, name: str, where: str) -> dict[str, Any]:
    return _of_type(payload, name, dict, "an object", where)


def _list(payload: Any, name: str, where: str) -> list[Any]:
    return _of_type(payload, name, list, "a list", where)


def _text(payload: Any, name: str, where: str) -> str:
    return _of_type(payload, name, str, "a text", where)


def _texts(payload: Any, name: str, where: str) -> dict[str, str]:
    values = _object(payload, name, where)
    for key in values:
        _text(values, key, where)
    return values


def _of_type(payload: Any, name: str, kind: type, words: str, where: str) -> Any:
    value = payload.get(name) if isinstance(payload, Mapping) else None
    if not isinstance(value, kind):
        raise MelanomaError(f"{where}: expected {words} as {shown(name)}; found {value!r:.80}")
    return value
