"""Chatter of C libraries is dropped while they decode; Python's own lines are not."""

import subprocess
import sys

import cv2
import numpy as np

DECODE = """
import os, sys, threading
from pathlib import Path
from melanoma_tf.core.native_output import quiet_native_stderr, separate_python_stderr
from melanoma_tf.records.decode import read_image

separate = sys.argv[2] == "separate"
if separate:
    separate_python_stderr()
threads = [threading.Thread(target=read_image, args=(Path(sys.argv[1]),)) for _ in range(8)]
for thread in threads:
    thread.start()
    print("own line", file=sys.stderr)
for thread in threads:
    thread.join()
with quiet_native_stderr():
    print("own line", file=sys.stderr)
    os.write(2, b"native line\\n")
os.write(2, b"after it\\n")
"""


def test_a_chattering_jpeg_is_silent_and_no_own_line_is_lost(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoded = cv2.imencode(".jpg", image)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(encoded[:-2] + bytes(range(1, 40)) + encoded[-2:])

    def printed(how):
        arguments = [sys.executable, "-c", DECODE, tmp_path / "a.jpg", how]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stderr

    assert printed("separate").splitlines() == ["own line"] * 9 + ["after it"]
    # Without a stream of its own, nothing may be dropped.
    plain = printed("plain")
    assert plain.count("own line") == 9
    assert "native line" in plain
    assert "Corrupt JPEG data" in plain
