"""Warm-up requests come back, and a damaged file is refused."""

import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.warmup import FILE, WarmupRequest, read_warmup, write_warmup


def test_a_damaged_file_never_passes_for_one_of_no_requests(tmp_path):
    images = np.array([b"one", b"two"], dtype=object)
    write_warmup(tmp_path, [WarmupRequest("first", "serving_default", {"images": images})])
    (request,) = read_warmup(tmp_path)
    assert (request.model, request.signature) == ("first", "serving_default")
    assert request.inputs["images"].tolist() == [b"one", b"two"]
    whole = (tmp_path / FILE).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / FILE).write_bytes(whole[:length])
        with pytest.raises(MelanomaError, match=r"requests: expected warm-up requests; found"):
            read_warmup(tmp_path)
