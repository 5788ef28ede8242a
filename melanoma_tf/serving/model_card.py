"""`model_card.md` and `metadata.json` of exported models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from melanoma_tf import __version__
from melanoma_tf.evaluation.prevalence import shown_prevalence
from melanoma_tf.evaluation.score_text import OVERALL
from melanoma_tf.images.limits import LARGEST_ASPECT, LEAST_SIDE_PX
from melanoma_tf.serving.signatures import (
    CLASSES,
    CLASSIFY,
    DEFAULT,
    DISCLAIMER,
    EXPLAIN,
    MASK,
    MESSAGE,
    OCCLUSIONS,
    OVERLAY,
    PROBABILITIES,
    PURIFIED,
    PURIFY,
    SALIENCY,
    SCORES,
    SEGMENT,
    STATUS,
    TENSOR,
)
from melanoma_tf.training.run_record import RunRecord

LIMITS = (
    "Not validated on patients.",
    "Images of other devices, of other skin types or of parts of the body that the training data "
    "lack may be classified and outlined worse.",
    "A photograph that is not dermoscopic gets an answer too, which means nothing.",
)
_SIGNATURES = {
    DEFAULT: "classify encoded images",
    EXPLAIN: "classify encoded images, with pictures of why",
    SEGMENT: "outline the lesion in encoded images",
    PURIFY: "remove hairs, rulers, ink and bubbles from encoded images",
    TENSOR: "classify decoded images, float32 (n, height, width, 3), RGB in [0, 255]",
    CLASSIFY: "the Classify method of TensorFlow Serving: tf.Example of image/encoded",
}
_OUTPUTS = {
    CLASSES: "string (n, classes): the names in the order of the probabilities",
    PROBABILITIES: "float32: probabilities; all 0 where the status is not 0",
    SCORES: "float32 (n, classes): probabilities; all 0 of an image that cannot be read",
    STATUS: "int32 (n,): 0, or why the image was not read",
    MESSAGE: "string (n,): the status in words",
    SALIENCY: "float32 (n, size, size) in [0, 1]: VisualBackProp of the square seen",
    MASK: "string (n,): PNG, 0 skin, 255 lesion, of the upright image's size",
    PURIFIED: "string (n,): PNG, the image without what lies over the skin",
    OCCLUSIONS: "string (n,): PNG, 255 on what was removed",
    OVERLAY: "string (n,): PNG, outline and saliency over the image",
}


def metadata(
    name: str, task: str, signatures: Mapping[str, Any], record: RunRecord[Any]
) -> dict[str, Any]:
    """What `metadata.json` of every exported model says.

    Args:
        name: of the model.
        task: `classification` or `segmentation`.
        signatures: of the SavedModel, by name.
        record: of the run.
    """
    return {
        "name": name,
        "task": task,
        "tool": f"melanoma_tf {__version__}",
        "intended_use": DISCLAIMER,
        "limits": list(LIMITS),
        "signatures": {
            signature: {
                "use": _SIGNATURES.get(signature, ""),
                "outputs": {
                    output: _OUTPUTS.get(output, "bool (n, classes): at or above a threshold")
                    for output in sorted(function.structured_outputs)
                },
            }
            for signature, function in sorted(signatures.items())
        },
        "taxonomy": record.taxonomy,
        "class_names": list(record.class_names),
        "training": without_folders(record.to_public_json()),
    }


def without_folders(payload: Any) -> Any:
    """JSON values in which absolute paths are names only: a model travels, and tells no folder."""
    if isinstance(payload, dict):
        return {without_folders(key): without_folders(value) for key, value in payload.items()}
    if isinstance(payload, (list, tuple)):
        return [without_folders(each) for each in payload]
    if isinstance(payload, str) and os.path.isabs(payload):
        return Path(payload).name
    return payload


def data_section(record: RunRecord[Any]) -> str:
    """The training data with licences and attributions, as Markdown."""
    return "\n".join(
        f"- {source}: {entry['licence']}. {entry['attribution']}"
        for source, entry in record.sources.items()
    )


def limits_section(max_megapixels: float) -> str:
    """The limits of a model, as Markdown."""
    sizes = (
        f"Images of more than {max_megapixels:g} megapixels, or with a side shorter "
        f"than {LEAST_SIDE_PX} pixels or more than {LARGEST_ASPECT} times the other, are refused.",
    )
    return "\n".join(f"- {limit}" for limit in (*LIMITS, *sizes))


def calibration_section(
    calibration: dict[str, Any] | None,
    purification: str,
    prevalence: dict[str, float] | None = None,
) -> str:
    """Temperature, biases, prevalence and thresholds, as Markdown."""
    if calibration is None:
        return "Probabilities are not calibrated, and there are no thresholds."
    fitted_on = calibration["fitted_on"]
    lines = [*_scale_lines(calibration, prevalence)]
    if prevalence is None:
        lines += _threshold_lines(calibration["thresholds"])
    if fitted_on["purify"] != purification:
        lines += [
            "",
            f"They were fitted on images purified by: {fitted_on['purify']}. This model purifies "
            f"by: {purification}.",
        ]
    return "\n".join(lines)


def _scale_lines(calibration: dict[str, Any], prevalence: dict[str, float] | None) -> Iterator[str]:
    fitted_on, biases = calibration["fitted_on"], calibration.get("biases", {})
    yield (
        f"Logits are divided by {calibration['temperature']:.4f}, fitted on {fitted_on['n']} "
        f"images of split `{fitted_on['split']}`."
    )
    if biases:
        added = ", ".join(f"{name} {bias:+.4f}" for name, bias in biases.items())
        counts = ", ".join(f"{name} {count}" for name, count in fitted_on["n_per_class"].items())
        yield f"Then a bias of each class is added ({added}), fitted on the same images: {counts}."
    if prevalence is not None:
        yield (
            f"Probabilities assume the class frequencies {shown_prevalence(prevalence)}. There "
            "are no thresholds: those of the run hold at the frequencies of the fitted images."
        )
    elif biases:
        yield "Probabilities assume the class frequencies of these images."


def _threshold_lines(thresholds: dict[str, dict[str, float | None]]) -> list[str]:
    wanted = list(next(iter(thresholds.values())))
    table = [["class", *wanted], ["---"] * (len(wanted) + 1)]
    for name, row in thresholds.items():
        # Six digits: a threshold is at least 2e-6 away from the scores that it separates.
        table.append([name, *("-" if value is None else f"{value:.6f}" for value in row.values())])
    return [
        "A probability of at least the threshold reached this sensitivity on the fitted images; on "
        "other images it may not:",
        "",
        *(f"| {' | '.join(cells)} |" for cells in table),
    ]


def scores_section(metrics: dict[str, Any] | None) -> str:
    """Scores with intervals, as Markdown."""
    if metrics is None:
        return "Not evaluated before export."
    records = ", ".join(f"`{each}`" for each in without_folders(metrics["records"]))
    scored = f"Split `{metrics['split']}` of {records}"
    if metrics.get("prevalence"):
        scored += (
            f", probabilities at the class frequencies {shown_prevalence(metrics['prevalence'])}"
        )
    return "\n".join([f"{scored}:", "", *_score_rows(metrics)])


def _score_rows(metrics: dict[str, Any]) -> Iterator[str]:
    intervals = metrics.get("interval") or {}
    yield "| score | value | 95 % interval |"
    yield "|---|---|---|"
    titles = [(title, key, None) for title, key in OVERALL]
    titles += [(f"AUC, {name}", "auc", name) for name in metrics["auc"]]
    for title, key, class_name in titles:
        value, interval = metrics.get(key), intervals.get(key)
        if class_name is not None:
            value, interval = value[class_name], (interval or {}).get(class_name)
        if value is not None:
            limits = f"{interval['low']:.3f} to {interval['high']:.3f}" if interval else "-"
            yield f"| {title} | {value:.3f} | {limits} |"
