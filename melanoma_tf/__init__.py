"""Data purification, data generation and balanced training for dermoscopic images.

The public names below are imported when they are first used, so that `import melanoma_tf` stays
fast and free of TensorFlow. Research software. Not a medical device.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> module, and the name there where it is another one.
_PUBLIC = {
    "MelanomaError": "core.errors",
    "PartialConv2D": "purification.inpainter.partial_convolution",
    "RecordSet": "records.record_set",
    "Source": "datasets.source",
    "build_classifier": "backbones.classifier",
    "build_inpainter": "purification.inpainter.network",
    "build_records": "records.build.build",
    "build_segmenter": "segmentation.network",
    "classifier_inputs": "classification.inputs",
    "evaluate_classifier": "classification.evaluate",
    "export": "serving.export:export_run",
    "generate_records": "generation.generate",
    "list_source": "datasets.catalogue",
    "load": "serving.loader",
    "purify": "purification.on_disk",
    "register_backbone": "backbones",
    "score_predictions": "evaluation.score",
    "segment": "segmentation.predict",
    "train_classifier": "classification.train",
    "train_coupled_gan": "generation.train",
    "train_gan": "generation.train",
    "train_inpainter": "purification.inpainter.train",
    "train_occlusion_detector": "purification.detector.train",
    "train_segmenter": "segmentation.train",
    "training_batches": "classification.data",
    "visual_backprop": "classification.saliency",
    "write_phantoms": "phantoms",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
