"""Names in the interface of exported models: signatures, inputs and outputs. Free of TensorFlow."""

from __future__ import annotations

DISCLAIMER = "Research software. Not a medical device: not for diagnosis or treatment."

# Signatures
DEFAULT = "serving_default"
EXPLAIN, SEGMENT, PURIFY, TENSOR, CLASSIFY = "explain", "segment", "purify", "tensor", "classify"

# Inputs
IMAGES = "images"
EXAMPLES = "inputs"  # TensorFlow Serving's Classify method expects this name.

# Outputs. TensorFlow Serving sends what ends in `_bytes` as base64 over REST.
CLASSES, PROBABILITIES, SALIENCY = "classes", "probabilities", "saliency"
STATUS, MESSAGE = "status", "message"
SCORES = "scores"
MASK, PURIFIED, OVERLAY = "mask_bytes", "purified_bytes", "overlay_bytes"
OCCLUSIONS = "occlusions_bytes"

METADATA, SAVED_MODEL, MODEL_CARD = "metadata.json", "saved_model.pb", "model_card.md"


def above_threshold(sensitivity: str) -> str:
    """The output of a threshold, by the sensitivity that it reached: `above_threshold_82`."""
    return f"above_threshold_{round(100 * float(sensitivity))}"
