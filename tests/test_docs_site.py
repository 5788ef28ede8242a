"""The site has every page of the documentation, and links that are right in it."""

import re
from pathlib import Path

import pytest

import melanoma_tf
from scripts.docs_hooks import PAGES, on_config, reference, relinked

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("place", "link", "expected"),
    [
        ("index.md", "[a](docs/tour.md)", "[a](tour.md)"),
        ("index.md", "[a](docs/data.md#masks)", "[a](data.md#masks)"),
        ("index.md", "![a](docs/figures/app.png)", "![a](figures/app.png)"),
        ("tour.md", "[a](data.md)", "[a](data.md)"),
        ("tour.md", "[a](#masks)", "[a](#masks)"),
        ("tour.md", "[a](../melanoma_tf/pretrained/segmenter.md#x)", "[a](models/segmenter.md#x)"),
        ("models/segmenter.md", "[a](../../docs/results.md)", "[a](../results.md)"),
        ("models/segmenter.md", "[a](classifier.md)", "[a](classifier.md)"),
        ("contributing.md", "[a](README.md)", "[a](index.md)"),
        ("tour.md", "[a](https://example.org/docs/a.md)", "[a](https://example.org/docs/a.md)"),
        ("tour.md", "[a](../setup.cfg)", "[a](../setup.cfg)"),
    ],
)
def test_links_lead_to_the_places_of_pages_in_the_site(place, link, expected):
    assert relinked(link, place) == expected


def test_the_navigation_has_every_page_once():
    navigation = (REPOSITORY / ".mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r": (\S+\.md)$", navigation, flags=re.MULTILINE)
    assert len(set(listed)) == len(listed)
    written = {path.name for path in (REPOSITORY / "docs").glob("*.md")}
    assert set(listed) <= {*written, *PAGES.values(), "reference.md"}
    assert set(PAGES.values()) <= set(listed)


def test_a_new_page_joins_the_guides():
    navigation = [{"Home": "index.md"}, {"Guides": [{"Data": "data.md"}]}]
    on_config({"nav": navigation})
    guides = navigation[1]["Guides"]
    assert guides[0] == {"Data": "data.md"}
    assert {"tour.md", "segmentation.md"} <= set(guides[1:])
    assert "data.md" not in guides[1:]


def test_the_reference_has_every_public_name():
    page = reference()
    for name in set(melanoma_tf.__all__) - {"__version__"}:
        assert f"heading: melanoma_tf.{name}," in page
    assert "::: melanoma_tf.serving.export.export_run\n" in page
