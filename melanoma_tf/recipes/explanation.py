"""Show what a classifier looks at, and say how much of it is lesion and how much occlusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf import training
from melanoma_tf.errors import MelanomaError
from melanoma_tf.images import heat_map
from melanoma_tf.images.masks import draw_outline
from melanoma_tf.pipeline import classifier as pipeline
from melanoma_tf.pipeline.explanation import View, record_views
from melanoma_tf.recipes.classifier import KIND, classifier_inputs
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.serving.export import PROBABILITIES, SALIENCY, ClassifierModule

UNKNOWN = -1
_AT_ONCE = 16
_OUTLINE = (255, 255, 255)

Pixels = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Explanation:
    """An image, what a classifier says of it, and where it looks.

    All show the square in the middle of the image, which is what the network sees.

    Attributes:
        image_id: the image's name.
        image: uint8 RGB `(shown, shown, 3)`, not purified.
        saliency: float32 `(size, size)` in [0, 1], by VisualBackProp.
        probabilities: float32 `(classes,)`.
        label: index of its class, or -1 where unknown.
        occlusions: float32 `(size, size)`, the share of each pixel under hairs, rulers and ink.
        lesion: likewise of the lesion; None where there is no mask.
    """

    image_id: str
    image: Pixels
    saliency: Map
    probabilities: Map
    label: int
    occlusions: Map
    lesion: Map | None = None

    @property
    def heat_map(self) -> Pixels:
        """The saliency in colours, uint8 RGB `(shown, shown, 3)`; the top hundredth is brightest.

        Products of many maps have a few high peaks, beside which the rest would not be seen.
        """
        return heat_map.heat_map(self._for_the_eye()).numpy()

    @property
    def overlay(self) -> Pixels:
        """The heat map over the image, uint8 RGB `(shown, shown, 3)`, with the lesion's outline."""
        drawn = heat_map.overlay(self.image, self._for_the_eye())
        if self.lesion is None:
            return drawn.numpy()
        inside = self._enlarged(self.lesion)[tf.newaxis, ..., tf.newaxis] > 0.5
        return draw_outline(drawn[tf.newaxis], inside, _OUTLINE)[0].numpy()

    def _for_the_eye(self) -> tf.Tensor:
        return self._enlarged(self.saliency / max(float(np.quantile(self.saliency, 0.99)), 1e-6))

    def _enlarged(self, one: Map) -> tf.Tensor:
        return tf.image.resize(one[..., np.newaxis], self.image.shape[:2])[..., 0]


@dataclass(frozen=True)
class Explainer:
    """A classifier that explains itself.

    Attributes:
        name: of the run or model, for messages.
        class_names: in the order of the probabilities.
        view: what it sees of an image.
        explain: from encoded images, string `(n,)`, to `saliency`, float32 `(n, size, size)`, and
            `probabilities`, float32 `(n, classes)`.
    """

    name: str
    class_names: tuple[str, ...]
    view: View
    explain: Callable[[tf.Tensor], dict[str, tf.Tensor]]


def explain_records(
    run_dir: Path,
    records: Path,
    keys: Sequence[str],
    *,
    split: str = "test",
    shown_px: int = 256,
) -> list[Explanation]:
    """Explain some images of a record folder, by a finished run.

    Each has `.image`, `.heat_map` and `.overlay`: uint8 RGB `(shown, shown, 3)`.

    Args:
        run_dir: a finished classifier run.
        records: a record folder of the same classes.
        keys: the images, by the `image_id` that `evaluate` writes into `predictions.csv`.
        split: the split that they are in.
        shown_px: side of the pictures.

    Returns:
        One explanation for each key, in the order of the keys.

    Raises:
        MelanomaError: no finished run, records that are unfinished or of other classes, an empty
            split, or a key that is not in it.
    """
    explainer = load_run(run_dir, shown_px=shown_px)
    check_classes(explainer, records)
    found: dict[str, Explanation] = {}
    bare = {key.rpartition("/")[2] for key in keys} | set(keys)
    for source, explanation in explained_records(explainer, records, split, keys=sorted(bare)):
        found[f"{source}/{explanation.image_id}"] = explanation
        found.setdefault(explanation.image_id, explanation)
    absent = [key for key in keys if key not in found]
    if absent:
        raise MelanomaError(f"{records} has no {absent[0]} in split {split!r}")
    return [found[key] for key in keys]


def load_run(run_dir: Path, *, shown_px: int = 256) -> Explainer:
    """The classifier of a finished run.

    Raises:
        MelanomaError: there is no run, it trains another kind of model, or it has not finished.
    """
    config = training.read_config(run_dir, KIND)
    inputs = classifier_inputs(config, _AT_ONCE)
    module = ClassifierModule(
        training.load_model(run_dir),
        config["class_names"],
        inputs.image_size_px,
        lambda encoded: pipeline.central_view(encoded, inputs),
    )
    view = View(inputs.image_size_px, inputs.short_side_px, shown_px)
    names = tuple(config["class_names"])
    # Not the bound method itself, which does not keep its module alive.
    return Explainer(str(run_dir), names, view, lambda images: module.explain(images))


def check_classes(explainer: Explainer, records: Path) -> None:
    """Raise `MelanomaError` where a record folder has other classes than the classifier."""
    found = read_manifest(records).class_names
    if found != explainer.class_names:
        raise MelanomaError(
            f"{explainer.name} was trained on the classes {', '.join(explainer.class_names)}; "
            f"{records} has {', '.join(found)}"
        )


def explained_records(
    explainer: Explainer, records: Path, split: str, *, keys: Sequence[str] | None = None
) -> Iterator[tuple[str, Explanation]]:
    """Explain the images of a split, in the records' order, each with the source it is from.

    Args:
        explainer: the classifier.
        records: a record folder of its classes, see `check_classes`.
        split: `train`, `validation` or `test`.
        keys: only the images of these names.
    """
    for batch in record_views(records, split, explainer.view, keys=keys, batch_size=_AT_ONCE):
        answer = explainer.explain(batch.pop("image/encoded"))
        columns = {name: value.numpy() for name, value in {**batch, **answer}.items()}
        for index, key in enumerate(columns["image/key"]):
            row = {name: column[index] for name, column in columns.items()}
            yield row["source"].decode("utf-8"), _explanation(key.decode("utf-8"), row)


def _explanation(image_id: str, row: dict[str, np.ndarray]) -> Explanation:
    return Explanation(
        image_id=image_id,
        image=row["shown"],
        saliency=row[SALIENCY],
        probabilities=row[PROBABILITIES],
        label=int(row.get("label", UNKNOWN)),
        occlusions=row["occlusions"],
        lesion=row["lesion"] if row["has_lesion"] else None,
    )
