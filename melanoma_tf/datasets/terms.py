"""Under which licence each source may be used, and whom to cite.

Sources: https://challenge.isic-archive.com/data (2016 to 2024), doi:10.7910/DVN/DBW86T (HAM10000),
https://www.fc.up.pt/addi/ph2%20database.html, https://licensing.edinburgh-innovations.ed.ac.uk
(Dermofit).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """A licence's short name, and the citation that it or good practice asks for."""

    licence: str
    attribution: str


_HAM10000 = (
    "Tschandl, Rosendahl, Kittler. The HAM10000 dataset, a large collection of multi-source"
    " dermatoscopic images of common pigmented skin lesions. Sci. Data 5:180161 (2018),"
    " doi:10.7910/DVN/DBW86T"
)
_ISIC2017 = (
    "Codella et al. Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 ISBI,"
    " hosted by ISIC. arXiv:1710.05006"
)

TERMS = {
    "isic2016": Terms(
        "CC0-1.0",
        "Gutman et al. Skin Lesion Analysis toward Melanoma Detection: A Challenge at ISBI 2016,"
        " hosted by ISIC. arXiv:1605.01397",
    ),
    "isic2017": Terms("CC0-1.0", _ISIC2017),
    "isic2018": Terms(
        "CC-BY-NC-4.0",
        "Codella et al. Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by"
        f" ISIC. arXiv:1902.03368; {_HAM10000}",
    ),
    "isic2019": Terms(
        "CC-BY-NC-4.0",
        "ISIC 2019: BCN_20000 (c) Department of Dermatology, Hospital Clinic de Barcelona,"
        " Combalia et al. arXiv:1908.02288; HAM10000 (c) ViDIR Group, Department of Dermatology,"
        f" Medical University of Vienna, {_HAM10000}; MSK (c) Anonymous, {_ISIC2017}",
    ),
    "isic2020": Terms(
        "CC-BY-NC-4.0",
        "International Skin Imaging Collaboration. SIIM-ISIC 2020 Challenge Dataset (2020),"
        " doi:10.34970/2020-ds01; Rotemberg et al. Sci. Data 8:34 (2021)",
    ),
    "isic2024": Terms(
        "CC-BY-NC-4.0",
        "International Skin Imaging Collaboration. SLICE-3D 2024 Challenge Dataset (2024),"
        " doi:10.34970/2024-slice-3d",
    ),
    "ham10000": Terms("CC-BY-NC-4.0", _HAM10000),
    "ph2": Terms(
        "research and educational use only",
        "Mendonca, Ferreira, Marques, Marcal, Rozeira. PH2 - A dermoscopic image database for"
        " research and benchmarking. EMBC 2013, doi:10.1109/EMBC.2013.6610779",
    ),
    "dermofit": Terms(
        "Dermofit licence agreement (University of Edinburgh), no redistribution",
        "Ballerini, Fisher, Aldridge, Rees. A Color and Texture Based Hierarchical K-NN Approach to"
        " the Classification of Non-melanoma Skin Lesions. Color Medical Image Analysis (2013),"
        " doi:10.1007/978-94-007-5389-1_4",
    ),
}
