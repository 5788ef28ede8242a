"""`taxonomies`: which class each task makes of a diagnosis, and what a label file holds."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import console


@click.command("taxonomies")
@click.option(
    "--labels",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Count the diagnoses of an official label file instead; repeat for several.",
)
@click.option(
    "--add",
    "sources",
    multiple=True,
    metavar="NAME=DIR[,OPTION=VALUE...]",
    help="Count the diagnoses of a data set's folder instead, and its missing images.",
)
@click.option("--codes", is_flag=True, help="Also print each source's own words for the diagnoses.")
def taxonomies(files: tuple[Path, ...], sources: tuple[str, ...], codes: bool) -> None:
    """Print which class each taxonomy makes of a diagnosis.

    A diagnosis without a class in a taxonomy is left out of record folders of that taxonomy.

    \b
    Examples:
      melanoma-tf taxonomies
      melanoma-tf taxonomies --labels ISIC_2019_Training_GroundTruth.csv
      melanoma-tf taxonomies --add ham10000=DIR --add csv=DIR,image=file,diagnosis=dx
    """
    for path in files:
        _print_label_file(path)
    for text in sources:
        _print_source(text)
    if not files and not sources:
        _print_table(codes)


def _print_table(codes: bool) -> None:
    from melanoma_tf.datasets.diagnoses import CODES, TARGETS, TAXONOMY_NAMES
    from melanoma_tf.datasets.lesion import TAXONOMIES

    rows = [(name, *(target or "-" for target in targets)) for name, targets in TARGETS.items()]
    console.table("Class of each diagnosis", ("diagnosis", *TAXONOMY_NAMES), rows)
    classes = [(name, ", ".join(taxonomy.classes)) for name, taxonomy in TAXONOMIES.items()]
    console.table("Classes in the order of the outputs", ("taxonomy", "classes"), classes)
    if codes:
        words = [
            (source, word, diagnosis)
            for source, table in CODES.items()
            for word, diagnosis in table.items()
        ]
        console.table("Words of the sources", ("source", "word", "diagnosis"), words)


def _print_label_file(path: Path) -> None:
    from melanoma_tf.datasets.labels import duplicate_pairs, is_duplicate_list, read_labels
    from melanoma_tf.datasets.ph2 import read_ph2_labels

    is_ph2 = path.suffix.lower() in {".txt", ".xlsx"}
    if not is_ph2 and is_duplicate_list(path):
        click.echo(f"{path}: {len(duplicate_pairs(path)):,} pairs of duplicates")
        return
    rows = read_ph2_labels(path) if is_ph2 else read_labels(path)
    lesions = {row.lesion_id for row in rows if row.lesion_id}
    patients = {row.patient_id for row in rows if row.patient_id}
    said = [f"{len(rows):,} images"]
    said += [f"{len(lesions):,} lesions"] if lesions else []
    said += [f"{len(patients):,} patients"] if patients else []
    _print_counts(f"{path}: {', '.join(said)}", [row.diagnosis for row in rows])


def _print_source(text: str) -> None:
    from melanoma_tf.datasets.catalogue import list_source, parse_source

    request = parse_source(text)
    listing = list_source(request.name, request.folder, request.options)
    lesions = {lesion.lesion_id for lesion in listing.lesions if lesion.lesion_id}
    said = f"{len(listing.lesions):,} images, {len(listing.missing):,} missing"
    said += f", {len(lesions):,} lesions" if lesions else ""
    _print_counts(
        f"{listing.name}: {said} ({listing.licence})",
        [lesion.diagnosis for lesion in listing.lesions],
    )
    if listing.missing:
        more = ", ..." if len(listing.missing) > 3 else ""
        click.echo(f"missing: {', '.join(listing.missing[:3])}{more}")


def _print_counts(title: str, diagnoses: list[str]) -> None:
    from collections import Counter

    from melanoma_tf.datasets.diagnoses import TAXONOMY_NAMES
    from melanoma_tf.datasets.lesion import TAXONOMIES

    rows = [
        (name, count, *(TAXONOMIES[task].targets.get(name, "-") for task in TAXONOMY_NAMES))
        for name, count in sorted(Counter(diagnoses).items())
    ]
    click.echo(title)
    console.table("", ("diagnosis", "images", *TAXONOMY_NAMES), rows)


COMMANDS: tuple[click.Command, ...] = (taxonomies,)
