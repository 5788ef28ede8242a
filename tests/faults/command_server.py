"""Run commands in children of a process that has imported everything, and kill them at a moment.

A line of JSON on stdin asks for some at the same time, as a list: of each the `arguments`,
`kill_after` (seconds, "first": once another one has ended, or null) and `said` (the file for what
it prints). The answer is a line with the return code and the seconds of each.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Imported here, once, so that a child begins with its work.
import cv2  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.neighbors  # noqa: F401
from tensorflow.python.eager import context

from melanoma_tf.backbones.networks import BACKBONES
from melanoma_tf.classification import evaluate, report, train  # noqa: F401
from melanoma_tf.cli import main
from melanoma_tf.generation import generate  # noqa: F401
from melanoma_tf.generation import train as generation  # noqa: F401
from melanoma_tf.purification import on_records  # noqa: F401
from melanoma_tf.purification.detector import data as detector_data
from melanoma_tf.purification.detector import train as detector  # noqa: F401
from melanoma_tf.purification.inpainter import data as inpainter_data
from melanoma_tf.purification.inpainter import train as inpainter  # noqa: F401
from melanoma_tf.records.build import build  # noqa: F401
from melanoma_tf.segmentation import train as segmentation  # noqa: F401
from melanoma_tf.serving import export  # noqa: F401
from tests.conftest import build_one_convolution


def no_occlusions(image):
    """Find nothing, since the graph of the classical detector takes seconds to build."""
    return 0.0 * image[..., :1]


def start(arguments: list[str], said: str) -> int:
    child = os.fork()
    if child:
        return child
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        main.main(arguments, prog_name="melanoma-tf")
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(99)
    os._exit(0)


def run(asked: list[dict]) -> list[dict[str, float]]:
    begun = time.monotonic()
    children = {start(each["arguments"], each["said"]): each["kill_after"] for each in asked}
    found: dict[int, dict[str, float]] = {}
    while len(found) < len(children):
        for child, kill_after in children.items():
            seconds = time.monotonic() - begun
            if child in found:
                continue
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                found[child] = {"code": os.waitstatus_to_exitcode(status), "seconds": seconds}
            elif found if kill_after == "first" else seconds >= (kill_after or math.inf):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return [found[child] for child in children]


if __name__ == "__main__":
    if context.context()._initialized:  # Of what was imported, something computes.
        raise SystemExit("TensorFlow has begun its threads: no child can be forked")
    BACKBONES["small"] = build_one_convolution
    for module in (detector_data, inpainter_data):
        module.detected_occlusions = no_occlusions
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
