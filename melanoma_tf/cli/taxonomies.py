"""`taxonomies`: the class of each diagnosis, and the diagnoses in a label file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import console
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.datasets.image_files import PassedOver, describe


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
@json_output("the classes, or the counts of --labels and --add,")
def taxonomies(
    files: tuple[Path, ...], sources: tuple[str, ...], codes: bool, save_json: SaveJson
) -> None:
    """Print the class of each diagnosis in every taxonomy.

    Records of a taxonomy leave out the diagnoses that have no class in it.

    \b
    Examples:
      melanoma-tf taxonomies
      melanoma-tf taxonomies --labels ISIC_2019_Training_GroundTruth.csv
      melanoma-tf taxonomies --add ham10000=DIR --add csv=DIR,image=file,diagnosis=dx
    """
    if not files and not sources:
        save_json(_classes(codes))
        _print_table(codes)
        return
    counted = [_label_file(path) for path in files] + [_source(text) for text in sources]
    save_json([each.to_json() for each in counted])
    for each in counted:
        each.print()


@dataclass(frozen=True)
class _Counted:
    """What a label file or a data set holds.

    Attributes:
        title: for people.
        facts: its numbers, for scripts.
        diagnoses: how many images have each; None of a list of duplicates.
        notes: lines below the table.
        passed_over: files that are not used.
    """

    title: str
    facts: dict[str, Any]
    diagnoses: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**self.facts, **({"diagnoses": self.diagnoses} if self.diagnoses else {})}

    def print(self) -> None:
        from melanoma_tf.datasets.diagnoses import TAXONOMY_NAMES
        from melanoma_tf.datasets.lesion import TAXONOMIES

        click.echo(self.title)
        if self.diagnoses is not None:
            rows = [
                (name, count, *(TAXONOMIES[task].targets.get(name, "-") for task in TAXONOMY_NAMES))
                for name, count in self.diagnoses.items()
            ]
            console.table("", ("diagnosis", "images", *TAXONOMY_NAMES), rows)
        for note in self.notes:
            click.echo(note)
        console.warn_of_files(self.passed_over)


def _classes(codes: bool) -> dict[str, Any]:
    from melanoma_tf.datasets.diagnoses import TARGETS, TAXONOMY_NAMES
    from melanoma_tf.datasets.lesion import TAXONOMIES

    words = [dict(zip(("source", "word", "diagnosis"), row)) for row in _words()] if codes else None
    return {
        "taxonomies": {name: list(taxonomy.classes) for name, taxonomy in TAXONOMIES.items()},
        "diagnoses": {name: dict(zip(TAXONOMY_NAMES, row)) for name, row in TARGETS.items()},
        **({"words": words} if codes else {}),
    }


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


def _label_file(path: Path) -> _Counted:
    from melanoma_tf.datasets.catalogue import first_line, read_labels
    from melanoma_tf.datasets.sources.isic2020 import duplicate_pairs, is_duplicate_list

    if is_duplicate_list(first_line(path)):
        pairs = len(duplicate_pairs(path))
        facts = {"labels": str(path), "duplicate_pairs": pairs}
        return _Counted(f"{path}: {pairs:,} pairs of duplicates", facts)
    rows = read_labels(path)
    lesions = len({row.lesion_id for row in rows if row.lesion_id})
    patients = len({row.patient_id for row in rows if row.patient_id})
    said = [f"{len(rows):,} images"]
    said += [f"{lesions:,} lesions"] if lesions else []
    said += [f"{patients:,} patients"] if patients else []
    facts = {
        "labels": str(path), "images": len(rows), "lesions": lesions, "patients": patients,
    }  # fmt: skip
    counts = _counts(row.diagnosis for row in rows)
    return _Counted(f"{path}: {', '.join(said)}", facts, counts)


def _source(text: str) -> _Counted:
    from melanoma_tf.datasets.catalogue import list_source, parse_source

    request = parse_source(text)
    listing = list_source(request.name, request.folder, request.options)
    lesions = len({lesion.lesion_id for lesion in listing.lesions if lesion.lesion_id})
    said = f"{len(listing.lesions):,} images, {len(listing.missing):,} missing"
    said += f", {lesions:,} lesions" if lesions else ""
    notes = tuple(
        f"{title}: {', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}"
        for title, keys in (("missing", listing.missing), ("without a row", listing.unlabelled))
        if keys
    )
    facts = {
        "source": listing.name, "folder": str(request.folder), "licence": listing.licence,
        "images": len(listing.lesions), "lesions": lesions, "missing": list(listing.missing),
        "unlabelled": list(listing.unlabelled), "passed_over": list(describe(listing.passed_over)),
    }  # fmt: skip
    counts = _counts(lesion.diagnosis for lesion in listing.lesions)
    title = f"{listing.name}: {said} ({listing.licence})"
    return _Counted(title, facts, counts, notes, tuple(listing.passed_over))


def _counts(diagnoses: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(diagnoses).items()))


COMMANDS: tuple[click.Command, ...] = (taxonomies,)
