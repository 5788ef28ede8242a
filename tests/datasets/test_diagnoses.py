import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import SOURCES
from melanoma_tf.datasets.diagnoses import CLASSES, TARGETS, diagnosis_of, slug
from melanoma_tf.datasets.lesion import TAXONOMIES, taxonomy_named
from melanoma_tf.datasets.vocabularies import (
    ANY_WORDS,
    ARCHIVE_WORDS,
    DERMOFIT_WORDS,
    HAM10000_CODES,
)

VOCABULARIES = [source.vocabulary for source in SOURCES]


def test_every_word_leads_to_a_diagnosis_of_the_table():
    assert {name for table in VOCABULARIES for name in table.values()} <= TARGETS.keys()


def test_words_are_keyed_as_they_are_looked_up():
    assert all(word == slug(word) for table in VOCABULARIES for word in table)


def test_no_word_of_ones_own_falls_into_another_class_than_the_source_s():
    for vocabulary in (DERMOFIT_WORDS, ARCHIVE_WORDS, HAM10000_CODES):
        for word, diagnosis in vocabulary.items():
            assert TARGETS[ANY_WORDS[word]] == TARGETS[diagnosis], word


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_a_diagnosis_and_each_target_is_a_class(name):
    assert set(TAXONOMIES[name].targets.values()) == set(CLASSES[name])


@pytest.mark.parametrize("name", ["isic2017", "isic2018", "isic2019"])
def test_a_diagnosis_called_after_a_class_is_in_it(name):
    taxonomy = taxonomy_named(name)
    assert [taxonomy.label(diagnosis) for diagnosis in taxonomy.classes] == list(
        range(len(taxonomy.classes))
    )


@pytest.mark.parametrize(
    ("levels", "target"),
    [
        # First and third level of the ISIC archive's diagnoses (isic_metadata, DiagnosisEnum).
        ("Malignant:Basal cell carcinoma", "malignant"),
        ("Malignant:Squamous cell carcinoma in situ", "malignant"),
        ("Malignant:Melanoma metastasis", "malignant"),
        ("Indeterminate:Solar or actinic keratosis", None),
        ("Indeterminate:Atypical intraepithelial melanocytic proliferation", None),
        ("Benign:Lentigo simplex", "benign"),
        ("Benign:Pyogenic granuloma", "benign"),
        ("Benign:Nevus", "benign"),
    ],
)
def test_malignancy_is_that_of_the_archive(levels, target):
    first, third = levels.split(":")
    diagnosis = diagnosis_of(ARCHIVE_WORDS, third)
    taxonomy = taxonomy_named("malignancy")
    assert taxonomy.targets.get(diagnosis) == target
    assert taxonomy.targets.get(diagnosis_of(ARCHIVE_WORDS, first)) == target


@pytest.mark.parametrize(
    ("vocabulary", "words", "diagnosis"),
    [
        (ARCHIVE_WORDS, "Café-au-lait  Macule", "cafe_au_lait_macule"),
        (ARCHIVE_WORDS, "Squamous cell carcinoma, Invasive", "squamous_cell_carcinoma"),
        (ARCHIVE_WORDS, "Malignant melanocytic proliferations (Melanoma)", "melanoma"),
        (DERMOFIT_WORDS, "Seborrhoeic Keratosis", "seborrheic_keratosis"),
        (ANY_WORDS, "NV", "nevus"),
        (ANY_WORDS, "wart", None),
    ],
)
def test_words_of_the_sources(vocabulary, words, diagnosis):
    assert diagnosis_of(vocabulary, words) == diagnosis


@given(st.text())
def test_a_slug_is_its_own_slug_and_safe_as_a_name(words):
    assert slug(slug(words)) == slug(words)
    assert set(slug(words)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_an_unknown_taxonomy_is_answered_with_the_known_ones():
    with pytest.raises(MelanomaError, match=r"isic2017, isic2018, .*, malignancy"):
        taxonomy_named("isic1999")
