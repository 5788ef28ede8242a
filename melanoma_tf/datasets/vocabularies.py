"""Words for the diagnoses that several data sets share."""

from __future__ import annotations

from melanoma_tf.datasets.diagnoses import AKIEC, TARGETS, Vocabulary

# Codes of HAM10000 and of the challenges that are built on it.
SEVEN_CODES: Vocabulary = {
    "mel": "melanoma",
    "nv": "nevus",
    "bcc": "basal_cell_carcinoma",
    "bkl": "benign_keratosis",
    "df": "dermatofibroma",
    "vasc": "vascular_lesion",
}

# Words of the ISIC archive, which ISIC 2020 and 2024 use too.
ARCHIVE_WORDS: Vocabulary = {
    # `diagnosis` of the archive until 2024, and in ISIC 2020
    "melanoma": "melanoma",
    "nevus": "nevus",
    "seborrheic_keratosis": "seborrheic_keratosis",
    "lichenoid_keratosis": "lichenoid_keratosis",
    "solar_lentigo": "solar_lentigo",
    "lentigo_nos": "lentigo",
    "lentigo_simplex": "lentigo",
    "cafe_au_lait_macule": "cafe_au_lait_macule",
    "atypical_melanocytic_proliferation": "atypical_melanocytic_proliferation",
    "pigmented_benign_keratosis": "benign_keratosis",
    "actinic_keratosis": "actinic_keratosis",
    "basal_cell_carcinoma": "basal_cell_carcinoma",
    "squamous_cell_carcinoma": "squamous_cell_carcinoma",
    "dermatofibroma": "dermatofibroma",
    "vascular_lesion": "vascular_lesion",
    "angioma": "haemangioma",
    # `diagnosis_1` to `diagnosis_5` of the archive since 2024, and `iddx_1` to `iddx_5`
    "benign": "benign",
    "malignant": "malignant",
    "indeterminate": "indeterminate",
    "malignant_melanocytic_proliferations_melanoma": "melanoma",
    "melanoma_in_situ": "melanoma",
    "melanoma_invasive": "melanoma",
    "melanoma_nos": "melanoma",
    # The challenges' class holds primary melanomas only, no metastases.
    "melanoma_metastasis": "malignant",
    "lichen_planus_like_keratosis": "lichenoid_keratosis",
    "solar_or_actinic_keratosis": "actinic_keratosis",
    "squamous_cell_carcinoma_in_situ": "intraepithelial_carcinoma",
    "squamous_cell_carcinoma_invasive": "squamous_cell_carcinoma",
    "squamous_cell_carcinoma_nos": "squamous_cell_carcinoma",
    "benign_soft_tissue_proliferations_vascular": "vascular_lesion",
    "hemangioma": "haemangioma",
    "pyogenic_granuloma": "pyogenic_granuloma",
    "atypical_intraepithelial_melanocytic_proliferation": "atypical_melanocytic_proliferation",
}

DERMOFIT_WORDS: Vocabulary = {
    "ak": "actinic_keratosis",
    "actinic_keratosis": "actinic_keratosis",
    "bcc": "basal_cell_carcinoma",
    "basal_cell_carcinoma": "basal_cell_carcinoma",
    "ml": "nevus",
    "melanocytic_nevus": "nevus",
    "melanocytic_naevus": "nevus",
    "melanocytic_nevus_mole": "nevus",
    "sk": "seborrheic_keratosis",
    "seborrhoeic_keratosis": "seborrheic_keratosis",
    "seborrheic_keratosis": "seborrheic_keratosis",
    "scc": "squamous_cell_carcinoma",
    "squamous_cell_carcinoma": "squamous_cell_carcinoma",
    "iec": "intraepithelial_carcinoma",
    "intraepithelial_carcinoma": "intraepithelial_carcinoma",
    "pyo": "pyogenic_granuloma",
    "pyogenic_granuloma": "pyogenic_granuloma",
    "vasc": "haemangioma",
    "haemangioma": "haemangioma",
    "hemangioma": "haemangioma",
    "df": "dermatofibroma",
    "dermatofibroma": "dermatofibroma",
    "mel": "melanoma",
    "malignant_melanoma": "melanoma",
}

HAM10000_CODES: Vocabulary = {**SEVEN_CODES, "akiec": AKIEC}

# Classes of MILK10k: challenge.isic-archive.com/landing/milk10k
MILK10K_CODES: Vocabulary = {
    **HAM10000_CODES,
    "sccka": "squamous_cell_carcinoma",  # keratoacanthomas among them
    "inf": "inflammation_or_infection",
    "ben_oth": "other_benign_lesion",
    "mal_oth": "other_malignant_lesion",
}

# Class folders and tables of the user may use any name that means one thing only.
ANY_WORDS: Vocabulary = {
    **{name: name for name in TARGETS},
    **DERMOFIT_WORDS,
    **ARCHIVE_WORDS,
    **MILK10K_CODES,
    "common_nevus": "nevus",
    "naevus": "nevus",
}
