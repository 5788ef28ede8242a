"""Configuration of TensorFlow Serving for a folder of exported models, as text protos.

Free of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.serving.settings import ServingConfigSettings
from melanoma_tf.serving.signatures import SAVED_MODEL
from melanoma_tf.serving.versions import version_folders

MODELS, BATCHING, MONITORING = "models.config", "batching_parameters.txt", "monitoring.config"
# The newest version gets the one label, the one before it the other; both are loaded.
CANARY, STABLE = "canary", "stable"
METRICS_PATH = "/monitoring/prometheus/metrics"


def write_server_config(
    models: Path,
    output: Path,
    settings: ServingConfigSettings | None = None,
    *,
    overwrite: bool = False,
) -> list[str]:
    """Write `models.config`, `batching_parameters.txt` and `monitoring.config`.

    Args:
        models: a folder of model folders, as `saved_models`.
        output: the folder to make.
        settings: see `ServingConfigSettings`.
        overwrite: replace an existing folder.

    Returns:
        The names of the models.

    Raises:
        MelanomaError: no exported model in `models`, or `output` exists.
    """
    settings = settings or ServingConfigSettings()
    found = {
        folder.name: [int(each.name) for each in version_folders(folder) if _is_whole(each)]
        for folder in sorted(models.iterdir() if models.is_dir() else ())
        if not folder.name.startswith(".")
    }
    found = {name: versions for name, versions in found.items() if versions}
    if not found:
        raise MelanomaError(
            f"expected exported models as {models / 'NAME' / '1' / SAVED_MODEL}; found none"
        )
    with published_folder(output, overwrite=overwrite) as folder:
        (folder / MODELS).write_text(models_config(found, settings.base_path))
        (folder / BATCHING).write_text(batching_parameters(settings))
        (folder / MONITORING).write_text(monitoring_config())
    return list(found)


def models_config(models: dict[str, list[int]], base_path: str) -> str:
    """A `ModelServerConfig`: each model with its two newest versions and their labels.

    Args:
        models: the versions of each model, ascending.
        base_path: where the server sees the model folders.
    """
    configs = "\n".join(
        _model_config(name, versions[-2:], f"{base_path.rstrip('/')}/{name}")
        for name, versions in models.items()
    )
    return f"model_config_list {{\n{configs}\n}}\n"


def _model_config(name: str, versions: Sequence[int], path: str) -> str:
    labels = {CANARY: versions[-1], STABLE: versions[0]}
    lines = [
        "  config {",
        f"    name: {_quoted(name)}",
        f"    base_path: {_quoted(path)}",
        '    model_platform: "tensorflow"',
        "    model_version_policy {",
        "      specific {",
        *(f"        versions: {version}" for version in versions),
        "      }",
        "    }",
        *(
            f"    version_labels {{ key: {_quoted(label)} value: {version} }}"
            for label, version in sorted(labels.items())
        ),
        "  }",
    ]
    return "\n".join(lines)


def batching_parameters(settings: ServingConfigSettings) -> str:
    """The `BatchingParameters`: requests of several clients are answered together."""
    sizes = _powers_of_two(settings.max_batch_size)
    lines = [
        f"max_batch_size {{ value: {settings.max_batch_size} }}",
        f"batch_timeout_micros {{ value: {round(1000 * settings.batch_timeout_ms)} }}",
        f"max_enqueued_batches {{ value: {settings.max_enqueued_batches} }}",
        f"num_batch_threads {{ value: {settings.batch_threads} }}",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
    ]
    return "\n".join(lines) + "\n"


def monitoring_config() -> str:
    """The `MonitoringConfig`: metrics for Prometheus."""
    return f'prometheus_config {{\n  enable: true\n  path: "{METRICS_PATH}"\n}}\n'


def _powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... and `most` itself, which TensorFlow Serving wants as the last."""
    sizes, size = [], 1
    while size < most:
        sizes.append(size)
        size *= 2
    return [*sizes, most]


def _is_whole(version: Path) -> bool:
    return (version / SAVED_MODEL).is_file()


def _quoted(text: str) -> str:
    """A string of a text proto; names of folders may hold anything but a slash."""
    escaped = "".join(
        char if char.isalnum() or char in "-_./ " else "".join(f"\\{b:03o}" for b in char.encode())
        for char in text
    )
    return f'"{escaped}"'
