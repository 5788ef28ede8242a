"""`melanoma-tf explain`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import progress, table, warn
from melanoma_tf.core.errors import MelanomaError

if TYPE_CHECKING:
    from melanoma_tf.classification.explain import Explainer
    from melanoma_tf.classification.explain_output import Outcome

_PICTURES_OF_RECORDS = 50


@click.command()
@click.argument("images", nargs=-1, type=options.ANY_PATH, metavar="[IMAGE|DIR]...")
@options.run_dir(required=False)
@click.option("--model", type=options.FOLDER, help="Instead of a run: saved_models/NAME.")
@click.option("--output", type=options.FOLDER, required=True, help="The folder to make.")
@click.option(
    "--masks",
    "--lesion-masks",
    type=options.FOLDER,
    help="Images: folder with NAME_segmentation.png or NAME.png. Records bring their own.",
)
@click.option(
    "--records",
    type=options.FOLDER,
    multiple=True,
    help="Explain these, without image files; repeatable.  [default: those of the training]",
)
@options.split
@click.option("--errors", type=click.IntRange(min=1), metavar="N", help="Sheets of N mistakes.")
@click.option("--class", "class_name", help="The class of --errors.  [default: melanoma]")
@click.option(
    "--pictures",
    type=click.IntRange(min=0),
    help="How many images get a picture; the table has all.  [default: 50 of records]",
)
@click.option("--picture-size", type=click.IntRange(32, 1024), default=256, show_default=True)
@click.option(
    "--even", is_flag=True, help="Without the mesh that the published method lays over its maps."
)
@click.option(
    "--baseline", is_flag=True, help="Figures also of the same network with random weights."
)
@options.seed
@options.overwrite
def explain(
    images: tuple[Path, ...],
    run_dir: Path | None,
    model: Path | None,
    output: Path,
    **settings: Any,
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

    _check(images, run_dir, model, settings)
    inputs = [*images, run_dir, model, settings["masks"], *settings["records"]]
    refuse_existing(output, settings["overwrite"], [path for path in inputs if path])
    explainer = _load(run_dir, model, settings)
    if settings["errors"]:
        _explain_errors(explainer, output, settings)
    elif images:
        _explain_files(images, explainer, output, settings)
    else:
        _explain_records(explainer, output, settings)


def _check(
    images: tuple[Path, ...], run_dir: Path | None, model: Path | None, settings: dict[str, Any]
) -> None:
    if (run_dir is None) == (model is None):
        found = "both" if model else "neither"
        raise MelanomaError(f"expected either --run-dir or --model; found {found}")
    if settings["baseline"] and (model or settings["errors"]):
        raise MelanomaError("expected --baseline with --run-dir and without --errors")
    if settings["even"] and model:
        raise MelanomaError("expected --even with --run-dir; an exported model has one kind of map")
    if settings["class_name"] and not settings["errors"]:
        raise MelanomaError("expected --class with --errors only")
    if images and (settings["records"] or settings["errors"]):
        raise MelanomaError("expected either image files, or --records or --errors; found both")
    if settings["masks"] and not images:
        raise MelanomaError("expected --masks with image files only; records bring their own")


def _load(run_dir: Path | None, model: Path | None, settings: dict[str, Any]) -> Explainer:
    from melanoma_tf.classification.explain import load_run
    from melanoma_tf.serving.explainer import load_exported

    shown_px = settings["picture_size"]
    if run_dir is None:
        assert model is not None  # `_check` saw to it.
        return load_exported(model, shown_px=shown_px)
    return load_run(
        run_dir,
        shown_px=shown_px,
        even=settings["even"],
        untrained=settings["baseline"],
        seed=settings["seed"],
    )


def _explain_files(
    images: tuple[Path, ...], explainer: Explainer, output: Path, settings: dict[str, Any]
) -> None:
    from melanoma_tf.classification.explain_files import explained_files, files_and_masks

    paths, without = files_and_masks(images, settings["masks"])
    if without:
        warn(f"{len(without):,} of {len(paths):,} images have no mask, the first: {without[0]}")
    results = explained_files(explainer, paths, settings["masks"])
    outcome = _write(results, len(paths), explainer, output, settings, {})
    for failure in outcome.failures:
        click.echo(f"{failure.path}: {failure.reason}", err=True)
    if outcome.failures:
        raise MelanomaError(f"{len(outcome.failures)} of {len(paths)} files were not explained")


def _explain_records(explainer: Explainer, output: Path, settings: dict[str, Any]) -> None:
    from melanoma_tf.classification.explain import explained_records
    from melanoma_tf.records.record_set import RecordSet

    records, split = settings["records"] or explainer.records, settings["split"]
    if settings["pictures"] is None:
        settings["pictures"] = _PICTURES_OF_RECORDS
    records = RecordSet.read(records)
    results = explained_records(explainer, records, split)
    about = {"records": [str(folder) for folder in records.folders], "split": split}
    _write(results, records.count(split=split), explainer, output, settings, about)


def _write(
    results: Iterable[Any],
    total: int,
    explainer: Explainer,
    output: Path,
    settings: dict[str, Any],
    about: dict[str, Any],
) -> Outcome:
    from melanoma_tf.classification.explain_output import write_explanations

    outcome = write_explanations(
        progress(results, label="explain", total=total),
        explainer,
        output,
        about=about,
        **{name: settings[name] for name in ("pictures", "seed", "overwrite")},
    )
    _show(outcome.summary)
    click.echo(f"wrote {output}: {len(outcome.rows):,} images")
    return outcome


def _show(summary: dict[str, Any]) -> None:
    rows = []
    for group in ("all", "right", "wrong"):
        for region, mean in summary.get(group, {}).items():
            if mean is None:
                continue
            limits = mean["interval"]
            between = f" ({limits['low']:.2f} to {limits['high']:.2f})" if limits else ""
            shares = (f"{mean['area_fraction']:.1%}", f"{mean['saliency_fraction']:.1%}")
            ratio = f"{mean['ratio']:.2f}{between}"
            rows.append((group, region.replace("_", " "), mean["images"], *shares, ratio))
    if rows:
        columns = ("images", "region", "with it", "of the area", "of the saliency", "ratio (95 %)")
        table("Where the network looks", columns, rows)


def _explain_errors(explainer: Explainer, output: Path, settings: dict[str, Any]) -> None:
    from melanoma_tf.classification.explain_output import write_errors

    name = settings["class_name"] or "melanoma"
    found = write_errors(
        explainer,
        settings["records"] or explainer.records,
        output,
        class_name=name,
        count=settings["errors"],
        **{key: settings[key] for key in ("split", "overwrite")},
    )
    for kind, (shown, count) in found.items():
        click.echo(f"{kind.replace('_', ' ')} of {name}: {count:,}, {shown:,} of them shown")
    if any(shown for shown, _ in found.values()):
        click.echo(f"wrote {output}")
    else:
        click.echo(f"no mistakes to show; {output} was not written")


COMMANDS = (explain,)
