"""No cell runs in a spreadsheet, and every one comes back."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.csv_text import csv_text, escaped, unescaped


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back_and_none_is_a_formula(text):
    assert unescaped(escaped(text)) == text
    assert not escaped(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers():
    text = csv_text([["=cmd|' calc'!A0", -1.5, 2], ["+1+1", "-", "ISIC_0000000"]])
    assert list(csv.reader(io.StringIO(text))) == [
        ["'=cmd|' calc'!A0", "-1.5", "2"], ["'+1+1", "'-", "ISIC_0000000"],
    ]  # fmt: skip
