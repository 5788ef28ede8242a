"""Purify images or records on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.remote_outputs import refuse_remote
from melanoma_tf.purification.on_files import Outcome, purify_files
from melanoma_tf.purification.purifier import Progress
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.manifest import Manifest, is_record_folder


@dataclass(frozen=True)
class PurificationResult:
    """The output of `purify`: images or records.

    Attributes:
        outcomes: one for each image file, in the order of their names; empty for records.
        manifest: of the new record folder; None for images.
    """

    outcomes: tuple[Outcome, ...] = ()
    manifest: Manifest | None = None


def purify(
    source: Path,
    output: Path,
    settings: PurificationSettings | None = None,
    *,
    overwrite: bool = False,
    beam: Sequence[str] | None = None,
    progress: Progress | None = None,
    log: Callable[[str], None] = print,
) -> PurificationResult:
    """Remove hairs, rulers, ink and bubbles from an image, the images of a folder, or records.

    Images keep their names, sizes and file types, see `purification.on_files.purify_files`. Records
    become a new record folder, see `purification.on_records.purify_records`.

    Args:
        source: an image, a folder of images, or a record folder; it stays as it is.
        output: the folder to write.
        settings: see `PurificationSettings`.
        overwrite: replace existing output.
        beam: for records: options of Apache Beam, see `purification.on_records.purify_records`.
        progress: wraps the stream of results, given their number.
        log: takes warnings.

    Raises:
        MelanomaError: settings that do not go with the source, existing output, a network that
            cannot be read, no image at `source`, or damaged records.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from melanoma_tf.phantoms import write_phantoms
        >>> from melanoma_tf.purification.settings import PurificationSettings
        >>> folder = Path(tempfile.mkdtemp())
        >>> images = write_phantoms(folder / "phantoms", 2) / "ISIC-2017_Training_Data"
        >>> settings = PurificationSettings(method="classical", segmenter="none")
        >>> result = purify(images, folder / "purified", settings)
        >>> [outcome.path.suffix for outcome in result.outcomes]
        ['.jpg', '.jpg']
    """
    settings = settings or PurificationSettings()
    source, output = Path(source), Path(output)
    is_records = is_record_folder(source)
    if not is_records:
        _refuse_for_images(source, output, beam)
    settings.check_source(source, is_records)
    if settings.ignores_lesions:
        log("warning: lesion masks are not used: only the classical detector looks at them")
    if not is_records:
        outcomes = purify_files(
            source, output, settings, overwrite=overwrite, progress=progress, log=log
        )
        return PurificationResult(tuple(outcomes))
    # Imported here: records need TensorFlow, which takes seconds to load.
    from melanoma_tf.purification.on_records import purify_records

    manifest = purify_records(
        source, output, settings, overwrite=overwrite, beam=beam, progress=progress
    )
    return PurificationResult(manifest=manifest)


def _refuse_for_images(source: Path, output: Path, beam: Sequence[str] | None) -> None:
    refuse_remote(output)
    if beam is not None:
        raise MelanomaError(f"expected a record folder with --runner beam; found {source}")
