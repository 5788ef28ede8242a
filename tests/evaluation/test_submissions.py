"""Files as the challenges publish their forms: names, order, digits, and no column too many."""

import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import CLASSES
from melanoma_tf.evaluation.predictions import Predictions, read_predictions
from melanoma_tf.evaluation.settings import SUBMISSION_FORMATS
from melanoma_tf.evaluation.submissions import (
    FORMATS,
    mean_by_image,
    submission_csv,
    write_submission,
)


def predictions_of(taxonomy, n_images=3, seed=0):
    names = CLASSES[taxonomy]
    scores = np.random.default_rng(seed).dirichlet(np.ones(len(names)), n_images)
    ids = tuple(f"ISIC_{index:07d}" for index in range(n_images))
    return Predictions(ids, scores, names, np.zeros(n_images, int), ("p",) * n_images)


def test_the_options_are_the_formats():
    assert tuple(FORMATS) == SUBMISSION_FORMATS


@pytest.mark.parametrize(
    ("name", "taxonomy", "header"),
    [
        ("isic2016", "isic2017", None),
        ("isic2017", "isic2017", "image_id,melanoma,seborrheic_keratosis"),
        ("isic2018", "isic2018", "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"),
        ("isic2019", "isic2019", "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"),
        ("isic2020", "melanoma", "image_name,target"),
        ("isic2024", "isic2019", "isic_id,target"),
        (
            "milk10k",
            "milk10k",
            "lesion_id,AKIEC,BCC,BEN_OTH,BKL,DF,INF,MAL_OTH,MEL,NV,SCCKA,VASC",
        ),
    ],
)
def test_columns_are_the_challenges_own(tmp_path, name, taxonomy, header):
    predictions = predictions_of(taxonomy)
    lines = submission_csv(predictions, name).splitlines()
    assert len(lines) == 3 + (header is not None)
    if header:
        assert lines[0] == header
    path = tmp_path / "submission.csv"
    write_submission(path, predictions, name)
    read = read_predictions(path)
    assert read.image_ids == predictions.image_ids
    for index, class_name in enumerate(read.class_names):
        if class_name in predictions.class_names:
            column = predictions.class_names.index(class_name)
            np.testing.assert_array_equal(read.scores[:, index], predictions.scores[:, column])


def test_position_decides_in_2017():
    """Melanoma second and seborrheic keratosis third: what that scorer reads by position."""
    predictions = Predictions(("a",), np.array([[0.2, 0.7, 0.1]]), CLASSES["isic2017"])
    assert submission_csv(predictions, "isic2017").splitlines()[1] == "a,0.2,0.1"


def test_isic2024_adds_up_the_malignant_classes():
    scores = np.zeros((1, 8))
    names = CLASSES["isic2019"]
    for name, value in (("melanoma", 0.25), ("basal_cell_carcinoma", 0.5), ("nevus", 0.25)):
        scores[0, names.index(name)] = value
    text = submission_csv(Predictions(("a",), scores, names), "isic2024")
    assert text == "isic_id,target\na,0.75\n"


def test_whole_numbers_keep_a_decimal_point_and_unk_is_zero():
    scores = np.eye(8)[[4]]
    line = submission_csv(Predictions(("a",), scores, CLASSES["isic2019"]), "isic2019")
    assert line.splitlines()[1] == "a,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0"


@pytest.mark.parametrize(
    ("name", "taxonomy"),
    [
        ("isic2017", "isic2018"),
        ("isic2017", "melanoma"),
        ("isic2018", "isic2017"),
        ("isic2018", "isic2019"),
        ("isic2019", "isic2018"),
        ("milk10k", "isic2019"),
    ],
)
def test_classes_of_another_challenge_are_refused(name, taxonomy):
    with pytest.raises(MelanomaError, match=f"expected the classes of {name} .* for a file of"):
        submission_csv(predictions_of(taxonomy), name)


def test_scores_out_of_range_and_images_of_one_name_are_refused():
    logits = Predictions(("a",), np.array([[3.0, -1.0, 0.0]]), CLASSES["isic2017"])
    with pytest.raises(MelanomaError, match=r"scores in \[0, 1\] for isic2017; found -1 to 3"):
        submission_csv(logits, "isic2017")
    twice = Predictions(("x/a", "y/a"), np.full((2, 3), 1 / 3), CLASSES["isic2017"])
    with pytest.raises(MelanomaError, match="more than once: a"):
        submission_csv(twice, "isic2017")


def test_images_of_a_lesion_are_averaged():
    found = mean_by_image(["l1", "l2", "l1"], np.array([[0.0], [1.0], [0.5]]), ("melanoma",))
    assert found.image_ids == ("l1", "l2")
    assert found.scores.tolist() == [[0.25], [1.0]]
