"""Diagnoses and the class of each in every taxonomy.

`TARGETS` maps a diagnosis to its class in each taxonomy. A source's `Vocabulary` maps its own words
to diagnoses. Words and diagnoses outside the tables have no class: they are counted, named and left
out of records.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

# A source's own word, as `slug` writes it -> diagnosis.
Vocabulary = Mapping[str, str]

TAXONOMY_NAMES = ("isic2017", "isic2018", "isic2019", "melanoma", "milk10k", "malignancy")

_MEL, _NV, _SK, _BKL = "melanoma", "nevus", "seborrheic_keratosis", "benign_keratosis"
_AK, _BCC, _SCC = "actinic_keratosis", "basal_cell_carcinoma", "squamous_cell_carcinoma"
_DF, _VASC, _NOT = "dermatofibroma", "vascular_lesion", "not_melanoma"
_INF, _BEN, _MAL = "inflammation_or_infection", "other_benign_lesion", "other_malignant_lesion"
_BENIGN, _MALIGN = "benign", "malignant"
AKIEC = "actinic_keratosis_or_intraepithelial_carcinoma"

# Diagnosis -> its class in each of TAXONOMY_NAMES, or None. Reasons for the choices that the names
# do not explain:
# - isic2017 knows three diagnoses (challenge.isic-archive.com/landing/2017/44). HAM10000's group
#   of benign keratoses also holds lesions other than seborrheic ones, so it has no class there.
# - atypical_nevus is PH2's label alone. The paper's three-class set takes 80 nevi from PH2
#   (Section 3.3), which are the common ones; the NV of HAM10000 covers all variants of nevi
#   (doi:10.1038/sdata.2018.161), so in seven and eight classes the atypical ones are nevi.
# - isic2018 follows HAM10000: AKIEC holds actinic keratoses and intraepithelial carcinoma (Bowen),
#   BKL also solar lentigo and lichenoid keratosis, VASC also pyogenic granuloma. Invasive squamous
#   cell carcinoma is in none of them.
# - isic2019 parts AKIEC: of its 327 images the official file calls 130 AK and 197 SCC, so the group
#   as such has no class there, and Bowen's disease, a carcinoma in situ, counts as SCC.
# - milk10k: AKIEC is "actinic keratosis / intraepidermal carcinoma", SCCKA squamous cell carcinoma
#   or keratoacanthoma, BKL "benign keratinocytic lesion"
#   (challenge.isic-archive.com/landing/milk10k).
# - melanoma uses the challenges' own verdict where only `benign` is known. MILK10k's other
#   malignant lesions include collision tumours, which may be melanomas in part.
# - malignancy follows the first level of the ISIC archive's diagnoses (github.com/ImageMarkup/
#   isic-metadata): carcinoma in situ is malignant, actinic keratoses and atypical proliferations
#   are indeterminate and have no class, nor has AKIEC, which holds carcinomas and keratoses.
TARGETS: dict[str, tuple[str | None, ...]] = {
    # diagnosis                            isic2017 isic2018 isic2019 melanoma milk10k  malignancy
    "melanoma":                            (_MEL,    _MEL,    _MEL,    _MEL,    _MEL,    _MALIGN),
    "nevus":                               (_NV,     _NV,     _NV,     _NOT,    _NV,     _BENIGN),
    "atypical_nevus":                      (None,    _NV,     _NV,     _NOT,    _NV,     _BENIGN),
    "seborrheic_keratosis":                (_SK,     _BKL,    _BKL,    _NOT,    _BKL,    _BENIGN),
    "benign_keratosis":                    (None,    _BKL,    _BKL,    _NOT,    _BKL,    _BENIGN),
    "solar_lentigo":                       (None,    _BKL,    _BKL,    _NOT,    _BKL,    _BENIGN),
    "lichenoid_keratosis":                 (None,    _BKL,    _BKL,    _NOT,    _BKL,    _BENIGN),
    "actinic_keratosis":                   (None,    _AK,     _AK,     _NOT,    _AK,     None),
    AKIEC:                                 (None,    _AK,     None,    _NOT,    _AK,     None),
    "intraepithelial_carcinoma":           (None,    _AK,     _SCC,    _NOT,    _AK,     _MALIGN),
    "squamous_cell_carcinoma":             (None,    None,    _SCC,    _NOT,    _SCC,    _MALIGN),
    "basal_cell_carcinoma":                (None,    _BCC,    _BCC,    _NOT,    _BCC,    _MALIGN),
    "dermatofibroma":                      (None,    _DF,     _DF,     _NOT,    _DF,     _BENIGN),
    "vascular_lesion":                     (None,    _VASC,   _VASC,   _NOT,    _VASC,   _BENIGN),
    "haemangioma":                         (None,    _VASC,   _VASC,   _NOT,    _VASC,   _BENIGN),
    "pyogenic_granuloma":                  (None,    _VASC,   _VASC,   _NOT,    _VASC,   _BENIGN),
    "lentigo":                             (None,    None,    None,    _NOT,    None,    _BENIGN),
    "cafe_au_lait_macule":                 (None,    None,    None,    _NOT,    None,    _BENIGN),
    "atypical_melanocytic_proliferation":  (None,    None,    None,    _NOT,    None,    None),
    "inflammation_or_infection":           (None,    None,    None,    _NOT,    _INF,    _BENIGN),
    "other_benign_lesion":                 (None,    None,    None,    _NOT,    _BEN,    _BENIGN),
    "other_malignant_lesion":              (None,    None,    None,    None,    _MAL,    _MALIGN),
    "benign":                              (None,    None,    None,    _NOT,    None,    _BENIGN),
    "malignant":                           (None,    None,    None,    None,    None,    _MALIGN),
    "indeterminate":                       (None,    None,    None,    None,    None,    None),
    "unknown":                             (None,    None,    None,    None,    None,    None),
}  # fmt: skip

# In the order of the model's outputs.
CLASSES: dict[str, tuple[str, ...]] = {
    "isic2017": (_MEL, _NV, _SK),
    "isic2018": (_AK, _BCC, _BKL, _DF, _MEL, _NV, _VASC),
    "isic2019": (_AK, _BCC, _BKL, _DF, _MEL, _NV, _SCC, _VASC),
    "melanoma": (_NOT, _MEL),
    "milk10k": (_AK, _BCC, _BKL, _DF, _INF, _MEL, _NV, _BEN, _MAL, _SCC, _VASC),
    "malignancy": (_BENIGN, _MALIGN),
}


def slug(words: str) -> str:
    """Normalise words to ASCII: `Café-au-lait Macule` becomes `cafe_au_lait_macule`."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def diagnosis_of(vocabulary: Vocabulary, words: str) -> str | None:
    """Look up the diagnosis that a source's own words mean.

    Args:
        vocabulary: see `Vocabulary`.
        words: as the source writes them; letter case and punctuation do not matter.

    Returns:
        The diagnosis, None where the vocabulary lacks the words.
    """
    return vocabulary.get(slug(words))
