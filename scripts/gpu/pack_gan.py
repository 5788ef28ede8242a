"""Pack the real images of some classes of record folders for the training of generative networks.

    python scripts/gpu/pack_gan.py tfrecords/isic2017 isic2017.npz --size 256 \\
        --class melanoma --class seborrheic_keratosis
    python scripts/gpu/pack_gan.py tfrecords/ham10000 ham10000.npz --size 128 --most 400

The images are those that `melanoma-tf train gan` takes: the middle squares of the real ones of the
split `train`, beside those held out.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from melanoma_tf.generation.data import read_real_images
from melanoma_tf.records.record_set import RecordSet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--class", dest="classes", action="append", help="default: all")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--most", type=int, default=0, help="training images of a class; 0: all")
    parser.add_argument("--most-held-out", type=int, default=0)
    parser.add_argument("--quality", type=int, default=90)
    given = parser.parse_args()
    records = RecordSet.read(given.records)
    names = given.classes or list(records.class_names)
    real = read_real_images(records, names, given.size)
    encoded, labels, training = [], [], []
    for label, name in enumerate(names):
        parts = ((real.training, given.most), (real.held_out, given.most_held_out))
        for is_training, (images, most) in zip((True, False), parts):
            chosen = np.random.default_rng(label).permutation(len(images[name]))
            chosen = np.sort(chosen[: most or None])
            for image in images[name][chosen]:
                options = [cv2.IMWRITE_WEBP_QUALITY, given.quality]
                encoded.append(cv2.imencode(".webp", image[..., ::-1], options)[1].ravel())
                labels.append(label)
                training.append(is_training)
            print(f"{name}: {len(chosen)} {'training' if is_training else 'held out'}")
    np.savez(
        given.output,
        classes=np.array(names),
        labels=np.array(labels),
        training=np.array(training),
        sizes=np.array([len(each) for each in encoded]),
        images=np.concatenate(encoded),
    )
    print(len(encoded), "images,", given.output.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
