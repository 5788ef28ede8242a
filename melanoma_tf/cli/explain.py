"""`melanoma-tf explain`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melanoma_tf.classification.evaluation_settings import ExplanationSettings
from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, table, warn, warn_of_files
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import public_names
from melanoma_tf.core.settings import SHIPPED

if TYPE_CHECKING:
    from melanoma_tf.classification.explain import Explainer
    from melanoma_tf.classification.explain_output import Outcome

_PICTURES_OF_RECORDS = 50


@click.command(cls=GroupedCommand)
@click.argument("images", nargs=-1, type=options.ANY_PATH, metavar="[IMAGE|DIR]...")
@options.run_dir(
    "Run folder, runs/NAME.  [default for image files, without --model: the classifier that ships]",
    required=False,
)
@options.exported_model(required=False)
@options.output()
@click.option(
    "--masks",
    "--lesion-masks",
    type=options.FOLDER,
    help="Images: folder with NAME_segmentation.png or NAME.png. Records bring their own.",
)
@options.records(
    "Explain these records instead of image files; repeat for several.  [default: those of the "
    "training]",
    required=False,
)
@options.overwrite()
@settings_options(ExplanationSettings)
def explain(
    images: tuple[Path, ...],
    run_dir: Path | None,
    model: Path | None,
    output: Path,
    masks: Path | None,
    records: tuple[Path, ...],
    overwrite: bool,
    settings: ExplanationSettings,
) -> None:
    """Show where a classifier looks (VisualBackProp), and how much of that is lesion, hair or ink.

    It explains image files, or without any a split of records. OUTPUT gets NAME_saliency.png (the
    image, a heat map, and the one over the other), sheet.png, saliency.csv and summary.json. A
    ratio above 1 means that the network looks at a region more than its area makes likely.
    --errors N writes false_positives.png and false_negatives.png instead: the most confident
    mistakes about a class.

    \b
    Example:
      melanoma-tf explain photo.jpg --model saved_models/first --output explained
      melanoma-tf explain --run-dir runs/first --split test --output looks --baseline
      melanoma-tf explain --run-dir runs/first --errors 12 --output mistakes

    Research software. Not a medical device.
    """
    from melanoma_tf.core.outputs import refuse_existing

    if images and run_dir is None and model is None:
        run_dir = Path(SHIPPED)
    _check(images, run_dir, model, masks, records, settings)
    inputs = [*images, run_dir, model, masks, *records]
    refuse_existing(output, overwrite, [path for path in inputs if path])
    explainer = _load(run_dir, model, settings)
    job = _Job(explainer, output, overwrite, settings)
    if images:
        _explain_files(job, images, masks)
        return
    chosen = records or explainer.record.record_paths()
    if settings.errors:
        _explain_errors(job, chosen)
    else:
        _explain_records(job, chosen)


@dataclass(frozen=True)
class _Job:
    explainer: Explainer
    output: Path
    overwrite: bool
    settings: ExplanationSettings


def _check(
    images: tuple[Path, ...],
    run_dir: Path | None,
    model: Path | None,
    masks: Path | None,
    records: tuple[Path, ...],
    settings: ExplanationSettings,
) -> None:
    if (run_dir is None) == (model is None):
        found = "both" if model else "neither"
        raise MelanomaError(f"expected either --run-dir or --model; found {found}")
    if settings.baseline and model:
        raise MelanomaError("expected --baseline with --run-dir and without --errors")
    if settings.even and model:
        raise MelanomaError("expected --even with --run-dir; an exported model has one kind of map")
    if images and (records or settings.errors):
        raise MelanomaError("expected either image files, or --records or --errors; found both")
    if masks and not images:
        raise MelanomaError("expected --masks with image files only; records bring their own")


def _load(run_dir: Path | None, model: Path | None, settings: ExplanationSettings) -> Explainer:
    from melanoma_tf.classification.explain import load_run
    from melanoma_tf.serving.explainer import load_exported

    if run_dir is None:
        assert model is not None  # `_check` saw to it.
        return load_exported(model, shown_px=settings.picture_size_px)
    return load_run(
        run_dir,
        shown_px=settings.picture_size_px,
        even=settings.even,
        untrained=settings.baseline,
        seed=settings.seed,
    )


def _explain_files(job: _Job, images: tuple[Path, ...], masks: Path | None) -> None:
    from melanoma_tf.classification.explain_files import explained_files, files_and_masks

    found, without = files_and_masks(images, masks)
    warn_of_files(found.passed_over)
    paths = found.paths
    if without:
        warn(f"{len(without):,} of {len(paths):,} images have no mask, the first: {without[0]}")
    results = explained_files(job.explainer, paths, masks)
    outcome = _write(job, results, len(paths), job.settings.pictures, {})
    for failure in outcome.failures:
        click.echo(f"{failure.path}: {failure.reason}", err=True)
    if outcome.failures:
        raise MelanomaError(f"{len(outcome.failures)} of {len(paths)} files were not explained")


def _explain_records(job: _Job, folders: tuple[Path, ...]) -> None:
    from melanoma_tf.classification.explain import explained_records
    from melanoma_tf.records.record_set import RecordSet

    records, split = RecordSet.read(folders), job.settings.split
    results = explained_records(job.explainer, records, split)
    about = {"records": public_names(records.folders), "split": split}
    pictures = job.settings.pictures
    pictures = _PICTURES_OF_RECORDS if pictures is None else pictures
    _write(job, results, records.count(split=split), pictures, about)


def _write(
    job: _Job, results: Iterable[Any], total: int, pictures: int | None, about: dict[str, Any]
) -> Outcome:
    from melanoma_tf.classification.explain_output import write_explanations

    outcome = write_explanations(
        progress(results, label="explain", total=total),
        job.explainer,
        job.output,
        pictures=pictures,
        about=about,
        seed=job.settings.seed,
        overwrite=job.overwrite,
    )
    _show(outcome.summary)
    click.echo(f"wrote {job.output}: {len(outcome.rows):,} images")
    return outcome


def _show(summary: dict[str, Any]) -> None:
    rows = []
    for group in ("all", "right", "wrong"):
        for region, mean in summary.get(group, {}).items():
            if mean is None:
                continue
            limits = mean["interval"]
            between = f" ({limits['low']:.2f} to {limits['high']:.2f})" if limits else ""
            fractions = (f"{mean['area_fraction']:.1%}", f"{mean['saliency_fraction']:.1%}")
            ratio = f"{mean['ratio']:.2f}{between}"
            rows.append((group, region.replace("_", " "), mean["images"], *fractions, ratio))
    if rows:
        columns = ("images", "region", "with it", "of the area", "of the saliency", "ratio (95 %)")
        table("Where the network looks", columns, rows)


def _explain_errors(job: _Job, records: tuple[Path, ...]) -> None:
    from melanoma_tf.classification.explain_output import write_errors

    name = job.settings.class_name or "melanoma"
    found = write_errors(
        job.explainer,
        records,
        job.output,
        class_name=name,
        count=job.settings.errors,
        split=job.settings.split,
        overwrite=job.overwrite,
    )
    for kind, (shown, count) in found.items():
        click.echo(f"{kind.replace('_', ' ')} of {name}: {count:,}, {shown:,} of them shown")
    if any(shown for shown, _ in found.values()):
        click.echo(f"wrote {job.output}")
    else:
        click.echo(f"no mistakes to show; {job.output} was not written")


COMMANDS = (explain,)
