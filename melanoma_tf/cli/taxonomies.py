"""`taxonomies`: the class of each diagnosis, and the diagnoses in a label file."""

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
    help="Count the diagnoses in an official label file; may be repeated.",
)
@click.option(
    "--add",
    "sources",
    multiple=True,
    metavar="NAME=DIR[,OPTION=VALUE...]",
    help="Count the diagnoses and missing images in a data set's folder; may be repeated.",
)
@click.option("--codes", is_flag=True, help="Also print the words that each data set uses.")
def taxonomies(files: tuple[Path, ...], sources: tuple[str, ...], codes: bool) -> None:
    """Print the class of each diagnosis in every taxonomy.

    Records of a taxonomy leave out the diagnoses that have no class in it.

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
    from melanoma_tf.datasets.diagnoses import TARGETS, TAXONOMY_NAMES
    from melanoma_tf.datasets.lesion import TAXONOMIES

    rows = [(name, *(target or "-" for target in targets)) for name, targets in TARGETS.items()]
    console.table("Class of each diagnosis", ("diagnosis", *TAXONOMY_NAMES), rows)
    classes = [(name, ", ".join(taxonomy.classes)) for name, taxonomy in TAXONOMIES.items()]
    console.table("Classes in the order of the outputs", ("taxonomy", "classes"), classes)
    if codes:
        console.table("Words of the sources", ("source", "word", "diagnosis"), _words())


def _words() -> list[tuple[str, str, str]]:
    """List the words of each vocabulary, once for sources that share it."""
    from melanoma_tf.datasets.catalogue import SOURCES

    vocabularies = [source.vocabulary for source in SOURCES if source.vocabulary is not None]
    distinct = [each for i, each in enumerate(vocabularies) if each not in vocabularies[:i]]
    return [
        (", ".join(one.name for one in SOURCES if one.vocabulary == vocabulary), word, diagnosis)
        for vocabulary in distinct
        for word, diagnosis in vocabulary.items()
    ]


def _print_label_file(path: Path) -> None:
    from melanoma_tf.datasets.catalogue import first_line, read_labels
    from melanoma_tf.datasets.sources.isic2020 import duplicate_pairs, is_duplicate_list

    if is_duplicate_list(first_line(path)):
        click.echo(f"{path}: {len(duplicate_pairs(path)):,} pairs of duplicates")
        return
    rows = read_labels(path)
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
    for title, keys in (("missing", listing.missing), ("without a row", listing.unlabelled)):
        if keys:
            more = ", ..." if len(keys) > 3 else ""
            click.echo(f"{title}: {', '.join(keys[:3])}{more}")
    console.warn_of_files(listing.passed_over)


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
