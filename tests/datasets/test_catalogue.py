from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import (
    SOURCES,
    list_source,
    option_names,
    parse_source,
    source_named,
)
from melanoma_tf.datasets.lesion import Lesion, Listing, taxonomy_named
from melanoma_tf.datasets.source import Source
from melanoma_tf.datasets.splits import group_lesions, known_links

NAMES = [source.name for source in SOURCES]


def test_a_source_as_the_command_line_names_it():
    request = parse_source("isic2017=data/isic=2017,a=b")
    assert (request.name, request.folder) == ("isic2017", Path("data/isic=2017,a=b"))
    assert request.options == {}


def test_options_of_a_source():
    request = parse_source("csv=my, data,image=file,attribution=Smith, J., 2020,diagnosis=dx")
    assert request.folder == Path("my, data")
    assert request.options == {
        "image": "file",
        "attribution": "Smith, J., 2020",
        "diagnosis": "dx",
    }


plain = st.text(st.characters(blacklist_characters=",\x00"), min_size=1)


@given(plain, st.dictionaries(st.sampled_from(option_names(source_named("csv"))), plain))
def test_options_come_back_as_they_were_given(folder, options):
    said = ",".join([f"csv={folder}", *(f"{name}={value}" for name, value in options.items())])
    request = parse_source(said)
    assert request.folder == Path(folder)
    assert request.options == options


@pytest.mark.parametrize("text", ["isic2017", "isic2017=", "=data", "isic1999=data", ""])
def test_another_form_is_refused(text):
    with pytest.raises(MelanomaError, match="expected"):
        parse_source(text)


def test_an_unknown_source_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(MelanomaError, match=r"expected a source out of isic2016.*'isic1999'"):
        list_source("isic1999", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_source_names_an_absent_and_an_empty_folder_in_one_line(name, tmp_path):
    with pytest.raises(MelanomaError, match=f"{name}: expected a folder at .* it does not exist$"):
        list_source(name, tmp_path / "absent")
    with pytest.raises(MelanomaError, match=f"{name}: expected data in .* the folder is empty$"):
        list_source(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_source_says_what_a_strange_folder_holds_instead(name, folder_of):
    with pytest.raises(MelanomaError, match=rf"{name}: expected .* found holiday\.pdf"):
        list_source(name, folder_of({"holiday.pdf": None}))


def test_options_are_for_the_sources_that_have_some(tmp_path):
    with pytest.raises(MelanomaError, match="isic2017: expected options out of: none"):
        list_source("isic2017", tmp_path, {"image": "file"})


def list_clinic(folder):
    lesions = [
        Lesion(path.stem, path, None, diagnosis, "clinic", "train")
        for diagnosis in ("melanoma", "nevus")
        for path in sorted(folder.glob(f"{diagnosis}-*.png"))
    ]
    return Listing("clinic", tuple(lesions))


def test_a_source_from_outside_the_package(folder_of):
    clinic = Source("clinic", list_clinic, licence="CC0-1.0", attribution="Our clinic, 2024")
    found = list_source(clinic, folder_of({"melanoma-1.png": None, "nevus-1.png": None}))
    assert [lesion.name for lesion in found.lesions] == ["clinic/melanoma-1", "clinic/nevus-1"]
    assert (found.licence, found.attribution) == ("CC0-1.0", "Our clinic, 2024")
    with pytest.raises(MelanomaError, match="clinic: expected options out of: none"):
        list_source(clinic, ".", {"image": "file"})
    with pytest.raises(MelanomaError, match="clinic: expected a source outside the catalogue"):
        list_source(Source("clinic", list_clinic, archive="isic"), ".")


def listing(source, *keys, links=()):
    lesions = tuple(Lesion(key, Path(key), None, "nevus", source, "train") for key in keys)
    return Listing(source, lesions, (), "", "", links)


def test_links_by_name_and_by_the_sources_own_lists():
    listings = [
        listing("isic2017", "ISIC_0000017", "ISIC_0000018"),
        listing("isic2019", "ISIC_0000017_downsampled", "ISIC_0000019"),
        listing("folder", "ISIC_0000019", "ISIC_1"),
        listing("isic2020", "ISIC_0000020", "ISIC_1", links=(("ISIC_0000020", "ISIC_0000018"),)),
    ]
    links = list(known_links(listings))
    assert links == [
        ("ISIC_0000017", "ISIC_0000017_downsampled"),
        ("ISIC_0000019", "ISIC_0000019"),
        ("ISIC_0000020", "ISIC_0000018"),
    ]
    lesions = [lesion for found in listings for lesion in found.lesions]
    groups = group_lesions(lesions, links)
    assert groups[0] == groups[2]
    assert groups[1] == groups[6]
    assert groups[3] == groups[4]
    assert len(set(groups)) == 5


def test_the_paper_s_three_classes(folder_of):
    """Section 3.3 takes the melanomas, common nevi and seborrheic keratoses of three sources."""
    ph2 = "|| Name || Clinical Diagnosis ||\n|| IMD1 || 0 ||\n|| IMD2 || 1 ||\n|| IMD3 || 2 ||\n"
    folder = folder_of(
        {
            "PH2_dataset.txt": ph2,
            **{f"IMD{n}/IMD{n}_Dermoscopic_Image/IMD{n}.bmp": None for n in (1, 2, 3)},
        }
    )
    dermofit = folder_of({f"{name}/{name}1.png": None for name in ("ML", "MEL", "SK", "BCC")}, "d")
    taxonomy = taxonomy_named("isic2017")
    lesions = [*list_source("ph2", folder).lesions, *list_source("dermofit", dermofit).lesions]
    assert {lesion.key: taxonomy.label(lesion.diagnosis) for lesion in lesions} == {
        "IMD1": 1, "IMD2": None, "IMD3": 0, "ML1": 1, "MEL1": 0, "SK1": 2, "BCC1": None,
    }  # fmt: skip
