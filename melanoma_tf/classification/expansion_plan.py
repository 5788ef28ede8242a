"""Expansion plans: how a training set grows, Bisla et al. 2019, Section 3.3 and Figure 7.

Scarce classes are mirrored once, real and generated images alike; purified copies are not. Then
everything is multiplied by vertical flips and crops. `classification.sampling` makes epochs of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json
from melanoma_tf.datasets.diagnoses import CLASSES
from melanoma_tf.records.schema import ORIGINS

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class View:
    """One deterministic view of an image, which may have been mirrored before.

    Attributes:
        flipped: top to bottom.
        row, column: where the square crop lies in the room that the image leaves it, in [0, 1]: 0
            at the top or the left, 0.5 in the middle, 1 at the bottom or the right.
    """

    flipped: bool = False
    row: float = 0.5
    column: float = 0.5


# The paper's x6: crops in the middle and at two corners, each as it is and flipped.
_CROPS = ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0))
SIX_VIEWS = tuple(View(flipped, *place) for flipped in (False, True) for place in _CROPS)


@dataclass(frozen=True)
class ExpansionPlan:
    """Views in which images are seen.

    Attributes:
        mirrored: by class, the origins whose images are mirrored left-right once.
        views: every image, and every mirror image, is seen once in each.
    """

    mirrored: Mapping[str, tuple[str, ...]]
    views: tuple[View, ...] = SIX_VIEWS

    def check_classes(self, class_names: Iterable[str]) -> None:
        """Raise `MelanomaError` where classes are not those that the plan is for."""
        found = list(class_names)
        if set(found) != set(self.mirrored):
            fits = [name for name, p in EXPANSION_PLANS.items() if set(p.mirrored) == set(found)]
            raise MelanomaError(
                f"expected the classes {', '.join(self.mirrored)}; found {', '.join(found)}"
                + (f", which the expansion {fits[0]} is for" if fits else "")
            )

    def sightings(self, class_name: str, origin: str) -> int:
        """Return how often an image is seen in an epoch."""
        return len(self.views) * self.copies(class_name, origin)

    def copies(self, class_name: str, origin: str) -> int:
        """2 where images of the class and origin are mirrored, else 1."""
        return 2 if origin in self.mirrored[class_name] else 1


def _all_but(abundant: str, taxonomy: str) -> ExpansionPlan:
    """The paper's plan for another taxonomy: all classes are scarce but one."""
    scarce = ("real", "generated")
    return ExpansionPlan({name: () if name == abundant else scarce for name in CLASSES[taxonomy]})


EXPANSION_PLANS: dict[str, ExpansionPlan] = {
    "isic2017": _all_but("nevus", "isic2017"),
    "isic2018": _all_but("nevus", "isic2018"),
    "isic2019": _all_but("nevus", "isic2019"),
    "milk10k": _all_but("nevus", "milk10k"),
    "melanoma": _all_but("not_melanoma", "melanoma"),
    "malignancy": _all_but("benign", "malignancy"),
}

# The paper's own: ISIC 2017, PH2 and Dermofit; what was purified and generated of them.
PAPER_COUNTS: dict[str, Counts] = {
    "isic2017": {
        "melanoma": {"real": 803 + 40 + 76, "purified": 147, "generated": 350},
        "nevus": {"real": 2107 + 80 + 331, "purified": 470, "generated": 0},
        "seborrheic_keratosis": {"real": 288 + 257, "purified": 182, "generated": 750},
    }
}


@dataclass(frozen=True)
class Growth:
    """A class, stage by stage.

    Attributes:
        class_name: its name.
        real, purified, generated: images to begin with.
        mirrored: examples once mirror images are added.
        examples: examples in an epoch.
        generated_examples: those of them that are generated.
    """

    class_name: str
    real: int
    purified: int
    generated: int
    mirrored: int
    examples: int
    generated_examples: int


def expansion_plan_named(name: str) -> ExpansionPlan:
    """Return the expansion plan of a name.

    Raises:
        MelanomaError: no plan has this name.
    """
    if name not in EXPANSION_PLANS:
        raise MelanomaError(
            f"expected an expansion out of {', '.join(EXPANSION_PLANS)}; found {name}"
        )
    return EXPANSION_PLANS[name]


def grow(counts: Counts, plan: ExpansionPlan) -> tuple[Growth, ...]:
    """Apply a plan to the counts of images by class and origin, in the counts' order.

    Raises:
        MelanomaError: other classes than the plan's, an unknown origin, or no whole number.
    """
    plan.check_classes(counts)
    return tuple(_grow(name, row, plan) for name, row in counts.items())


def _grow(class_name: str, row: Mapping[str, int], plan: ExpansionPlan) -> Growth:
    _check(class_name, row)
    images = {origin: row.get(origin, 0) for origin in ORIGINS}
    seen = {origin: count * plan.copies(class_name, origin) for origin, count in images.items()}
    mirrored = sum(seen.values())
    return Growth(
        class_name,
        **images,
        mirrored=mirrored,
        examples=mirrored * len(plan.views),
        generated_examples=seen["generated"] * len(plan.views),
    )


def _check(class_name: str, row: Mapping[str, int]) -> None:
    if not isinstance(row, Mapping):
        raise MelanomaError(f"{class_name}: expected counts by origin; found {row!r}")
    for origin, count in row.items():
        if origin not in ORIGINS:
            raise MelanomaError(
                f"{class_name}: expected an origin out of {', '.join(ORIGINS)}; found {origin}"
            )
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise MelanomaError(
                f"{class_name}: expected a whole number of {origin} images; found {count!r}"
            )


def generated_fraction(rows: tuple[Growth, ...]) -> float:
    """The fraction of generated examples in an epoch, in [0, 1]; 0 without examples."""
    total = sum(row.examples for row in rows)
    return sum(row.generated_examples for row in rows) / total if total else 0.0


def read_counts(path: Path) -> Counts:
    """Counts from a JSON file, `{"melanoma": {"real": 919, "purified": 147}, ...}`.

    Raises:
        MelanomaError: there is no such file, or it is no JSON object.
    """
    counts = read_json(path)
    if not isinstance(counts, dict):
        raise MelanomaError(f"{path}: expected counts by class; found a {type(counts).__name__}")
    return counts
