from pathlib import Path

import pytest

from melanoma_tf.datasets.catalogue import list_source, parse_source
from melanoma_tf.errors import MelanomaError


def test_a_source_as_the_command_line_names_it():
    request = parse_source("isic2017=data/isic=2017")
    assert (request.name, request.folder) == ("isic2017", Path("data/isic=2017"))


@pytest.mark.parametrize("text", ["isic2017", "isic2017=", "=data", "isic1999=data", ""])
def test_another_form_is_refused(text):
    with pytest.raises(MelanomaError, match="expected"):
        parse_source(text)


def test_an_unknown_source_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(MelanomaError, match=r"expected a source out of isic2017.*'isic1999'"):
        list_source("isic1999", tmp_path)
