"""Pictures of a fixed set of validation images, drawn into TensorBoard after every epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from melanoma_tf.core.keras import keras

_SHOWN = 6


class Preview(keras.callbacks.Callback):
    """Draws what `pictures` makes, as TensorBoard's `validation`.

    Args:
        title: of the pictures.
        batches: validation batches; their first 6 examples are shown.
        logs: TensorBoard's folder.
    """

    def __init__(self, title: str, batches: tf.data.Dataset, logs: Path):
        super().__init__()
        self._title, self._logs = title, logs
        self._examples = next(iter(batches.unbatch().batch(_SHOWN)))

    def pictures(self) -> tf.Tensor:
        """Draw the model's present output, uint8 RGB `(up to 6, height, width, 3)`."""
        raise NotImplementedError

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open the folder."""
        self._writer = tf.summary.create_file_writer(str(self._logs / "validation"))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw."""
        with self._writer.as_default():
            tf.summary.image(self._title, self.pictures(), step=epoch, max_outputs=_SHOWN)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the file."""
        self._writer.close()


def previews(
    kind: Callable[[tf.data.Dataset, Path], Preview],
    validation: tf.data.Dataset | None,
    run_dir: Path,
) -> list[Preview]:
    """The previews of a run: none where there are no validation batches."""
    return [] if validation is None else [kind(validation, run_dir / "logs")]
