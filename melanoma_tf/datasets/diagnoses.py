"""The one table of diagnoses: what each source's words mean, and which class a task makes of them.

`TARGETS` leads from a diagnosis to its class in each taxonomy, `CODES` from a source's own words
to a diagnosis. What is not in the tables has no class: it is counted, named and left out.
"""

from __future__ import annotations

import re
import unicodedata

TAXONOMY_NAMES = ("isic2017", "isic2018", "isic2019", "melanoma")

_MEL, _NV, _SK, _BKL = "melanoma", "nevus", "seborrheic_keratosis", "benign_keratosis"
_AK, _BCC, _SCC = "actinic_keratosis", "basal_cell_carcinoma", "squamous_cell_carcinoma"
_DF, _VASC, _NOT = "dermatofibroma", "vascular_lesion", "not_melanoma"
_AKIEC = "actinic_keratosis_or_intraepithelial_carcinoma"

# Diagnosis -> its class in each of TAXONOMY_NAMES; None where it has none. The choices that are
# not plain from the names, and their grounds:
# - isic2017 knows three diagnoses (challenge.isic-archive.com/landing/2017/44). HAM10000's group
#   of benign keratoses holds other lesions beside seborrheic ones, so it has no class there.
# - atypical_nevus is PH2's label alone. The paper's three-class set takes 80 nevi from PH2
#   (Section 3.3), which are the common ones; the NV of HAM10000 covers all variants of nevi
#   (doi:10.1038/sdata.2018.161), so in seven and eight classes the atypical ones are nevi.
# - isic2018 follows HAM10000: AKIEC holds actinic keratoses and intraepithelial carcinoma (Bowen),
#   BKL also solar lentigo and lichenoid keratosis, VASC also pyogenic granuloma. Invasive squamous
#   cell carcinoma is in none of them.
# - isic2019 parts AKIEC: of its 327 images the official file calls 130 AK and 197 SCC, so the group
#   as such has no class there, and Bowen's disease, a carcinoma in situ, counts as SCC.
# - melanoma takes the challenges' own verdict where it is `benign` and no more.
TARGETS: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    # diagnosis                          isic2017 isic2018 isic2019 melanoma
    "melanoma":                           (_MEL,   _MEL,   _MEL,   _MEL),
    "nevus":                              (_NV,    _NV,    _NV,    _NOT),
    "atypical_nevus":                     (None,   _NV,    _NV,    _NOT),
    "seborrheic_keratosis":               (_SK,    _BKL,   _BKL,   _NOT),
    "benign_keratosis":                   (None,   _BKL,   _BKL,   _NOT),
    "solar_lentigo":                      (None,   _BKL,   _BKL,   _NOT),
    "lichenoid_keratosis":                (None,   _BKL,   _BKL,   _NOT),
    "actinic_keratosis":                  (None,   _AK,    _AK,    _NOT),
    _AKIEC:                               (None,   _AK,    None,   _NOT),
    "intraepithelial_carcinoma":          (None,   _AK,    _SCC,   _NOT),
    "squamous_cell_carcinoma":            (None,   None,   _SCC,   _NOT),
    "basal_cell_carcinoma":               (None,   _BCC,   _BCC,   _NOT),
    "dermatofibroma":                     (None,   _DF,    _DF,    _NOT),
    "vascular_lesion":                    (None,   _VASC,  _VASC,  _NOT),
    "haemangioma":                        (None,   _VASC,  _VASC,  _NOT),
    "pyogenic_granuloma":                 (None,   _VASC,  _VASC,  _NOT),
    "lentigo":                            (None,   None,   None,   _NOT),
    "cafe_au_lait_macule":                (None,   None,   None,   _NOT),
    "atypical_melanocytic_proliferation": (None,   None,   None,   _NOT),
    "benign":                             (None,   None,   None,   _NOT),
    "malignant":                          (None,   None,   None,   None),
    "indeterminate":                      (None,   None,   None,   None),
    "unknown":                            (None,   None,   None,   None),
}  # fmt: skip

# In the order of the model's outputs.
CLASSES: dict[str, tuple[str, ...]] = {
    "isic2017": (_MEL, _NV, _SK),
    "isic2018": (_AK, _BCC, _BKL, _DF, _MEL, _NV, _VASC),
    "isic2019": (_AK, _BCC, _BKL, _DF, _MEL, _NV, _SCC, _VASC),
    "melanoma": (_NOT, _MEL),
}

_SEVEN = {"mel": _MEL, "nv": _NV, "bcc": _BCC, "bkl": _BKL, "df": _DF, "vasc": _VASC}
_ARCHIVE = {
    # `diagnosis` of the archive until 2024, and in ISIC 2020
    "melanoma": _MEL,
    "nevus": _NV,
    "seborrheic_keratosis": _SK,
    "lichenoid_keratosis": "lichenoid_keratosis",
    "solar_lentigo": "solar_lentigo",
    "lentigo_nos": "lentigo",
    "lentigo_simplex": "lentigo",
    "cafe_au_lait_macule": "cafe_au_lait_macule",
    "atypical_melanocytic_proliferation": "atypical_melanocytic_proliferation",
    "pigmented_benign_keratosis": _BKL,
    "actinic_keratosis": _AK,
    "basal_cell_carcinoma": _BCC,
    "squamous_cell_carcinoma": _SCC,
    "dermatofibroma": _DF,
    "vascular_lesion": _VASC,
    "angioma": "haemangioma",
    # `diagnosis_1` to `diagnosis_5` of the archive since 2024, and `iddx_1` to `iddx_5`
    "benign": "benign",
    "malignant": "malignant",
    "indeterminate": "indeterminate",
    "malignant_melanocytic_proliferations_melanoma": _MEL,
    "melanoma_in_situ": _MEL,
    "melanoma_invasive": _MEL,
    "melanoma_nos": _MEL,
    # A metastasis is no primary melanoma, of which the challenges' class consists.
    "melanoma_metastasis": "malignant",
    "lichen_planus_like_keratosis": "lichenoid_keratosis",
    "solar_or_actinic_keratosis": _AK,
    "squamous_cell_carcinoma_in_situ": "intraepithelial_carcinoma",
    "squamous_cell_carcinoma_invasive": _SCC,
    "squamous_cell_carcinoma_nos": _SCC,
    "benign_soft_tissue_proliferations_vascular": _VASC,
    "hemangioma": "haemangioma",
    "pyogenic_granuloma": "pyogenic_granuloma",
    "atypical_intraepithelial_melanocytic_proliferation": "atypical_melanocytic_proliferation",
}
_DERMOFIT = {
    "ak": _AK,
    "actinic_keratosis": _AK,
    "bcc": _BCC,
    "basal_cell_carcinoma": _BCC,
    "ml": _NV,
    "melanocytic_nevus": _NV,
    "melanocytic_naevus": _NV,
    "melanocytic_nevus_mole": _NV,
    "sk": _SK,
    "seborrhoeic_keratosis": _SK,
    "seborrheic_keratosis": _SK,
    "scc": _SCC,
    "squamous_cell_carcinoma": _SCC,
    "iec": "intraepithelial_carcinoma",
    "intraepithelial_carcinoma": "intraepithelial_carcinoma",
    "pyo": "pyogenic_granuloma",
    "pyogenic_granuloma": "pyogenic_granuloma",
    "vasc": "haemangioma",
    "haemangioma": "haemangioma",
    "hemangioma": "haemangioma",
    "df": _DF,
    "dermatofibroma": _DF,
    "mel": _MEL,
    "malignant_melanoma": _MEL,
}

# Vocabulary -> the source's own word, as `slug` writes it -> diagnosis.
CODES: dict[str, dict[str, str]] = {
    # "malignant (melanoma) or non-malignant": challenge.isic-archive.com/landing/2016/39
    "isic2016": {"benign": "benign", "malignant": _MEL, "0_0": "benign", "1_0": _MEL},
    "isic2017": {"melanoma": _MEL, "nevus": _NV, "seborrheic_keratosis": _SK},
    "isic2018": {**_SEVEN, "akiec": _AKIEC},
    "isic2019": {**_SEVEN, "ak": _AK, "scc": _SCC, "unk": "unknown"},
    "ham10000": {**_SEVEN, "akiec": _AKIEC},
    "isic-archive": _ARCHIVE,
    "ph2": {"0": _NV, "1": "atypical_nevus", "2": _MEL},
    "dermofit": _DERMOFIT,
    # Class folders and tables of one's own may use any name that means one thing only.
    "words": {
        **{name: name for name in TARGETS},
        **_DERMOFIT,
        **_ARCHIVE,
        **_SEVEN,
        "akiec": _AKIEC,
        "common_nevus": _NV,
        "naevus": _NV,
    },
}


def slug(words: str) -> str:
    """`Café-au-lait Macule` -> `cafe_au_lait_macule`."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def diagnosis_of(vocabulary: str, words: str) -> str | None:
    """The diagnosis that a source's own words mean, None where the table has none.

    Args:
        vocabulary: a key of `CODES`.
        words: as the source writes them; letter case and punctuation do not matter.
    """
    return CODES[vocabulary].get(slug(words))
