"""An exported model: its folder, its metadata and its SavedModel, read and called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import tensorflow as tf

from melanoma_tf.classification.module import INPUT
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json
from melanoma_tf.records.decode import read_portable
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.serving.classifier_export import DEFAULT, VERSION

METADATA, SAVED_MODEL = "metadata.json", "saved_model.pb"
UNREADABLE = "expected a whole JPEG or PNG image; it cannot be decoded"
# The outputs of a model for one image, by name; where the file is no image, the reason.
Answer = Union[dict[str, Any], str]


@dataclass(frozen=True)
class ExportedModel:
    """An exported model, loaded.

    Attributes:
        folder: `saved_models/NAME`.
        metadata: the content of its `metadata.json`.
        model: the SavedModel. It owns the variables that its signatures only refer to: keep it as
            long as these.
    """

    folder: Path
    metadata: Mapping[str, Any]
    model: Any

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The functions of the SavedModel by name."""
        return self.model.signatures

    def described(self, *keys: str) -> Any:
        """A value of the metadata, by its keys from outside in.

        Raises:
            MelanomaError: `metadata.json` has no such value.
        """
        value: Any = self.metadata
        for key in keys:
            if not isinstance(value, Mapping) or key not in value:
                path = self.folder / METADATA
                raise MelanomaError(f"{path}: expected {'.'.join(keys)}; found none")
            value = value[key]
        return value

    def require_outputs(self, *names: str) -> None:
        """Raise `MelanomaError` where the default signature lacks one of some outputs."""
        found = sorted(self.signatures[DEFAULT].structured_outputs)
        if not set(names) <= set(found):
            raise MelanomaError(
                f"{self.folder}: expected a SavedModel with the outputs {', '.join(names)}, as "
                f"{METADATA} says; found {', '.join(found)}"
            )

    def answers(self, paths: Sequence[Path], batch_size: int) -> Iterator[Answer]:
        """Call the default signature on image files in batches; one answer for each, in order."""
        for start in range(0, len(paths), batch_size):
            read = [_content(path) for path in paths[start : start + batch_size]]
            answers = self._answers([content for content in read if isinstance(content, bytes)])
            for content in read:
                yield content if isinstance(content, str) else next(answers)

    def _answers(self, contents: list[bytes]) -> Iterator[Answer]:
        if contents:
            try:
                yield from self._answer(contents)
            except tf.errors.InvalidArgumentError:
                # One bad image fails the whole batch: find it, and keep the others.
                yield from map(self._answer_one, contents)

    def _answer_one(self, content: bytes) -> Answer:
        try:
            return self._answer([content])[0]
        except tf.errors.InvalidArgumentError:
            return UNREADABLE

    def _answer(self, contents: list[bytes]) -> list[dict[str, Any]]:
        outputs = self.signatures[DEFAULT](**{INPUT: tf.constant(contents)})
        arrays = {name: value.numpy() for name, value in outputs.items()}
        return [
            {name: array[index] for name, array in arrays.items()} for index in range(len(contents))
        ]


def _content(path: Path) -> bytes | str:
    """The content of an image file as the model reads it, or why there is none."""
    try:
        return read_portable(path)
    except UnreadableImageError as error:
        return str(error)


def read_exported(folder: Path) -> ExportedModel:
    """Load an exported model of any task.

    Args:
        folder: `saved_models/NAME`, or its version folder.

    Raises:
        MelanomaError: the folder has no exported model, or its metadata or its SavedModel is
            missing or damaged.
    """
    folder = Path(folder)
    if (folder / SAVED_MODEL).is_file():
        folder, version_dir = folder.resolve().parent, folder
    else:
        version_dir = folder / VERSION
    if not (version_dir / SAVED_MODEL).is_file():
        raise MelanomaError(
            f"expected an exported model at {folder}; found no {SAVED_MODEL} in {version_dir}"
        )
    metadata = read_json(folder / METADATA)
    if not isinstance(metadata, dict):
        found = type(metadata).__name__
        raise MelanomaError(f"{folder / METADATA}: expected a JSON object; found {found}")
    try:
        model = tf.saved_model.load(str(version_dir))
    except (OSError, ValueError, LookupError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise MelanomaError(
            f"{version_dir}: expected a whole SavedModel; found {reason}"
        ) from error
    if DEFAULT not in model.signatures:
        found = ", ".join(model.signatures) or "none"
        raise MelanomaError(f"{version_dir}: expected the signature {DEFAULT}; found {found}")
    return ExportedModel(folder, metadata, model)
