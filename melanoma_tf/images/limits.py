"""The shape of a photograph. Free of TensorFlow."""

from __future__ import annotations

# A longer side becomes a strip, without bound, when the short one is scaled to a network's input.
LEAST_SIDE_PX, LARGEST_ASPECT = 8, 20
