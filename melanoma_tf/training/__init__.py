"""One `fit` for every model: strategy, checkpoints, resume, TensorBoard, the run folder.

runs/NAME/config.json     the resolved settings
          logs/           TensorBoard
          checkpoints/    the state after the last finished epoch, and the best weights
          history.json    metrics by epoch
          model.keras     appears when training has finished: the best epoch's weights
"""

from __future__ import annotations

import importlib
from typing import Any

# Imported when they are used, so that the settings of a training load without TensorFlow.
_MODULES = {
    "fit": "fit",
    "FitSettings": "fit_settings",
    "STRATEGIES": "strategy",
    "make_strategy": "strategy",
    **dict.fromkeys(
        ("CONFIG", "HISTORY", "MODEL", "Run", "load_model", "read_config", "run_kind"), "run"
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
