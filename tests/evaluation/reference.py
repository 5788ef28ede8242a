"""The published definitions, written plainly over scikit-learn: what our metrics must equal."""

import numpy as np
from sklearn import metrics


def auc_above_sensitivity(truth, score, weight, sensitivity):
    """ISIC 2018: area under the part of the ROC curve from the sensitivity on."""
    false_rate, true_rate, _ = metrics.roc_curve(
        truth, score, sample_weight=weight, drop_intermediate=False
    )
    first = int(np.searchsorted(true_rate, sensitivity, side="left"))
    start = np.interp(
        sensitivity, true_rate[first - 1 : first + 1], false_rate[first - 1 : first + 1]
    )
    x, y = np.insert(false_rate[first:], 0, start), np.insert(true_rate[first:], 0, sensitivity)
    return metrics.auc(x, y)


def partial_auc_2024(truth, score, weight, min_tpr):
    """ISIC 2024: swap the classes, so that scikit-learn's partial area at low false positive
    rates is the one at high sensitivity, and undo its scaling."""
    limit = abs(1 - min_tpr)
    scaled = metrics.roc_auc_score(1 - truth, -score, max_fpr=limit, sample_weight=weight)
    lowest = 0.5 * limit**2
    return lowest + (limit - lowest) / 0.5 * (scaled - 0.5)


def specificity_at_sensitivity(truth, score, weight, sensitivity):
    """ISIC 2017: at the first point of the ROC curve that reaches the sensitivity."""
    false_rate, true_rate, _ = metrics.roc_curve(
        truth, score, sample_weight=weight, drop_intermediate=False
    )
    return 1 - false_rate[true_rate >= sensitivity][0]


def class_metrics(truth, score, weight=None, min_tpr=0.8):
    """One class against the rest; `truth` int 0 or 1, both there."""
    called = (score > 0.5).astype(int)
    common = {"sample_weight": weight, "zero_division": np.nan}
    values = {
        "auc": metrics.roc_auc_score(truth, score, sample_weight=weight),
        "class_accuracy": metrics.accuracy_score(truth, called, sample_weight=weight),
        "average_precision": metrics.average_precision_score(truth, score, sample_weight=weight),
        "auc_above_sensitivity_80": auc_above_sensitivity(truth, score, weight, 0.8),
        "partial_auc_isic2024": partial_auc_2024(truth, score, weight, min_tpr),
        "sensitivity": metrics.recall_score(truth, called, **common),
        "specificity": metrics.recall_score(1 - truth, 1 - called, **common),
        "ppv": metrics.precision_score(truth, called, **common),
        "npv": metrics.precision_score(1 - truth, 1 - called, **common),
        "dice": metrics.f1_score(truth, called, **common),
    }
    for sensitivity in (0.82, 0.89, 0.95):
        values[f"specificity_at_sensitivity/{sensitivity}"] = specificity_at_sensitivity(
            truth, score, weight, sensitivity
        )
    return values


def calibration_error(labels, scores, bins=15):
    """Guo et al. 2017, equal bins (low, high] of the largest probability."""
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    total = 0.0
    for index in range(bins):
        inside = (confidence > index / bins) & (confidence <= (index + 1) / bins)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return total / len(labels)


def task_metrics(labels, scores, names, min_tpr=0.8):
    """All metrics by path, for images of which each class has some and no row has a tie."""
    values = {}
    for index, name in enumerate(names):
        truth = (labels == index).astype(int)
        for metric, value in class_metrics(truth, scores[:, index], min_tpr=min_tpr).items():
            first, _, rest = metric.partition("/")
            values[(first, name, rest) if rest else (first, name)] = value
    values[("mean_auc",)] = np.mean([values["auc", name] for name in names])
    decided = scores.argmax(axis=1)
    values[("accuracy",)] = metrics.accuracy_score(labels, decided)
    values[("balanced_accuracy",)] = metrics.balanced_accuracy_score(labels, decided)
    values[("expected_calibration_error",)] = calibration_error(labels, scores)
    values[("brier_score",)] = ((scores - np.eye(len(names))[labels]) ** 2).sum(axis=1).mean()
    return values
