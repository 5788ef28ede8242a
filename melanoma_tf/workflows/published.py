"""Published numbers of Bisla et al. 2019: Tables 3, 4 and 6, Figure 11."""

from __future__ import annotations

from collections.abc import Mapping

# AUC of melanoma, and its mean with that of seborrheic keratosis.
TABLE_3: Mapping[str, tuple[float, float]] = {
    "baseline": (0.805, 0.873),
    "proposed": (0.880, 0.915),
    "winners of the challenge": (0.874, 0.911),
}
# Specificity for melanoma at these sensitivities.
SENSITIVITIES = ("0.82", "0.89", "0.95")
TABLE_4: Mapping[str, tuple[float, float, float]] = {
    "winner by average (Top AVG)": (0.729, 0.588, 0.366),
    "winner by seborrheic keratosis (Top SK)": (0.727, 0.555, 0.404),
    "winner by melanoma (Top M)": (0.747, 0.590, 0.395),
    "proposed": (0.697, 0.648, 0.492),
}
JACCARD = 0.77  # Of the segmentation network.
ACCURACY = 0.816  # Of three classes, Section 4.2.
# Purified copies by class, Section 3.2.2.
PURIFIED: Mapping[str, int] = {"melanoma": 147, "nevus": 470, "seborrheic_keratosis": 182}
# Accuracy, sensitivity and specificity on ISIC 2018, by purification of the test images.
TABLE_6: Mapping[str, tuple[float, float, float]] = {
    "none": (0.675, 0.561, 0.954),
    "network": (0.717, 0.754, 0.837),
}
# Training images of the ISIC 2018 experiment.
FIGURE_11: Mapping[str, int] = {
    "actinic_keratosis": 452,
    "basal_cell_carcinoma": 825,
    "benign_keratosis": 1833,
    "dermatofibroma": 187,
    "melanoma": 2285,
    "nevus": 9786,
    "vascular_lesion": 142,
}
