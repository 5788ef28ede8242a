"""Official label files as published, and predictions set beside them."""

import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import CLASSES
from melanoma_tf.evaluation.classes import in_columns
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.score import align_with_truth, groups_of, score_predictions
from melanoma_tf.evaluation.score_text import class_rows, remarks
from melanoma_tf.evaluation.truth import read_truth

ISIC2017 = ("melanoma", "nevus", "seborrheic_keratosis")
ISIC2018 = ("actinic_keratosis", "basal_cell_carcinoma", "benign_keratosis", "dermatofibroma",
            "melanoma", "nevus", "vascular_lesion")  # fmt: skip


@pytest.fixture
def truth(tmp_path):
    def read(text):
        path = tmp_path / "truth.csv"
        path.write_text(text)
        return read_truth(path)

    return read


def predictions_for(truth, class_names, seed=0, **options):
    scores = np.random.default_rng(seed).random((len(truth.image_ids), len(class_names)))
    return Predictions(truth.image_ids, scores, class_names, **options)


def counted(truth):
    counts = np.bincount(truth.labels[truth.labels >= 0], minlength=len(truth.class_names))
    return dict(zip(truth.class_names, counts.tolist()))


def test_isic2017_validation_implies_nevus(real_data):
    found = read_truth(real_data / "labels" / "ISIC-2017_Validation_Part3_GroundTruth.csv")
    assert counted(found) == {"melanoma": 30, "seborrheic_keratosis": 42, "nevus": 78}


def test_isic2018_codes_become_our_names_and_one_image_is_excluded(real_data):
    found = read_truth(real_data / "labels" / "ISIC2018_Task3_Test_GroundTruth.csv")
    assert set(found.class_names) == set(ISIC2018)
    assert len(found.image_ids) == 1512
    assert np.array(found.image_ids)[found.weights == 0].tolist() == ["ISIC_0035068"]
    labelled = align_with_truth(predictions_for(found, ISIC2018), found)
    assert labelled.excluded == ("ISIC_0035068",)
    result = score_predictions(labelled, rounds=0)
    assert result["n"] == 1511
    assert result["n_per_class"]["nevus"] == counted(found)["nevus"] - 1


def test_isic2018_columns_in_another_order_give_the_same_truth(real_data):
    """The training file's columns run AKIEC, BCC, ..., the test file's MEL, NV, ..."""
    found = read_truth(real_data / "labels" / "ISIC2018_Task3_Training_GroundTruth.csv")
    first = found.image_ids.index("ISIC_0027419")
    assert found.class_names[found.labels[first]] == "benign_keratosis"


def test_isic2019_has_eight_classes_and_an_empty_unknown(real_data):
    found = read_truth(real_data / "labels" / "ISIC_2019_Training_GroundTruth.csv")
    counts = counted(found)
    assert counts["melanoma"] == 4522
    assert counts["squamous_cell_carcinoma"] == 628
    assert counts["unknown"] == 0
    names = tuple(name for name in found.class_names if name != "unknown")
    assert align_with_truth(predictions_for(found, names), found).decide_classes


def test_isic2020_says_melanoma_or_not_and_knows_the_patient(real_data):
    found = read_truth(real_data / "labels" / "ISIC_2020_Training_GroundTruth.csv")
    assert counted(found) == {"melanoma": 584, "nevus": 5193, "seborrheic_keratosis": 135}
    labelled = align_with_truth(predictions_for(found, ISIC2017), found)
    groups, unit = groups_of(labelled)
    assert unit == "patient"
    assert groups.max() + 1 == 2056
    assert (labelled.membership[:, 0] >= 0).all()  # every image is a melanoma or is none
    result = score_predictions(labelled, rounds=0)
    assert result["n"] == 33126
    assert result["n_class_known"] == 5912
    assert np.sum(result["confusion_matrix"]) == 5912


def test_benign_without_diagnosis_counts_against_melanoma_alone(truth):
    found = truth(
        "image_name,patient_id,diagnosis,target\n"
        "a,p1,melanoma,1\nb,p1,nevus,0\nc,p2,unknown,0\nd,p2,lentigo NOS,0\n"
    )
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    result = score_predictions(
        align_with_truth(Predictions(tuple("abcd"), scores, ISIC2017), found), rounds=0
    )
    assert result["auc"]["melanoma"] == pytest.approx(2 / 3)
    assert result["auc"]["nevus"] == 1.0  # of a and b alone
    assert result["accuracy"] == 1.0


def test_score_weights_count_as_the_official_scorer_has_them(truth):
    found = truth("image,MEL,NV,score_weight,validation_weight\n"
                  "a,1,0,1,0\nb,0,1,2.5,1\nc,0,1,0.5,1\nd,1,0,0,1\n")  # fmt: skip
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    result = score_predictions(
        align_with_truth(Predictions(tuple("abcd"), scores, ("melanoma", "nevus")), found),
        rounds=50,
    )
    assert result["accuracy"] == pytest.approx(3.5 / 4)
    assert result["balanced_accuracy"] == pytest.approx((1 + 2.5 / 3) / 2)
    assert result["confusion_matrix"] == [[1, 0], [0.5, 2.5]]
    assert result["excluded"] == ["d"]
    assert result["interval"]["auc"]["melanoma"]["method"] == "bootstrap"


def test_plain_labels_with_patients(truth):
    found = truth("image_id,label,patient_id\na,nevus,p1\nb,melanoma,p1\nc,nevus,\n")
    labelled = align_with_truth(predictions_for(found, ISIC2017), found)
    assert labelled.predictions.labels.tolist() == [1, 0, 1]
    assert labelled.predictions.groups == ("p1", "p1", "")


def test_rows_in_another_order_are_matched_by_id(truth):
    found = truth("image,MEL,NV\na,1,0\nb,0,1\n")
    labelled = align_with_truth(
        Predictions(("b", "a"), np.eye(2)[::-1], ("melanoma", "nevus")), found
    )
    assert score_predictions(labelled, rounds=0)["accuracy"] == 1.0


def test_two_columns_of_isic2017_score_their_classes_but_decide_nothing(truth):
    found = truth("image_id,melanoma,seborrheic_keratosis\na,1,0\nb,0,1\nc,0,0\nd,0,0\n")
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.3], [0.95, 0.1]])
    names = ("melanoma", "seborrheic_keratosis")
    result = score_predictions(
        align_with_truth(Predictions(tuple("abcd"), scores, names), found), rounds=0
    )
    assert result["auc"] == {"melanoma": pytest.approx(2 / 3), "seborrheic_keratosis": 1.0}
    assert result["mean_auc_isic2017"] == pytest.approx(5 / 6)
    assert result["accuracy"] is None
    assert result["confusion_matrix"] is None
    assert "accuracy" in result["undefined"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name,MEL,NV\na,1,0\n", "image_id"),
        ("image\na\n", "column per class"),
        ("image,MEL,NV\na,1,0\na,0,1\n", "each image once, found a on lines 2 and 3"),
        ("image,MEL,NV\na,1,1\n", "expected one diagnosis"),
        ("image,MEL,NV\na,0,0\n", "expected one diagnosis"),
        ("image,MEL,NV\na,0.5,0.5\n", "0 or 1"),
        ("image,MEL,NV\na,yes,0\n", "'yes'"),
        ("image,MEL,NV,score_weight\na,1,0,-1\n", "weight"),
        ("image_id,melanoma,seborrheic_keratosis\na,1,1\n", "expected one diagnosis"),
        ("image_name,target\na,2\n", "target of 0 or 1"),
        ("image_name,diagnosis,target\na,melanoma,0\n", "target 1"),
        ("image_id,label\na,\n", "label of each image"),
    ],
)
def test_broken_truth_is_named_in_one_line(truth, text, named):
    with pytest.raises(MelanomaError) as error:
        truth(text)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_predictions_of_other_images_classes_or_labels_are_refused(truth):
    found = truth("image,MEL,NV\na,1,0\nb,0,1\n")
    names = ("melanoma", "nevus")
    with pytest.raises(MelanomaError, match=r"missing from the predictions: b; .*: c"):
        align_with_truth(Predictions(("a", "c"), np.eye(2), names), found)
    with pytest.raises(MelanomaError, match="unknown: wart"):
        align_with_truth(Predictions(("a", "b"), np.eye(2), ("melanoma", "wart")), found)
    with pytest.raises(MelanomaError, match="differ in b"):
        align_with_truth(Predictions(("a", "b"), np.eye(2), names, np.array([0, 0])), found)
    with pytest.raises(MelanomaError, match="found neither"):
        align_with_truth(Predictions(("a", "b"), np.eye(2), names))
    labels = truth("image_id,label\na,wart\nb,nevus\n")
    with pytest.raises(MelanomaError, match="missing: wart"):
        align_with_truth(Predictions(("a", "b"), np.eye(2), names), labels)


def test_seborrheic_keratosis_is_a_benign_keratosis_of_isic2018(truth):
    found = truth("image_id,label\na,seborrheic_keratosis\nb,nevus\n")
    labelled = align_with_truth(predictions_for(found, ISIC2018), found)
    assert [ISIC2018[label] for label in labelled.predictions.labels] == [
        "benign_keratosis",
        "nevus",
    ]


def test_a_single_column_of_melanoma_is_enough_for_isic2020(truth):
    found = truth("image_name,target\na,1\nb,0\nc,0\n")
    labelled = align_with_truth(
        Predictions(tuple("abc"), np.array([[0.5], [0.6], [0.1]]), ("melanoma",)), found
    )
    result = score_predictions(labelled, rounds=20)
    assert result["auc"] == {"melanoma": 0.5}
    assert result["accuracy"] is None
    assert result["interval"]["auc"]["melanoma"]["method"] == "bootstrap"


def test_truth_that_excludes_every_image_is_an_error(truth):
    found = truth("image,MEL,NV,score_weight\na,1,0,0\n")
    labelled = align_with_truth(Predictions(("a",), np.eye(2)[:1], ("melanoma", "nevus")), found)
    assert score_predictions(labelled, rounds=0)["n"] == 0
    with pytest.raises(MelanomaError, match="at least one image"):
        score_predictions(labelled, rounds=10)


def with_taxonomy(truth, taxonomy, seed=0):
    return predictions_for(truth, CLASSES[taxonomy], seed)


def test_every_benign_image_of_isic2020_is_no_melanoma(real_data):
    """Nevi and keratoses are of the class not_melanoma, like images without a diagnosis."""
    path = real_data / "labels" / "ISIC_2020_Training_GroundTruth.csv"
    found = read_truth(path)
    predictions = with_taxonomy(found, "melanoma")
    result = score_predictions(align_with_truth(predictions, found), rounds=0)
    target = np.loadtxt(path, str, delimiter=",", skiprows=1, usecols=7) == "1"
    scores = predictions.scores[:, 0]  # of not_melanoma
    assert result["specificity"]["not_melanoma"] == np.mean(scores[target] <= 0.5)
    assert result["sensitivity"]["not_melanoma"] == np.mean(scores[~target] > 0.5)
    decided = predictions.scores.argmax(axis=1) == target
    assert result["accuracy"] == np.mean(decided)
    assert result["balanced_accuracy"] == pytest.approx(
        (decided[target].mean() + decided[~target].mean()) / 2, abs=1e-15
    )
    assert np.sum(result["confusion_matrix"]) == 33126


@pytest.mark.parametrize(
    ("file", "melanomas", "others"),
    [
        ("ISIC-2017_Validation_Part3_GroundTruth.csv", 30, 120),
        ("ISIC2018_Task3_Test_GroundTruth.csv", 171, 1340),
        ("ISIC_2019_Training_GroundTruth.csv", 4522, 20809),
    ],
)
def test_melanoma_or_not_is_scored_against_every_challenge(real_data, file, melanomas, others):
    found = read_truth(real_data / "labels" / file)
    labelled = align_with_truth(with_taxonomy(found, "melanoma"), found)
    result = score_predictions(labelled, rounds=0)
    assert result["n_per_class"] == {"not_melanoma": others, "melanoma": melanomas}
    assert result["accuracy"] is not None


def test_diagnoses_without_a_class_are_named_and_count_against_every_class(truth):
    found = truth("image,MEL,NV,BCC,BKL\na,1,0,0,0\nb,0,1,0,0\nc,0,0,1,0\nd,0,0,0,1\n")
    scores = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.95, 0.0, 0.05], [0.2, 0.2, 0.6]])
    result = score_predictions(
        align_with_truth(Predictions(tuple("abcd"), scores, ISIC2017), found), rounds=0
    )
    assert result["without_class"] == {"basal_cell_carcinoma": 1, "benign_keratosis": 1}
    assert result["taxonomy"] == "isic2017"
    assert result["auc"]["melanoma"] == pytest.approx(2 / 3)  # c ranks above a
    # A benign keratosis may be seborrheic: it is no counter-example there.
    assert result["n_per_class"]["seborrheic_keratosis"] == 0
    assert result["accuracy"] == 1.0
    lines = list(remarks(result))
    assert any("basal_cell_carcinoma (1), benign_keratosis (1)" in line for line in lines)


def test_isic2019_parts_the_group_akiec_of_ham10000(truth):
    found = truth("image_id,dx\na,akiec\nb,nv\n")
    columns = in_columns(found, CLASSES["isic2019"])
    row = dict(zip(CLASSES["isic2019"], columns.membership[0].tolist()))
    assert (row["actinic_keratosis"], row["squamous_cell_carcinoma"]) == (-1, -1)
    assert row["melanoma"] == 0
    columns = in_columns(found, CLASSES["isic2018"])
    assert columns.labels.tolist() == [0, 5]


def test_unk_of_isic2019_is_a_class_of_its_own(truth):
    found = truth(
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\na,1,0,0,0,0,0,0,0,0\nb,0,0,0,0,0,0,0,0,1\n"
    )
    names = (*CLASSES["isic2019"], "unknown")
    assert in_columns(found, names).labels.tolist() == [4, 8]
    with pytest.raises(MelanomaError, match=r"missing: unknown \(1 images\)"):
        in_columns(found, CLASSES["isic2019"])


def test_isic2024_tells_malignant_from_benign(truth):
    found = truth("isic_id,patient_id,target,iddx_full\na,p,1,x\nb,p,0,x\nc,q,0,x\n")
    scores = np.array([[0.4], [0.6], [0.1]])
    labelled = align_with_truth(Predictions(tuple("abc"), scores, ("malignant",)), found)
    result = score_predictions(labelled, rounds=0)
    assert result["auc"] == {"malignant": 0.5}
    assert labelled.predictions.groups == ("p", "p", "q")
    assert result["top_15_retrieval_sensitivity"] == 1.0
    both = Predictions(tuple("abc"), np.hstack([1 - scores, scores]), ("benign", "malignant"))
    assert align_with_truth(both, found).labels.tolist() == [1, 0, 0]


def test_a_class_without_a_column_is_refused(truth):
    found = truth("image,MEL,NV,BCC\na,1,0,0\nb,0,1,0\nc,0,0,1\n")
    two = Predictions(tuple("abc"), np.eye(3)[:, :2], ("melanoma", "basal_cell_carcinoma"))
    with pytest.raises(MelanomaError, match=r"missing: nevus \(1 images\)"):
        align_with_truth(two, found)


def test_a_missing_row_of_an_excluded_image_is_missing(truth):
    found = truth("image,MEL,NV\na,1,0\nb,0,1\nISIC_0035068,0,1\n")
    with pytest.raises(MelanomaError, match="missing from the predictions: ISIC_0035068"):
        align_with_truth(Predictions(("a", "b"), np.eye(2), ("melanoma", "nevus")), found)


@pytest.mark.parametrize("source", ["", "isic2018/"])
def test_the_excluded_image_is_left_out_by_own_labels_too(source):
    ids = ("a", "b", f"{source}ISIC_0035068")
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]])
    predictions = Predictions(ids, scores, ("melanoma", "nevus"), np.array([0, 1, 1]))
    labelled = align_with_truth(predictions)
    assert labelled.excluded == (ids[2],)
    assert labelled.unlabelled == 0
    assert score_predictions(labelled, rounds=0)["balanced_accuracy"] == 1.0


@pytest.mark.parametrize(("factor", "guess"), [(100.0, "percentages"), (-3.0, "logits")])
def test_scores_outside_the_unit_interval_have_no_decision_at_05(truth, factor, guess):
    found = truth("image,MEL,NV\na,1,0\nb,0,1\n")
    predictions = Predictions(("a", "b"), factor * np.eye(2), ("melanoma", "nevus"))
    result = score_predictions(align_with_truth(predictions, found), rounds=0)
    for metric in ("sensitivity", "specificity", "ppv", "npv", "dice", "class_accuracy"):
        assert set(result[metric].values()) == {None}
        assert result["undefined"][f"{metric}.melanoma"] == "the scores are not all in [0, 1]"
    assert result["auc"]["melanoma"] is not None
    assert any(guess in line for line in remarks(result))
    assert not any("at 0.5" in title for title, _ in class_rows(result))


def test_validation_weights_give_scores_of_their_own(truth):
    found = truth(
        "image,MEL,NV,score_weight,validation_weight\na,1,0,1,0\nb,0,1,1,0\nc,1,0,0,1\nd,0,1,0,1\n"
    )
    scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.2, 0.8]])
    labelled = align_with_truth(Predictions(tuple("abcd"), scores, ("melanoma", "nevus")), found)
    result = score_predictions(labelled, rounds=0)
    assert result["balanced_accuracy"] == 1.0
    assert result["validation"]["balanced_accuracy"] == 0.5
    assert result["validation"]["mean_auc"] == 0.0
