"""An exported model: its folder, its metadata and its SavedModel, read and called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, without_wildcards
from melanoma_tf.serving.checksums import check_checksums
from melanoma_tf.serving.encoded_files import encoded_for_model
from melanoma_tf.serving.signatures import DEFAULT, IMAGES, MESSAGE, METADATA, SAVED_MODEL, STATUS
from melanoma_tf.serving.versions import latest_version

# The outputs of a model for one image, by name; or why it is no image.
Answer = Union[dict[str, Any], str]


@dataclass(frozen=True)
class ExportedModel:
    """An exported model, loaded.

    Attributes:
        version: the version folder, `saved_models/NAME/1`.
        metadata: the content of its `metadata.json`.
        model: the SavedModel. It owns the variables that its signatures only refer to: keep it as
            long as these.
    """

    version: Path
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
                path = self.version / METADATA
                raise MelanomaError(f"{path}: expected {'.'.join(keys)}; found none")
            value = value[key]
        return value

    def require_outputs(self, *names: str) -> None:
        """Raise `MelanomaError` where the default signature lacks one of some outputs."""
        found = sorted(self.signatures[DEFAULT].structured_outputs)
        if not set(names) <= set(found):
            raise MelanomaError(
                f"{self.version}: expected a SavedModel with the outputs {', '.join(names)}, as "
                f"{METADATA} says; found {', '.join(found)}"
            )

    def answers(
        self, paths: Sequence[Path], batch_size: int, *, signature: str = DEFAULT
    ) -> Iterator[Answer]:
        """Call a signature on image files in batches; one answer for each, in order."""
        for start in range(0, len(paths), batch_size):
            contents = [encoded_for_model(path) for path in paths[start : start + batch_size]]
            good = [content for content in contents if isinstance(content, bytes)]
            answered = iter(self.answer(good, signature=signature) if good else [])
            for content in contents:
                yield next(answered) if isinstance(content, bytes) else str(content)

    def answer(self, contents: Sequence[bytes], *, signature: str = DEFAULT) -> list[Answer]:
        """Call a signature on encoded images; one answer for each, in order."""
        outputs = self.signatures[signature](**{IMAGES: tf.constant(contents, tf.string)})
        arrays = {name: value.numpy() for name, value in outputs.items()}
        rows: list[dict[str, Any]] = [
            {name: array[row] for name, array in arrays.items()} for row in range(len(contents))
        ]
        return [row[MESSAGE].decode() if row[STATUS] else row for row in rows]


def read_exported(folder: Path) -> ExportedModel:
    """Load an exported model of any task.

    Args:
        folder: `saved_models/NAME`, of which the newest version is read, or a version folder.

    Raises:
        MelanomaError: the folder has no exported model, or its metadata or its SavedModel is
            missing or damaged.
    """
    folder = Path(folder)
    version = folder if (folder / SAVED_MODEL).is_file() else latest_version(folder)
    if version is None:
        raise MelanomaError(
            f"expected an exported model at {folder}; found no {SAVED_MODEL} in a version folder, "
            f"as {folder / '1'}"
        )
    metadata = read_json(version / METADATA)
    if not isinstance(metadata, dict):
        found = type(metadata).__name__
        raise MelanomaError(f"{version / METADATA}: expected a JSON object; found {found}")
    check_checksums(version)
    try:
        with without_wildcards(version) as named:
            model = tf.saved_model.load(str(named))
    except (OSError, ValueError, LookupError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise MelanomaError(f"{version}: expected a whole SavedModel; found {reason}") from error
    if DEFAULT not in model.signatures:
        found = ", ".join(model.signatures) or "none"
        raise MelanomaError(f"{version}: expected the signature {DEFAULT}; found {found}")
    return ExportedModel(version, metadata, model)
