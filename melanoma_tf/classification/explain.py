"""Saliency maps of a classifier: of a run or an exported model, of records or image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.calibration_file import scale_of
from melanoma_tf.classification.cross_validation import ClassifierRecord, as_divided, records_for
from melanoma_tf.classification.explanation_data import View, record_views
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.module import PROBABILITIES, SALIENCY, ExplainingModule
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.images import heat_map
from melanoma_tf.images.masks import draw_outline
from melanoma_tf.pretrained import classifier_run
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.run_record import read_run

UNKNOWN = -1
AT_ONCE = 16
_OUTLINE = (255, 255, 255)

# From encoded images, string `(n,)`, to `saliency` and `probabilities`.
Explain = Callable[[tf.Tensor], dict[str, tf.Tensor]]
Pixels = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Explanation:
    """An image with its probabilities and its saliency map.

    All show the square in the middle of the image, which is what the network sees.

    Attributes:
        image_id: the image's name.
        image: uint8 RGB `(shown, shown, 3)`, not purified.
        saliency: float32 `(size, size)` in [0, 1], by VisualBackProp.
        probabilities: float32 `(classes,)`.
        label: index of its class, or -1 where unknown.
        occlusions: float32 `(size, size)`, the fraction of each pixel under hairs, rulers and ink.
        lesion: likewise of the lesion; None where there is no mask.
        untrained: as `saliency`, of the same network with random weights; None where not asked for.
        source: the data set that the image is from, of a record.
    """

    image_id: str
    image: Pixels
    saliency: Map
    probabilities: Map
    label: int
    occlusions: Map
    lesion: Map | None = None
    untrained: Map | None = None
    source: str = ""

    @property
    def heat_map(self) -> Pixels:
        """The saliency in colours, uint8 RGB `(shown, shown, 3)`; the top hundredth is brightest.

        Products of many maps have a few high peaks; scaled to them, the rest would be black.
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
        name: the folder of the run or model, for messages.
        class_names: in the order of the probabilities.
        view: what it sees of an image.
        explain: from encoded images, string `(n,)`, to `saliency`, float32 `(n, size, size)`, and
            `probabilities`, float32 `(n, classes)`, calibrated where the run is.
        record: of its training.
        untrained: `explain` of the same network with random weights; None where not asked for.
    """

    name: str
    class_names: tuple[str, ...]
    view: View
    explain: Explain
    record: ClassifierRecord
    untrained: Explain | None = None


def explain_records(
    run_dir: Path,
    records: RecordsLike,
    keys: Sequence[str],
    *,
    split: str = "test",
    shown_px: int = 256,
    even: bool = False,
) -> list[Explanation]:
    """Explain some images of a record folder, by a finished run.

    Each has `.image`, `.heat_map` and `.overlay`: uint8 RGB `(shown, shown, 3)`.

    Args:
        run_dir: a finished classifier run.
        records: a record folder of the same classes, or several.
        keys: the images, by the `image_id` that `evaluate` writes into `predictions.csv`.
        split: the split that they are in.
        shown_px: side of the pictures.
        even: see `load_run`.

    Returns:
        One explanation for each key, in the order of the keys.

    Raises:
        MelanomaError: no finished run, records that are unfinished or of other classes, an empty
            split, or a key that is not in it.
    """
    return explain_keys(load_run(run_dir, shown_px=shown_px, even=even), records, split, keys)


def explain_keys(
    explainer: Explainer, records: RecordsLike, split: str, keys: Sequence[str]
) -> list[Explanation]:
    """`explain_records` with a classifier that is loaded."""
    found: dict[str, Explanation] = {}
    bare = {key.rpartition("/")[2] for key in keys} | set(keys)
    for each in explained_records(explainer, records, split, keys=sorted(bare)):
        found[f"{each.source}/{each.image_id}"] = each
        found.setdefault(each.image_id, each)
    absent = [key for key in keys if key not in found]
    if absent:
        records = RecordSet.read(records)
        raise MelanomaError(f"{records} has no image {absent[0]} in split {split!r}")
    return [found[key] for key in keys]


def load_run(
    run_dir: Path,
    *,
    shown_px: int = 256,
    even: bool = False,
    untrained: bool = False,
    seed: int = 0,
) -> Explainer:
    """The classifier of a finished run.

    Args:
        run_dir: the run folder; `shipped` is the run that ships with the package.
        shown_px: side of the pictures.
        even: without the mesh that the published method lays over its maps, see
            `classification.saliency.enlarge`.
        untrained: also the same network with random weights.
        seed: of those weights.

    Raises:
        MelanomaError: there is no run, it trains another kind of model, or it has not finished.
    """
    run_dir = classifier_run(run_dir)
    record = read_run(run_dir, CLASSIFIER)
    inputs = classifier_inputs(record.settings, batch_size=AT_ONCE)
    model = load_classifier(run_dir)
    scale = scale_of(read_calibration(run_dir))

    def explaining(network: keras.Model) -> Explain:
        module = ExplainingModule(
            network,
            inputs.image_size_px,
            lambda encoded: pipeline.central_view(encoded, inputs),
            scale,
            even=even,
        )
        # Not the bound method itself, which does not keep its module alive.
        return lambda images: module.explain(images)

    twin = None
    if untrained:
        keras.utils.set_random_seed(seed)
        twin = explaining(keras.models.clone_model(model))
    return Explainer(
        str(run_dir),
        record.class_names,
        View(inputs.image_size_px, inputs.short_side_px, shown_px),
        explaining(model),
        record,
        twin,
    )


def split_of(explainer: Explainer, records: RecordsLike, split: str) -> RecordSet:
    """Record folders as a classifier saw them: of one trained on a fold, divided by its folds.

    Raises:
        MelanomaError: a folder is unfinished or has other classes, an image is in two, none
            has the split, or the classifier's folds divide others.
    """
    records = records_for(records, explainer.record, split, name=explainer.name)
    records = as_divided(records, explainer.record, split, name=explainer.name)
    records.shard_paths(split)
    return records


def explained_records(
    explainer: Explainer, records: RecordsLike, split: str, *, keys: Sequence[str] | None = None
) -> Iterator[Explanation]:
    """Explain the images of a split, in the records' order.

    Args:
        explainer: the classifier.
        records: a record folder of its classes, or several.
        split: `train`, `validation` or `test`.
        keys: only the images of these names.

    Raises:
        MelanomaError: see `split_of`.
    """
    records = split_of(explainer, records, split)
    batches = record_views(records, split, explainer.view, keys=keys, batch_size=AT_ONCE)
    with records.damage_named():
        for batch in batches:
            names = [name.decode("utf-8") for name in batch.pop("image/key").numpy()]
            yield from explained(explainer, names, batch.pop("image/encoded"), batch)


def explained(
    explainer: Explainer,
    names: Sequence[str],
    encoded: tf.Tensor,
    columns: dict[str, tf.Tensor],
) -> Iterator[Explanation]:
    """Yield the explanations of a batch of what `look` returns."""
    answer = explainer.explain(encoded)
    rows = {name: value.numpy() for name, value in columns.items()}
    saliency, probabilities = answer[SALIENCY].numpy(), answer[PROBABILITIES].numpy()
    untrained = None
    if explainer.untrained is not None:
        untrained = explainer.untrained(encoded)[SALIENCY].numpy()
    for index, name in enumerate(names):
        yield Explanation(
            image_id=name,
            image=rows["shown"][index],
            saliency=saliency[index],
            probabilities=probabilities[index],
            label=int(rows["label"][index]) if "label" in rows else UNKNOWN,
            occlusions=rows["occlusions"][index],
            lesion=rows["lesion"][index] if rows["has_lesion"][index] else None,
            untrained=None if untrained is None else untrained[index],
            source=rows["source"][index].decode("utf-8") if "source" in rows else "",
        )
