"""Explanations as files: pictures, sheets, a table, and means with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.classification.explain import (
    AT_ONCE,
    UNKNOWN,
    Explainer,
    Explanation,
    Pixels,
    explain_keys,
    split_of,
)
from melanoma_tf.classification.explain_files import Failure, Result
from melanoma_tf.classification.explanation_data import encoded_records
from melanoma_tf.classification.module import PROBABILITIES
from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.core.csv_text import csv_text
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import public_name, write_atomically, write_json
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.evaluation.metrics.attention import Attention, attention, mean_attention
from melanoma_tf.records.record_set import RecordSet, RecordsLike

TABLE, SUMMARY, SHEET = "saliency.csv", "summary.json", "sheet.png"
_REGIONS = ("lesion", "occlusions")
_GAP_PX = 6
_SHEET_COLUMNS = 2
_ON_A_SHEET = 24


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        image_id, source: of the image.
        label, predicted: class names; an empty label is unknown.
        probabilities: in the order of the classes.
        attention: by `lesion`, `occlusions`, `untrained_lesion`, `untrained_occlusions`; None where
            there is no mask or no untrained network.
    """

    image_id: str
    source: str
    label: str
    predicted: str
    probabilities: tuple[float, ...]
    attention: dict[str, Attention | None]


@dataclass(frozen=True)
class Outcome:
    """Result of `write_explanations`.

    Attributes:
        rows: of the table.
        summary: the content of `summary.json`.
        failures: the images that could not be explained.
    """

    rows: list[Row]
    summary: dict[str, Any]
    failures: list[Failure] = field(default_factory=list)


def write_explanations(
    results: Iterable[Result],
    explainer: Explainer,
    output: Path,
    *,
    pictures: int | None = None,
    about: dict[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Outcome:
    """Write a folder of explanations.

    `NAME_saliency.png` has the image, the heat map, and the heat map over the image; `sheet.png`
    the first of them; `saliency.csv` a row for each image, and `summary.json` the means.

    Args:
        results: explanations, and failures, which are passed on.
        explainer: that made them.
        output: the folder to appear.
        pictures: how many get a picture; all by default.
        about: what else `summary.json` says.
        seed: of the bootstrap.
        overwrite: replace a folder that is there.

    Raises:
        MelanomaError: not one image could be explained, or `output` exists.
    """
    rows: list[Row] = []
    failures: list[Failure] = []
    strips: list[Pixels] = []
    with published_folder(output, overwrite=overwrite) as folder:
        for each in results:
            if isinstance(each, Failure):
                failures.append(each)
                continue
            rows.append(_row(each, explainer.class_names))
            if pictures is None or len(rows) <= pictures:
                strip = _strip(each, rows[-1])
                write_atomically(_picture_path(folder, each), sheets.encode_png(strip))
                strips += [strip] if len(strips) < _ON_A_SHEET else []
        if not rows:
            first = f": {failures[0].path}: {failures[0].reason}" if failures else ""
            raise MelanomaError(f"expected images to explain; found none{first}")
        if strips:
            write_atomically(folder / SHEET, sheets.encode_png(_sheet(strips)))
        name = public_name(explainer.name)
        summary = {"classifier": name, **(about or {}), **summarise(rows, seed=seed)}
        write_atomically(folder / TABLE, _table(rows, explainer.class_names))
        write_json(folder / SUMMARY, summary)
    return Outcome(rows, summary, failures)


def write_errors(
    explainer: Explainer,
    records: RecordsLike,
    output: Path,
    *,
    class_name: str,
    count: int,
    split: str = "test",
    overwrite: bool = False,
) -> dict[str, tuple[int, int]]:
    """Write sheets of the most confident mistakes about a class.

    A false positive is an image of another class whose likeliest class is this one; a false
    negative is an image of this class whose likeliest class is another. `false_positives.png` and
    `false_negatives.png` show them beginning with the most confident: the highest, or the lowest,
    probability of the class. `saliency.csv` has a row for each image on them.

    Args:
        explainer: the classifier.
        records: a record folder of its classes, or several.
        output: the folder to appear.
        class_name: the class.
        count: how many of each kind to show, at most.
        split: `train`, `validation` or `test`.
        overwrite: replace a folder that is there.

    Returns:
        By `false_positives` and `false_negatives`: how many are shown, and how many there are. A
        kind without mistakes has no sheet; without any mistake, nothing is written.

    Raises:
        MelanomaError: no such class, see `classification.explain.split_of`, or `output` exists.
    """
    if class_name not in explainer.class_names:
        raise MelanomaError(
            f"expected a class out of {', '.join(explainer.class_names)}; found {class_name}"
        )
    records = split_of(explainer, records, split)
    with records.damage_named():
        chosen = _errors(explainer, records, split, explainer.class_names.index(class_name))
    shown = {kind: keys[:count] for kind, keys in chosen.items()}
    if any(shown.values()):
        with published_folder(output, overwrite=overwrite) as folder:
            _write_sheets(folder, explainer, records, split, shown)
    return {kind: (len(shown[kind]), len(keys)) for kind, keys in chosen.items()}


def _write_sheets(
    folder: Path,
    explainer: Explainer,
    records: RecordsLike,
    split: str,
    shown: dict[str, list[str]],
) -> None:
    keys = [key for kind in shown.values() for key in kind]
    explanations = dict(zip(keys, explain_keys(explainer, records, split, keys)))
    rows = {key: _row(each, explainer.class_names) for key, each in explanations.items()}
    for kind, wrong in shown.items():
        if wrong:
            strips = [_strip(explanations[key], rows[key]) for key in wrong]
            write_atomically(folder / f"{kind}.png", sheets.encode_png(_sheet(strips)))
    kinds = [kind[:-1] for kind, wrong in shown.items() for _ in wrong]
    table = _table(list(rows.values()), explainer.class_names, ("error", kinds))
    write_atomically(folder / TABLE, table)


def _errors(
    explainer: Explainer, records: RecordSet, split: str, label: int
) -> dict[str, list[str]]:
    """The wrong images about a class, `source/key`, the most confident first."""
    found: dict[str, list[tuple[float, str]]] = {"false_positives": [], "false_negatives": []}
    for batch in encoded_records(records, split, batch_size=AT_ONCE):
        probabilities = explainer.explain(batch["image/encoded"])[PROBABILITIES].numpy()
        predicted = probabilities.argmax(axis=1) == label
        actual = batch["label"].numpy() == label
        names = zip(batch["source"].numpy(), batch["image/key"].numpy())
        for index, (source, key) in enumerate(names):
            name = f"{source.decode('utf-8')}/{key.decode('utf-8')}"
            if predicted[index] and not actual[index]:
                found["false_positives"].append((-float(probabilities[index, label]), name))
            elif actual[index] and not predicted[index]:
                found["false_negatives"].append((float(probabilities[index, label]), name))
    return {kind: [name for _, name in sorted(pairs)] for kind, pairs in found.items()}


def summarise(rows: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """The means of the table.

    Returns:
        `images`, and by `all`, and by `right` and `wrong` where classes are known: for each region
        what `evaluation.metrics.attention.mean_attention` returns.
    """
    groups = {"all": list(rows)}
    known = [row for row in rows if row.label]
    if known:
        groups["right"] = [row for row in known if row.label == row.predicted]
        groups["wrong"] = [row for row in known if row.label != row.predicted]
    return {
        "images": len(rows),
        **{
            group: {
                region: mean_attention([row.attention[region] for row in members], seed=seed)
                for region in rows[0].attention
            }
            for group, members in groups.items()
        },
    }


def _row(one: Explanation, class_names: Sequence[str]) -> Row:
    measured: dict[str, Attention | None] = {}
    maps = {"": one.saliency}
    if one.untrained is not None:
        maps["untrained_"] = one.untrained
    for prefix, saliency in maps.items():
        for name in _REGIONS:
            region = getattr(one, name)
            measured[prefix + name] = None if region is None else attention(saliency, region)
    return Row(
        one.image_id,
        one.source,
        "" if one.label == UNKNOWN else class_names[one.label],
        class_names[int(one.probabilities.argmax())],
        tuple(float(value) for value in one.probabilities),
        measured,
    )


def _table(
    rows: Sequence[Row],
    class_names: Sequence[str],
    further: tuple[str, Sequence[str]] | None = None,
) -> str:
    names = list(rows[0].attention)
    columns = [f"{name}_{what}" for name in names for what in ("area", "saliency", "ratio")]
    header = ["image_id", *class_names, "predicted", "label", *columns]
    lines: list[list[Any]] = [header + ([further[0]] if further else [])]
    ids = _ids(rows)
    for index, row in enumerate(rows):
        cells = [cell for name in names for cell in _cells(row.attention[name])]
        known = [ids[index], *row.probabilities, row.predicted, row.label, *cells]
        lines.append(known + ([further[1][index]] if further else []))
    return csv_text(lines)


def _ids(rows: Sequence[Row]) -> list[str]:
    """The images' names, with their sources where two sources have one of the same name."""
    names = [row.image_id for row in rows]
    if len(set(names)) == len(names):
        return names
    return [f"{row.source}/{row.image_id}" for row in rows]


def _cells(measured: Attention | None) -> tuple[object, object, object]:
    """Area, saliency and ratio; undefined values are empty."""
    if measured is None:
        return "", "", ""
    values = (measured.area_fraction, measured.saliency_fraction, measured.ratio)
    return tuple("" if np.isnan(value) else value for value in values)  # type: ignore[return-value]


def _picture_path(folder: Path, one: Explanation) -> Path:
    name = one.image_id.replace("/", "_")
    path = folder / f"{name}_saliency.png"
    return folder / f"{one.source}_{name}_saliency.png" if path.exists() else path


def _strip(one: Explanation, row: Row) -> Pixels:
    """Caption, image, heat map and overlay, `(caption + shown, 3 * shown + gaps, 3)`."""
    drawn = sheets.side_by_side([one.image, one.heat_map, one.overlay], _GAP_PX)
    probability = max(row.probabilities)
    caption = f"{row.image_id}: {row.predicted} {probability:.2f}"
    caption += f", is {row.label}" if row.label else ""
    return sheets.stack([sheets.caption(caption, drawn.shape[1], left_px=1), drawn])


def _sheet(strips: Sequence[Pixels]) -> Pixels:
    """Put strips in columns, from left to right and then down."""
    rows = [
        sheets.side_by_side(strips[start : start + _SHEET_COLUMNS], 4 * _GAP_PX)
        for start in range(0, len(strips), _SHEET_COLUMNS)
    ]
    return sheets.stack([sheets.add_margins(row, bottom=2 * _GAP_PX) for row in rows])
