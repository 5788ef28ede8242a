"""The Python examples of the documentation run as they stand."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from melanoma_tf import backbones
from tests.conftest import one_convolution_for_small

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(page):
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def test_the_worked_example_leads_from_a_folder_to_a_prediction(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with one_convolution_for_small():
        for block in blocks("python_api.md"):
            exec(compile(block, "python_api.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "60 images, 36 to train on" in printed
    assert "PHANTOM_0000000.jpg" in printed
    assert "(8, 32, 32, 3)" in printed
    assert (tmp_path / "runs" / "first" / "report.html").is_file()


def test_a_data_set_is_added_in_ten_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index in range(20):
        path = tmp_path / "photos" / ("melanoma" if index % 2 else "nevus") / f"{index}-a.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(index).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(path), noise)
    names: dict = {}
    exec(compile(blocks("adding.md")[0], "adding.md", "exec"), names)
    records = names["mt"].RecordSet.read("tfrecords/clinic")
    assert records.count(source="clinic", class_name="melanoma") == 10


def test_a_backbone_is_added_in_ten_lines(tmp_path, monkeypatch, phantom_records):
    monkeypatch.setattr(backbones, "_registered", {})
    names: dict = {}
    exec(compile(blocks("adding.md")[1], "adding.md", "exec"), names)
    mt = names["mt"]
    from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings

    network = NetworkSettings("tiny", "none", image_size_px=32)
    settings = ClassifierSettings(epochs=1, batch_size=8, network=network)
    mt.train_classifier(phantom_records, tmp_path / "run", settings, log=lambda line: None)
    mt.export(tmp_path / "run", tmp_path / "model")
    assert (tmp_path / "model" / "1" / "saved_model.pb").is_file()
    with pytest.raises(mt.MelanomaError, match="tiny is one already"):
        mt.register_backbone("tiny", names["tiny"])


def test_an_overlay_is_added_in_ten_lines():
    import tensorflow as tf

    names: dict = {"tf": tf}
    exec(compile(blocks("adding.md")[2], "adding.md", "exec"), names)
    image, mask = tf.ones([16, 16, 3]), tf.ones([16, 16, 1])
    changed, kept = names["fingerprint"](image, mask, tf.constant([1, 2], tf.int64))
    assert changed.shape == image.shape
    assert float(tf.reduce_max(tf.abs(changed - image))) > 0.01
    assert float(tf.reduce_max(tf.abs(kept - mask))) == 0.0
