"""How training batches are made of records, as settings; `classification.sampling` acts by them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from melanoma_tf.augmentation.settings import CLASSIFIER_PRESETS, ClassifierAugmentation, preset
from melanoma_tf.classification.expansion_plan import ORIGINS, ExpansionPlan, recipe_named
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet

BALANCES = ("none", "batch")


@dataclass(frozen=True)
class BatchSettings:
    """Which training images are seen how often, and in which views.

    Attributes:
        origins: only images of these, out of `real`, `purified` and `generated`; () for all.
        plan: name of a growth recipe (`classification.expansion_plan`): an epoch then holds every
            image in the recipe's views, in place of random crops and flips. "" for none.
        balance: `batch` draws equally many of each class into every mini-batch (Bisla et al. 2019,
            Section 6.3): a class is used up before any of it is seen again, so that scarce ones
            are seen more often. `none` sees every image equally often.
        generated_fraction: with balanced batches, the largest share of generated images among those
            of a class, in expectation; a class that has fewer is seen as it is. None for no limit.
        augmentation: how images are varied.

    Raises:
        MelanomaError: an unknown name, a share out of [0, 1), or settings that exclude each other.
    """

    origins: tuple[str, ...] = ()
    plan: str = ""
    balance: str = "none"
    generated_fraction: float | None = None
    augmentation: ClassifierAugmentation = field(default_factory=ClassifierAugmentation)

    def __post_init__(self) -> None:
        unknown = [name for name in self.origins if name not in ORIGINS]
        if unknown:
            raise MelanomaError(f"expected origins out of {', '.join(ORIGINS)}; found {unknown[0]}")
        if self.balance not in BALANCES:
            raise MelanomaError(
                f"expected balance out of {', '.join(BALANCES)}; found {self.balance}"
            )
        if self.plan:
            recipe_named(self.plan)
            if self.balance != "none":
                raise MelanomaError(
                    "expected a plan or balanced batches; found both, and a plan says itself how "
                    "often an image is seen"
                )
        if self.generated_fraction is None:
            return
        if not 0.0 <= self.generated_fraction < 1.0:
            raise MelanomaError(
                f"expected a generated share within [0, 1); found {self.generated_fraction}"
            )
        if self.balance != "batch":
            raise MelanomaError(
                "expected balanced batches (--balance batch) with a generated share; found "
                f"balance {self.balance}"
            )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> BatchSettings:
        """The settings that a run's `config.json` holds."""
        fields = {**values, "origins": tuple(values.get("origins", ()))}
        if "augmentation" in values:
            fields["augmentation"] = ClassifierAugmentation(**values["augmentation"])
        return cls(**fields)

    @property
    def recipe(self) -> ExpansionPlan | None:
        """The growth recipe, where there is one."""
        return recipe_named(self.plan) if self.plan else None

    def count(self, records: RecordSet, class_name: str, *origins: str) -> int:
        """Training images of a class, of the origins wanted (and given, where any are)."""
        wanted = [one for one in self.origins or ORIGINS if not origins or one in origins]
        return sum(
            records.count(split="train", class_name=class_name, origin=one) for one in wanted
        )

    def examples_by_class(self, records: RecordSet) -> list[int]:
        """Examples of an epoch by class: the images, or what a plan makes of them.

        With balanced batches an epoch is as long as the images are many.

        Raises:
            MelanomaError: the plan is for other classes.
        """
        recipe = self.recipe
        if recipe is None:
            return [self.count(records, name) for name in records.class_names]
        recipe.check_classes(records.class_names)
        return [
            sum(self.count(records, name, one) * recipe.sightings(name, one) for one in ORIGINS)
            for name in records.class_names
        ]

    def images(self, records: RecordSet) -> int:
        """Training images, of the origins wanted."""
        return sum(self.count(records, name) for name in records.class_names)

    def check(self, records: RecordSet) -> None:
        """Raise `MelanomaError` where these records cannot make such batches.

        That is: no training image is of the origins wanted, a class has none to balance with, the
        plan is for other classes, or the generated share has nothing to limit.
        """
        names = records.class_names
        if not self.images(records):
            wanted = f" of origin {' or '.join(self.origins)}" if self.origins else ""
            raise MelanomaError(f"{records}: expected training images{wanted}; there are none")
        self.examples_by_class(records)
        if self.balance == "batch":
            origins = () if self.generated_fraction is None else ("real", "purified")
            absent = [name for name in names if not self.count(records, name, *origins)]
            if absent:
                kind = "real or purified training" if origins else "training"
                raise MelanomaError(
                    f"{records}: expected {kind} images of every class for balanced batches; "
                    f"there are none of {', '.join(absent)}"
                )
        if self.generated_fraction is not None and not any(
            self.count(records, name, "generated") for name in names
        ):
            raise MelanomaError(
                f"{records}: expected generated training images with a generated share of "
                f"{self.generated_fraction}; there are none"
            )


def augmentation_of(preset_name: str, **changes: float | None) -> ClassifierAugmentation:
    """A preset (see `augmentation.settings.CLASSIFIER_PRESETS`) with some of its values changed.

    Args:
        preset_name: `none`, `standard` or `strong`.
        changes: fields of `ClassifierAugmentation`; None keeps the preset's value.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(preset(CLASSIFIER_PRESETS, preset_name), **given)  # type: ignore[arg-type]
