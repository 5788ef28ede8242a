"""Cross-validation, as options of `melanoma-tf train classifier`."""

from __future__ import annotations

import functools
from typing import Any

import click

from melanoma_tf.cli.options import Command

_STACK = (
    click.option(
        "--folds",
        type=click.IntRange(min=0),
        default=0,
        help="Divide training and validation images anew into so many folds, by patient, lesion "
        "and picture.  [default: the records' own splits]",
    ),
    click.option(
        "--fold",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="The fold to hold out for validation, from 0 on.",
    ),
    click.option(
        "--fold-seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Another one gives other folds, whatever --seed.",
    ),
)


def fold_options(command: Command) -> Command:
    """The options of `classification.folds.FoldSettings`, handed on as one `cross_validation`."""

    @functools.wraps(command)
    def with_folds(folds: int, fold: int, fold_seed: int, **given: Any) -> Any:
        from melanoma_tf.classification.folds import FoldSettings

        return command(cross_validation=FoldSettings(folds, fold, fold_seed), **given)

    for option in reversed(_STACK):
        with_folds = option(with_folds)
    return with_folds
