"""The records whose validation split chooses the epoch."""

from __future__ import annotations

from collections.abc import Callable

from melanoma_tf.records.record_set import RecordSet


def validation_records(records: RecordSet, log: Callable[[str], None]) -> RecordSet | None:
    """The records that have the validation split; where none has, a line says what that means."""
    chosen = records.with_validation()
    if chosen is None:
        log("warning: no validation split; the last epoch counts as the best")
    return chosen
