"""Make the samples that `test_exchange.py` reads on every stack, with the stack that runs.

    python -m tests.exchange.make_samples tests/exchange/made_on_2.21

Records, a run, its exported model, the weights of one network of each kind, and the answers that
the stack gave to fixed images.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
from melanoma_tf.classification.train import CLASSIFIER, train_classifier
from melanoma_tf.core.keras import keras
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.phantoms import PhantomSettings, write_phantoms
from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.purification.detector.network import build_detector
from melanoma_tf.purification.inpainter.network import build_inpainter
from melanoma_tf.purification.shipped import shipped_detector, shipped_inpainter
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.read import read_examples
from melanoma_tf.segmentation.network import build_segmenter
from melanoma_tf.segmentation.shipped import shipped_segmenter
from melanoma_tf.serving.export import export_run
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.training.run import load_model
from melanoma_tf.training.weights import write_weights
from tests.conftest import one_convolution_for_small

SIZE_PX = 32
NETWORKS = {
    "segmenter": lambda: build_segmenter(64, 1, padding="same", normalization="instance"),
    "detector": lambda: build_detector(2, 2),
    "inpainter": lambda: build_inpainter(2, 3),
}


def fixed_images(size_px: int) -> np.ndarray:
    """Coloured waves in [0, 255], float32 `(2, size, size, 3)`: equal on every machine."""
    rows, columns = np.mgrid[:size_px, :size_px] / size_px
    waves = [np.cos(9 * rows * (1 + k) + 7 * columns * (2 - k / 3)) for k in range(6)]
    return (127.5 + 127.5 * np.stack(waves, -1)).reshape(size_px, size_px, 2, 3).transpose(
        2, 0, 1, 3
    ).astype(np.float32)  # fmt: skip


def fixed_hole(size_px: int) -> np.ndarray:
    hole = np.zeros((2, size_px, size_px, 1), np.float32)
    hole[:, size_px // 4 : size_px // 2, 3 : size_px // 3] = 1.0
    return hole


def decoded(records: Path) -> np.ndarray:
    """The pixels of all images of a record folder."""
    return np.stack([tf.io.decode_image(one.image).numpy() for one in read_examples(records)])


def answer(name: str, model: keras.Model) -> np.ndarray:
    """What a network of `NETWORKS` gives for the fixed images."""
    images = fixed_images(64)
    given = [images / 255, 1 - fixed_hole(64)] if name == "inpainter" else images
    return np.asarray(model(given))


def answer_of_run(run_dir: Path) -> np.ndarray:
    with one_convolution_for_small():
        return np.asarray(load_model(run_dir, CLASSIFIER)(fixed_images(SIZE_PX)))


def digest_of_the_shipped() -> str:
    """Changes with the weights or settings of a network that ships."""
    digest = hashlib.sha256()
    for name in ("segmenter", "occlusion_detector", "inpainter"):
        for ending in ("npz", "json"):
            digest.update((shipped_folder() / f"{name}.{ending}").read_bytes())
    return digest.hexdigest()


def answers_of_the_shipped(*names: str) -> dict[str, np.ndarray]:
    """What the networks that ship give for the fixed images; some of them, or all."""
    images = fixed_images(64) / 255
    compute = {
        "shipped_segmenter": lambda: shipped_segmenter()((images[0] * 255).astype(np.uint8)),
        "shipped_detector": lambda: shipped_detector().model(images * 255),
        "shipped_inpainter": lambda: shipped_inpainter()(images, fixed_hole(64)),
    }
    return {name: compute[name]().numpy() for name in names or compute}


def make(folder: Path) -> None:
    folder.mkdir(parents=True)
    phantoms = write_phantoms(folder / "phantoms", 12, settings=PhantomSettings(SIZE_PX), seed=2)
    settings = BuildSettings("isic2017", image_size=SIZE_PX, split="0.5/0.25/0.25")
    records, run_dir = folder / "records", folder / "run"
    build_records([list_source("isic2017", phantoms)], settings, records)
    network = NetworkSettings("small", "none", image_size_px=SIZE_PX)
    with one_convolution_for_small():
        train_classifier(
            records, run_dir, ClassifierSettings(epochs=1, batch_size=4, network=network)
        )
        export_run(run_dir, folder / "saved_model")
    photographs = sorted((phantoms / "ISIC-2017_Training_Data").glob("*.jpg"))[:2]
    served = load_classifier(folder / "saved_model").predict(photographs)
    made = {
        "pixels": decoded(records),
        "run": answer_of_run(run_dir),
        "served": np.stack([one.probabilities for one in served]),
        **answers_of_the_shipped(),
        "shipped": np.array(digest_of_the_shipped()),
    }
    for name, build in NETWORKS.items():
        keras.utils.set_random_seed(1)
        model = build()
        write_weights(model, folder / f"{name}.npz")
        if name == "detector":  # As earlier versions wrote it.
            model.save(folder / f"{name}.keras")
        made[name] = answer(name, model)
    np.savez_compressed(folder / "answers.npz", **made)
    for path in photographs:
        shutil.copy(path, folder / path.name)
    shutil.rmtree(phantoms)
    shutil.rmtree(run_dir / "logs")
    shutil.rmtree(run_dir / "checkpoints")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
