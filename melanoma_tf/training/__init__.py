"""One `fit` for every model: strategy, checkpoints, resume, TensorBoard, the run folder.

runs/NAME/config.json     the resolved settings
          logs/           TensorBoard
          checkpoints/    the state after the last finished epoch, and the best weights
          history.json    metrics by epoch
          model.keras     appears when training has finished: the best epoch's weights
"""

from melanoma_tf.training.fit import fit
from melanoma_tf.training.run import (
    CONFIG,
    HISTORY,
    MODEL,
    Run,
    load_model,
    read_config,
    run_kind,
)
from melanoma_tf.training.settings import TrainingSettings
from melanoma_tf.training.strategy import STRATEGIES, make_strategy

__all__ = [
    "CONFIG",
    "HISTORY",
    "MODEL",
    "STRATEGIES",
    "Run",
    "TrainingSettings",
    "fit",
    "load_model",
    "make_strategy",
    "read_config",
    "run_kind",
]
