"""Class frequencies as an option gives them."""

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.prevalence import check_prevalence, read_prevalence, shown_prevalence

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def test_fractions_come_in_the_order_of_the_classes():
    given = " nevus=7e-1,melanoma = 0.1,seborrheic_keratosis=.2"
    check_prevalence(given)
    found = read_prevalence(given, NAMES)
    assert list(found.items()) == [("melanoma", 0.1), ("nevus", 0.7), (NAMES[2], 0.2)]
    assert shown_prevalence(found) == "melanoma 0.1, nevus 0.7, seborrheic_keratosis 0.2"
    assert read_prevalence("equal", NAMES) == dict.fromkeys(NAMES, 1 / 3)
    assert read_prevalence(None, NAMES) is None
    assert read_prevalence("a=b=0.25,c=0.75", ("a=b", "c")) == {"a=b": 0.25, "c": 0.75}
    # A third has no decimal fraction.
    assert sum(read_prevalence("a=0.333333,b=0.333333,c=0.333333", "abc").values()) < 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("melanoma=0.1,nevus=0.9", "found no seborrheic_keratosis"),
        ("melanoma=0.1,nevus=0.5,bcc=0.4", "found no seborrheic_keratosis"),
        ("melanoma=0.1,nevus=0.5,seborrheic_keratosis=0.3,bcc=0.1", "found unknown bcc"),
        ("melanoma=0.5,melanoma=0.5", "each class once; found melanoma twice"),
        ("melanoma=0.1,nevus=0.5,seborrheic_keratosis=0.3", "adds up to 1; found a sum of 0.9"),
        ("melanoma=0,nevus=0.5,seborrheic_keratosis=0.5", "values above 0; found 'melanoma=0'"),
        ("melanoma=-1,nevus=2", "found 'melanoma=-1'"),
        ("melanoma=nan,nevus=1", "found 'melanoma=nan'"),
        ("melanoma=inf", "found 'melanoma=inf'"),
        ("natural", "expected a prevalence of equal, or NAME=VALUE .* found 'natural'"),
        ("=1", "found '=1'"),
        ("", "found ''"),
    ],
)
def test_what_is_no_prevalence_of_the_classes_is_one_line(given, message):
    with pytest.raises(MelanomaError, match=message) as caught:
        read_prevalence(given, NAMES)
    assert "\n" not in str(caught.value)
