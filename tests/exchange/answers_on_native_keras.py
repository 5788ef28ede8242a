"""Write what the shipped segmenter and occlusion detector answer when native Keras 3 builds them.

    python -m tests.exchange.answers_on_native_keras OUTPUT.npz

For TensorFlow 2.16 and newer. Keras 3 takes the place of Keras 2 in the whole process, which is why
`test_native_keras.py` starts one.
"""

from __future__ import annotations

import importlib
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

NETWORKS = ("shipped_segmenter", "shipped_detector")


def main(output: str) -> None:
    # `melanoma_tf.core.keras` imports Keras 2 by this name.
    native = sys.modules["tf_keras"] = importlib.import_module("keras")

    from melanoma_tf.core.keras import keras
    from tests.exchange.make_samples import answers_of_the_shipped

    assert keras is native
    np.savez(output, version=keras.__version__, **answers_of_the_shipped(*NETWORKS))


if __name__ == "__main__":
    main(sys.argv[1])
