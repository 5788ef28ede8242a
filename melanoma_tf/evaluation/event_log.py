"""An evaluation as TensorBoard shows it: scalars, pictures, precision-recall curves, settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.pr_curve import summary as pr_curve

from melanoma_tf.core.outputs import published_folder
from melanoma_tf.evaluation.report.charts import Chart, one_against_rest, scored_classes
from melanoma_tf.evaluation.report.content import ReportContent, flat_settings
from melanoma_tf.evaluation.report.figures import as_pixels
from melanoma_tf.evaluation.score_text import class_rows, nested, overall_rows

# Keys of config.json that describe the data and not the training.
_NO_SETTINGS = (
    "kind", "records", "shards", "further_records", "sources", "versions", "taxonomy", "class_names"
)  # fmt: skip

Setting = Union[bool, float, str]


def log_folder(output: Path, split: str) -> Path:
    """Folder for the log of a split's evaluation, next to those of training and validation."""
    return output / "logs" / f"evaluation-{split}"


def write_evaluation_log(folder: Path, content: ReportContent, drawn: Iterable[Chart]) -> None:
    """Write the log of one evaluation; an earlier one is replaced.

    Values are logged at the epoch that was kept, numbered from 0 like the training curves.

    Args:
        folder: from `log_folder`.
        content: content of the report.
        drawn: its charts.
    """
    step = (content.runs[0].kept_epoch() or 1) - 1
    with published_folder(folder, overwrite=True) as temporary:
        writer = tf.summary.create_file_writer(str(temporary))
        with writer.as_default(step=step):
            for tag, value in _scalars(content.scores):
                tf.summary.scalar(tag, value)
            for chart in drawn:
                tf.summary.image(
                    chart.name, as_pixels(chart.figure)[None], description=chart.alternative
                )
            for curve in _precision_recall(content):
                tf.summary.experimental.write_raw_pb(curve.SerializeToString())
            session = hparams.hparams_pb(
                _settings(content), trial_id=f"{content.title} {content.split}"
            )
            tf.summary.experimental.write_raw_pb(session.SerializeToString())
        writer.close()


def _scalars(scores: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    paths: list[tuple[str, ...]] = [(key,) for _, key in overall_rows(scores)]
    for _, (first, *rest) in class_rows(scores):
        paths.extend((first, name, *rest) for name in scores["classes"])
    for path in paths:
        value = nested(scores, path)
        if value is not None:  # TensorBoard cannot show an undefined value.
            yield "/".join(path), value


def _precision_recall(content: ReportContent) -> Iterator[Any]:
    for name in scored_classes(content):
        is_positive, scores = one_against_rest(content, name)
        note = "by threshold"
        if scores.min() < 0 or scores.max() > 1:
            # The curve is that of any rising function of the scores; the plugin wants [0, 1].
            scores = (scores - scores.min()) / np.ptp(scores)
            note = "scores scaled to [0, 1]"
        yield pr_curve.pb(
            f"precision_recall/{name}",
            is_positive,
            scores.astype(np.float32),
            num_thresholds=201,
            description=f"{name} against the rest, {note}",
        )


def _settings(content: ReportContent) -> dict[str, Setting]:
    """Settings of the training; for an ensemble those that all its members share."""
    each = [
        {key: _setting(value) for key, value in flat_settings(run.config, _NO_SETTINGS)}
        for run in content.runs
    ]
    return {
        key: value
        for key, value in each[0].items()
        if all(other.get(key) == value for other in each[1:])
    }


def _setting(value: Any) -> Setting:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
