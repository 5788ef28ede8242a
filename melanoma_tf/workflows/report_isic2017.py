"""The report of the ISIC 2017 experiment: published numbers beside those of this run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.core.files import read_json
from melanoma_tf.evaluation.predictions import read_predictions
from melanoma_tf.evaluation.report.data import findings
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.evaluation.score_text import shown
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.workflows import published, report, tasks
from melanoma_tf.workflows import report_figures as figures
from melanoma_tf.workflows import report_pictures as pictures
from melanoma_tf.workflows import report_tables as tables
from melanoma_tf.workflows.isic2017 import NAME, generated_records
from melanoma_tf.workflows.report import Block, Section, section, table, text

CLASSIFIERS = ("baseline", "proposed")
_ROC_CLASSES = ("melanoma", "seborrheic_keratosis")


def write_isic2017_report(
    work: tasks.Tasks,
    notes: Sequence[str],
    steps: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    output: Path,
) -> None:
    """Write `report.html` and `results.json` of a finished experiment.

    Args:
        work: whose steps are done.
        notes: what differs from the paper.
        steps: per step its `name`, `output`, `seconds` and `attempts`.
        classes: of which images were generated.
        output: the folder to appear.
    """
    results = collect(work, notes, steps, classes)
    raw = read_manifest(work.work_dir / tasks.RAW)
    outlined = pictures.outlines(
        work.work_dir / tasks.SEGMENTER,
        work.work_dir / tasks.RAW,
        rounds=work.settings.rounds,
        seed=work.settings.seed,
    )
    results["segmentation"] = None if outlined is None else outlined.scores
    sections = [
        report.differences(notes),
        *_score_sections(results),
        *_in_order(
            *_saliency_sections(work.work_dir),
            _outlines_section(outlined),
            *_data_sections(work.work_dir, results, classes),
            _decisions_section(work.work_dir, results["scores"]),
        ),
        *report.appendix(work, raw, steps),
    ]
    subtitle = (
        "Data purification and augmentation, after Bisla et al. 2019. "
        f"{results['test_images']:,} test images."
    )
    report.write_page(output, "ISIC 2017 experiment", subtitle, sections, results)


def collect(
    work: tasks.Tasks,
    notes: Sequence[str],
    steps: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
) -> dict[str, Any]:
    """Collect the content of `results.json`."""
    scores = report.read_scores(work.work_dir, CLASSIFIERS)
    generated: dict[str, Any] = {}
    for name in classes:
        manifest = read_manifest(work.work_dir / generated_records(name))
        generated |= manifest.findings["novelty_filter"]
    return {
        **report.common_results(NAME, work, notes, steps),
        "test_images": scores["proposed"]["n"],
        "scores": scores,
        "comparison": report.read_comparison(work.work_dir),
        "expansion": read_json(work.work_dir / tasks.EXPANSION / "expansion.json"),
        "generated": generated,
    }


def _score_sections(results: Mapping[str, Any]) -> list[Section]:
    scores = results["scores"]
    return [
        section(
            "table-3",
            "Table 3: areas under the ROC curve",
            table(tables.table_3(scores)),
            text("Brackets hold 95 % intervals: DeLong's for one class, of the bootstrap for the "
                 "mean.", "soft"),
        ),
        section(
            "table-4",
            "Table 4: specificity at sensitivity",
            table(tables.table_4(scores)),
            text("Of melanoma against the rest. Brackets hold 95 % intervals of the bootstrap.",
                 "soft"),
        ),
        section(
            "comparison",
            "Baseline and proposed classifier",
            table(tables.comparison(results["comparison"], tables.COMPARED_2017)),
            text("Proposed less baseline, on the same images. P-values are two-sided, and not "
                 "corrected for the number of metrics. The paper has an accuracy of "
                 f"{published.ACCURACY} (Section 4.2).", "soft"),
        ),
    ]  # fmt: skip


def _in_order(*sections: Section) -> list[Section]:
    """Sort sections on figures by their numbers."""
    return sorted(sections, key=lambda each: each.identifier)


def _decisions_section(work_dir: Path, scores: Mapping[str, Any]) -> Section:
    return section(
        "figure-9",
        "Figure 9: ROC curves and confusion matrix",
        text("One class against the rest."),
        report.charts(figures.roc_charts(work_dir, scores, _ROC_CLASSES)),
        report.charts([figures.confusion_chart(*each) for each in scores.items()]),
    )


def _saliency_sections(work_dir: Path) -> list[Section]:
    raw = work_dir / tasks.RAW
    occluded = pictures.occluded_saliency(work_dir / tasks.BASELINE, raw, work_dir / tasks.PURIFIED)
    predictions = read_predictions(work_dir / tasks.EVALUATION / "proposed" / "predictions.csv")
    decided = pictures.decisions_saliency(work_dir / tasks.PROPOSED, raw, predictions)
    return [
        section(
            "figure-2",
            "Figure 2: what the baseline looks at",
            text("No test image is occluded.")
            if occluded is None
            else report.sheet(
                occluded,
                "Occluded test images above their saliency maps",
                "Top: the most occluded test images. Bottom: VisualBackProp of the baseline, with "
                "the outline of the lesion.",
            ),
        ),
        section(
            "figure-8",
            "Figure 8: what the proposed classifier looks at",
            report.sheet(
                decided,
                "Test images beside their saliency maps, by class and by kind of decision",
                "The most confident decision of each kind, beside VisualBackProp of the proposed "
                "classifier, with the outline of the lesion.",
            ),
        ),
    ]


def _outlines_section(outlined: pictures.Outlines | None) -> Section:
    title = "Figure 4B: outlines of lesions"
    if outlined is None:
        return section("figure-4", title, text("No test image has a mask."))
    scores = outlined.scores
    exact, rowwise = (
        shown(scores[name]["mean"], scores[name]["interval"])
        for name in ("jaccard", "jaccard_rowwise_2018")
    )
    return section(
        "figure-4",
        title,
        report.sheet(
            outlined.png,
            "Test images, outlines of their masks, and outlines that the segmenter found",
            "Top: test images. Middle: outlines of their masks. Bottom: those that the segmenter "
            "found.",
        ),
        text(f"Mean Jaccard index of {scores['n']:,} test images: {exact}; row by row, as the code "
             f"of the paper computes it: {rowwise}. The paper has {published.JACCARD}.", "soft"),
    )  # fmt: skip


def _data_sections(
    work_dir: Path, results: Mapping[str, Any], classes: Sequence[str]
) -> list[Section]:
    expansion = results["expansion"]
    purified = read_manifest(work_dir / tasks.PURIFIED)
    generated = 100 * expansion["generated_fraction"]
    return [
        section(
            "figure-3",
            "Figure 3: purified images",
            figures.purified_block(work_dir / tasks.PURIFIED),
            table(tables.purified(purified, published.PURIFIED)),
        ),
        section(
            "figure-5",
            "Figures 5B and 6: generated images",
            (block for name in classes for block in _generated(work_dir, name)),
            None if classes else text("No image was generated."),
        ),
        section(
            "figure-7",
            "Figure 7: growth of the training set",
            report.charts(figures.growth_charts(expansion)),
            table(tables.growth(expansion)),
            text(f"Generated examples: {generated:.0f} % here, 26 % in the paper.", "soft"),
        ),
    ]


def _generated(work_dir: Path, class_name: str) -> Iterator[Block]:
    folder = work_dir / generated_records(class_name)
    yield Block("heading", spoken(class_name))
    yield from figures.novelty_blocks(folder, class_name)
    for words in findings(read_manifest(folder)):
        yield text(words, "soft")
