"""The report of the ISIC 2018 experiment: published numbers beside those of this run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.evaluation.report.data import findings
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.workflows import published, report, tasks
from melanoma_tf.workflows import report_figures as figures
from melanoma_tf.workflows import report_tables as tables
from melanoma_tf.workflows.isic2018 import GAN, GENERATED, NAME, TEST_PURIFICATIONS
from melanoma_tf.workflows.report import Block, Section, section, table, text

_COMPARED = {"": ("baseline", "proposed"), "-classical": ("none", "classical"),
             "-network": ("none", "network")}  # fmt: skip


def write_isic2018_report(
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
    sections = [
        report.differences(notes),
        *_score_sections(work.work_dir, results),
        *_data_sections(work.work_dir, results, classes),
        *report.appendix(work, raw, steps),
    ]
    subtitle = (
        "Purification network, coupled GANs and balanced batches, after Bisla et al. 2019, "
        f"Section 6. {results['test_images']:,} test images."
    )
    report.write_page(output, "ISIC 2018 experiment", subtitle, sections, results)


def collect(
    work: tasks.Tasks,
    notes: Sequence[str],
    steps: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
) -> dict[str, Any]:
    """Collect the content of `results.json`."""
    scores = report.read_scores(work.work_dir, ("baseline", *TEST_PURIFICATIONS))
    generated = {}
    if classes:
        manifest = read_manifest(work.work_dir / GENERATED)
        generated = manifest.findings["novelty_filter"]
    return {
        **report.common_results(NAME, work, notes, steps),
        "test_images": scores["proposed"]["n"],
        "scores": scores,
        "comparisons": {
            f"{first} to {second}": report.read_comparison(work.work_dir, suffix)
            for suffix, (first, second) in _COMPARED.items()
        },
        "generated": generated,
    }


def _score_sections(work_dir: Path, results: Mapping[str, Any]) -> list[Section]:
    scores = results["scores"]
    both = {name: scores[name] for name in ("baseline", "proposed")}
    compared = [
        table(tables.comparison(each, tables.COMPARED_2018, tuple(name.split(" to "))))
        for name, each in results["comparisons"].items()
    ]
    uncorrected = (
        "Paired differences on the same images. P-values are two-sided, and not corrected for the "
        "number of metrics."
    )
    return [
        section(
            "table-6",
            "Table 6: purification of the test images",
            table(tables.table_6(scores)),
            text("Of the proposed classifier. Sensitivity and specificity are means over the "
                 "classes: that of the class decided for each image, and at a probability of 0.5. "
                 "Brackets hold 95 % intervals of the bootstrap. The paper does not define its "
                 "three numbers, which a server computed on other images.", "soft"),
            compared[1:],
            text(uncorrected, "soft"),
        ),
        section(
            "comparison",
            "Baseline and proposed classifier",
            compared[0],
            text(uncorrected, "soft"),
            table(tables.class_areas(both)),
        ),
        section(
            "decisions",
            "ROC curves of melanoma and confusion matrices",
            report.charts(figures.roc_charts(work_dir, both, ("melanoma",))),
            *(report.charts([figures.confusion_chart(*each)]) for each in both.items()),
        ),
    ]  # fmt: skip


def _data_sections(
    work_dir: Path, results: Mapping[str, Any], classes: Sequence[str]
) -> list[Section]:
    purified = read_manifest(work_dir / tasks.PURIFIED)
    manifests = [purified, *([read_manifest(work_dir / GENERATED)] if classes else [])]
    return [
        section(
            "figure-10",
            "Figure 10: images purified by the network",
            figures.purified_block(work_dir / tasks.PURIFIED),
            table(tables.purified(purified)),
        ),
        section(
            "figure-11",
            "Figure 11: sizes of the classes",
            report.charts(figures.class_size_charts(manifests)),
            table(tables.class_sizes(results["images"], published.FIGURE_11)),
            text("Every batch of the proposed classifier holds equally many images of each class.",
                 "soft"),
        ),
        section("figure-12", "Figure 12B: images of the coupled GANs",
                *(_generated(work_dir, classes) if classes else [text("No image was generated.")])),
    ]  # fmt: skip


def _generated(work_dir: Path, classes: Sequence[str]) -> list[Block]:
    names = ", ".join(map(spoken, classes))
    words = findings(read_manifest(work_dir / GENERATED))
    return [
        report.sheet(
            figures.coupled_sheet(work_dir / GAN, work_dir / tasks.RAW),
            f"Generated images of each class: {names}",
            f"From left to right: {names}. First three rows: generated images, those of a row from "
            "one latent vector. Fourth row: the real images that are nearest to the third by mean "
            "squared error.",
        ),
        *(text(each, "soft") for each in words),
    ]
