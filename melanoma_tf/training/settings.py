"""Settings that every training has."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.core.settings import Settings, positive, setting

STRATEGIES = ("auto", "single", "mirrored", "multi-worker")
RATE_SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Length, devices and seed of a training.

    Attributes:
        epochs: passes over the training examples, in all.
        batch_size: examples in a step, over all replicas.
        average_momentum: decay of a moving average of the weights; validation, the best epoch and
            the published model then use the average. 0 disables it.
        patience: epochs without improvement after which training stops; 0 never stops.
        seed: of weights, order and augmentation.
        strategy: see `training.strategy.make_strategy`; `auto` is chosen by what is visible.
        replicas: devices to mirror on; 0 takes all GPUs. Without GPUs the CPU is split.
        input_parts: streams of examples into which the record files are divided, see
            `records.parts`; 0 is one a worker.
        worker_timeout_s: seconds without progress after which a worker ends.
        mixed_precision: compute in float16 (on a CPU in bfloat16), keep variables in float32.
        jit_compile: compile the steps by XLA, on a single device; see `training.compilation`.
    """

    epochs: int = setting(30, "Passes over the training split.", minimum=1, group="Training")
    batch_size: int = setting(
        32, "Images in a step, over all replicas.", minimum=1, group="Training"
    )
    average_momentum: float = setting(
        0.0,
        "Decay of the moving average of the weights, which is then validated and kept; 0 disables "
        "it.",
        minimum=0,
        maximum=1,
        below_maximum=True,
        group="Training",
    )
    patience: int = setting(
        0,
        "Stop after this many epochs without improvement; 0 never stops.",
        minimum=0,
        group="Training",
    )
    seed: int = setting(
        0, "Seed of weights, order and augmentation: same seed, same result.", group="Training"
    )
    strategy: str = setting(
        "auto",
        "single device; mirrored: one replica on every visible GPU; multi-worker: on every GPU of "
        "the workers that TF_CONFIG names, or else the tasks of a Slurm step; auto: the last of "
        "these that is possible, Slurm left out.",
        choices=STRATEGIES,
        group="Devices",
    )
    replicas: int = setting(
        0,
        "Devices to mirror on; without GPUs the CPU is split.",
        minimum=0,
        shown_default="all GPUs",
        group="Devices",
    )
    input_parts: int = setting(
        0,
        "Streams into which the record files are divided; a multiple of the number of workers.",
        minimum=0,
        shown_default="one a worker",
        group="Devices",
    )
    worker_timeout_s: float = positive(
        600.0,
        "Seconds without progress after which a worker stops to wait for the others.",
        option="--worker-timeout",
        group="Devices",
    )
    mixed_precision: bool = setting(
        False, "Compute in float16 (bfloat16 on a CPU).", group="Devices"
    )
    jit_compile: bool = setting(
        False,
        "Compile the steps by XLA, on a single device.",
        group="Devices",
    )

    @property
    def depends_on_epochs(self) -> bool:
        """Tell whether another number of epochs would change the epochs already trained."""
        return False


@dataclass(frozen=True)
class RateSettings(TrainingSettings):
    """Settings of a network that is trained by Adam at a constant or a falling rate.

    Attributes:
        weights: `none`, or the `weights.npz` of another run of the same network to start from.
        learning_rate: of Adam; the highest, where a schedule changes it.
        schedule: see `training.schedules.rate_by_name`.
    """

    weights: str = setting(
        "none",
        "FILE: start from the weights.npz of another run of the same network.",
        metavar="none|FILE",
        group="Network",
    )
    learning_rate: float = positive(1e-3, "Learning rate of Adam.", group="Optimization")
    schedule: str = setting(
        "constant",
        "cosine: warm-up, then decay to 0.",
        choices=RATE_SCHEDULES,
        group="Optimization",
    )

    @property
    def depends_on_epochs(self) -> bool:
        """See `TrainingSettings`."""
        return self.schedule == "cosine"
