"""One `train` for every network: strategy, checkpoints, resume, TensorBoard, the run folder.

runs/NAME/config.json     see `run_record.RunRecord`
          logs/           TensorBoard
          checkpoints/    the state after the last finished epoch, and the best weights
          history.json    metrics by epoch
          weights.npz     appears when training has finished: the best epoch's weights
"""
