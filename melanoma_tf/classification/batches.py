"""Selection of the training images of an epoch, by `classification.settings.BatchSettings`."""

from __future__ import annotations

from collections.abc import Sequence

from melanoma_tf.classification.expansion_plan import ORIGINS, Counts
from melanoma_tf.classification.settings import BatchSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet


def count_images(
    records: RecordSet,
    settings: BatchSettings,
    class_name: str | None = None,
    origins: Sequence[str] = ORIGINS,
) -> int:
    """Training images that the settings admit.

    Args:
        records: record folders.
        settings: whose origins count.
        class_name: of this class only.
        origins: of these only; () for all.
    """
    wanted = set(settings.origins or ORIGINS) & set(origins or ORIGINS)
    return sum(records.count(split="train", class_name=class_name, origin=one) for one in wanted)


def count_by_origin(records: RecordSet, settings: BatchSettings | None = None) -> Counts:
    """Training images by class and origin; 0 of origins that the settings leave out."""
    chosen = settings or BatchSettings()
    return {
        name: {one: count_images(records, chosen, name, (one,)) for one in ORIGINS}
        for name in records.class_names
    }


def examples_by_class(records: RecordSet, settings: BatchSettings) -> list[int]:
    """Examples of an epoch by class: the images, or what an expansion plan makes of them.

    With balanced batches an epoch has as many examples as there are images.

    Raises:
        MelanomaError: the plan is for other classes.
    """
    plan = settings.plan
    if plan is None:
        return [count_images(records, settings, name) for name in records.class_names]
    plan.check_classes(records.class_names)
    counts = count_by_origin(records, settings)
    return [
        sum(count * plan.sightings(name, origin) for origin, count in row.items())
        for name, row in counts.items()
    ]


def check_batches(records: RecordSet, settings: BatchSettings) -> None:
    """Raise `MelanomaError` where records cannot make the batches.

    That is: no training image has one of the origins, a class has no image to balance with, the
    plan is for other classes, or no generated image is there to be limited.
    """
    names = records.class_names
    if not count_images(records, settings):
        wanted = f" of origin {' or '.join(settings.origins)}" if settings.origins else ""
        raise MelanomaError(f"{records}: expected training images{wanted}; found none")
    examples_by_class(records, settings)
    limit = settings.generated_fraction
    if settings.balance == "batch":
        origins = ORIGINS if limit is None else ("real", "purified")
        absent = [name for name in names if not count_images(records, settings, name, origins)]
        if absent:
            kind = "training" if limit is None else "real or purified training"
            raise MelanomaError(
                f"{records}: expected {kind} images of every class for balanced batches; "
                f"found none of {', '.join(absent)}"
            )
    if limit is not None and not count_images(records, settings, origins=("generated",)):
        raise MelanomaError(
            f"{records}: expected generated training images with a generated fraction of {limit}; "
            "found none"
        )
