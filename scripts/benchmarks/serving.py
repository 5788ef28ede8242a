"""Latency of an exported classifier against the bare network, its cold start, and bad photographs.

python scripts/benchmarks/serving.py --backbone resnet50 --image-size 224

The network is untrained: speed does not depend on the weights. CPU time tells more than wall
time on a machine that does other work too.
"""

import argparse
import functools
import io
import os
import resource
import tempfile
import time
from pathlib import Path

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

from melanoma_tf.backbones.classifier import build_classifier
from melanoma_tf.classification.data import central_view
from melanoma_tf.classification.inputs import classifier_inputs, purified_by
from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
from melanoma_tf.phantoms import PHANTOM_CLASSES, PhantomSettings, draw_phantom
from melanoma_tf.purification.networks import GraphPurifier
from melanoma_tf.segmentation.predict import load_segmenter
from melanoma_tf.serving.classification_graph import ClassificationGraph, ClassifierParts
from melanoma_tf.serving.reader import PhotographReader, graph_function
from melanoma_tf.serving.saving import save_signatures

WAYS = ("bare network", "reading alone", "classify", "classify, purified", "explain", "segment")


def photographs(count: int) -> tuple[list[bytes], list[np.ndarray]]:
    """JPEG files of 600x450, as data sets hold them."""
    settings = PhantomSettings((450, 600))
    classes = [PHANTOM_CLASSES[seed % len(PHANTOM_CLASSES)] for seed in range(count)]
    images = [draw_phantom(name, seed, settings).image for seed, name in enumerate(classes)]
    return [encoded(image, "JPEG", quality=92) for image in images], images


def encoded(pixels, kind: str, mode: str | None = None, **options) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def exported(folder: Path, network, inputs, *, saliency=False, segmenter=None) -> float:
    """Write a SavedModel; the seconds that it took."""
    purifier = None if inputs.test_purification == "none" else GraphPurifier("classical")
    names = tuple(f"class {index}" for index in range(network.output_shape[-1]))
    parts = ClassifierParts(
        network, names, inputs, purifier=purifier, saliency=saliency, segmenter=segmenter
    )
    graph = ClassificationGraph(parts)
    signatures = {"serving_default": graph.serve}
    if saliency:
        signatures["explain"] = graph.explain
    if graph.segmentation is not None:
        signatures["segment"] = graph.segmentation.segment
    started = time.perf_counter()
    save_signatures(graph, signatures, folder)
    return time.perf_counter() - started


def timed(call, batch: int, seconds: float) -> tuple[float, float, float, float]:
    """p50 and p99 in ms, images/s, and ms of CPU time for each image."""
    call()
    call()
    latencies, cpu = [], time.process_time()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(latencies) < 5:
        started = time.perf_counter()
        call()
        latencies.append(time.perf_counter() - started)
    cpu = 1e3 * (time.process_time() - cpu) / (batch * len(latencies))
    p50, p99 = np.percentile(latencies, [50, 99])
    return 1e3 * p50, 1e3 * p99, batch * len(latencies) / sum(latencies), cpu


def reading_alone(inputs, size_px: int):
    """From encoded photographs to the squares that a network sees."""
    reader, spec = PhotographReader(50.0), tf.TensorSpec([size_px, size_px, 3], tf.uint8)

    @graph_function([tf.TensorSpec([None], tf.string)])
    def read(images):
        see = lambda encoded, orientation: [central_view(encoded, inputs, orientation)]  # noqa: E731
        return reader.read(images, see, [spec]).values[0]

    return read


def calls(folder: Path, network, inputs, size_px: int, ways) -> dict:
    """What is timed: from a batch of files and of ready tensors to an answer."""
    bare = tf.function(lambda images: tf.nn.softmax(network(images, training=False)))
    reading = reading_alone(inputs, size_px)
    found = {
        "bare network": lambda files, tensors: bare(tensors),
        "reading alone": lambda files, tensors: reading(files),
    }
    purified = classifier_inputs(purified_by(inputs.settings, "classical"))
    segmenter = load_segmenter() if "segment" in ways else None
    for name, options in (
        ("classify", {}),
        ("classify, purified", {"inputs": purified}),
        ("explain", {"saliency": True}),
        ("segment", {"segmenter": segmenter}),
    ):
        if name not in ways:
            continue
        target = folder / name.replace(", ", "_")
        exported(target, network, options.pop("inputs", inputs), **options)
        model = tf.saved_model.load(str(target))
        key = name if name in model.signatures else "serving_default"
        # The model is kept: its signatures only refer to its variables.
        found[name] = lambda files, _, s=model.signatures[key], m=model: s(images=files)
    return found


def malformed(rng: np.random.Generator, kind: int, photo: bytes) -> bytes:
    """A bad or unusual file."""
    pixels = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    makers = (
        lambda: b"",
        lambda: b"no image at all",
        lambda: photo[: rng.integers(1, len(photo))],
        lambda: bytes(rng.integers(0, 256, 500, dtype=np.uint8)),
        lambda: photo[:20] + bytes(rng.integers(0, 256, 200, dtype=np.uint8)) + photo[220:],
        lambda: encoded(np.zeros((200_000, 1), np.uint8), "PNG"),
        lambda: encoded(np.zeros((20_000, 20_000), np.uint8), "PNG"),
        lambda: encoded(pixels[:1, :1], "PNG"),
        lambda: encoded(rng.integers(0, 65536, (40, 60), dtype=np.uint16), "PNG"),
        lambda: encoded(pixels, "JPEG", mode="CMYK"),
        lambda: encoded(pixels, "GIF", save_all=True, append_images=[Image.new("RGB", (60, 40))]),
        lambda: encoded(pixels, "BMP", mode="P"),
        lambda: encoded(pixels, "TIFF"),
        lambda: encoded(pixels, "WEBP"),
        lambda: encoded(pixels, "PNG")[:-30],
    )
    return makers[kind % len(makers)]()


def endure(signature, photos: list[bytes], count: int) -> None:
    """Send bad files within batches of good ones; check statuses, answers and memory."""
    rng = np.random.default_rng(0)
    kinds = [malformed(rng, kind, photos[0]) for kind in range(15 * 4)]
    alone = signature(images=tf.constant(photos[:4]))["probabilities"].numpy()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    statuses: dict[int, int] = {}
    for start in range(0, count, 4):
        bad = [kinds[(start + index) % len(kinds)] for index in range(4)]
        files = [each for pair in zip(photos[:4], bad) for each in pair]
        answer = signature(images=tf.constant(files))
        status, found = answer["status"].numpy(), answer["probabilities"].numpy()
        assert not status[::2].any(), "a good photograph was refused"
        np.testing.assert_allclose(found[::2], alone, atol=1e-5)
        np.testing.assert_allclose(found[1::2].sum(1), status[1::2] == 0, atol=1e-5)
        for each in status[1::2]:
            statuses[int(each)] = statuses.get(int(each), 0) + 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{count} bad or unusual files among good ones: statuses {dict(sorted(statuses.items()))}"
    )
    print(f"all good ones answered as alone; the peak memory grew by {grown:,.0f} MB")


def cold_start(folder: Path, files: tf.Tensor) -> None:
    started = time.perf_counter()
    model = tf.saved_model.load(str(folder))
    loaded = time.perf_counter()
    print(f"cold start: load {loaded - started:.2f} s", end="")
    for name in ("first request", "second", "third (as after warm-up)"):
        started = time.perf_counter()
        model.signatures["serving_default"](images=files)
        print(f", {name} {time.perf_counter() - started:.2f} s", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=10, help="for each measurement")
    parser.add_argument("--malformed", type=int, default=1000, help="bad files to send")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--ways", default="|".join(WAYS), help="separated by |")
    add_json_option(parser)
    options = parser.parse_args()
    size, ways = options.image_size, options.ways.split("|")
    batches = [int(each) for each in options.batches.split(",")]
    network = build_classifier(
        backbone=options.backbone, num_classes=3, image_size_px=size, weights="none"
    )
    settings = NetworkSettings(options.backbone, "none", image_size_px=size)
    inputs = classifier_inputs(ClassifierSettings(network=settings), batch_size=1)
    files, pixels = photographs(max(4, *batches))
    crops = np.stack([image[113 : 113 + size, 188 : 188 + size] for image in pixels])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = calls(folder, network, inputs, size, ways)
        print(
            f"{'':20} {'batch':>5} {'p50 ms':>8} {'p99 ms':>8} {'images/s':>9} {'CPU ms/image':>13}"
        )
        rows = []
        for batch in batches:
            bare = None
            given = tf.constant(files[:batch]), tf.constant(crops[:batch])
            for way in ways:
                call = functools.partial(found[way], *given)
                p50, p99, rate, cpu = timed(call, batch, options.seconds)
                row = f"{way:20} {batch:5} {p50:8.1f} {p99:8.1f} {rate:9.1f} {cpu:13.1f}"
                print(row, flush=True)
                if way == "bare network":
                    bare = cpu
                elif bare is not None:
                    work = f"{options.backbone} at {size} px, batch {batch}: {way}"
                    rows.append(Comparison(work, cpu, bare, "ms", "bare network"))
        write_json(options.json, rows)
        if "classify" not in ways:
            return
        cold_start(folder / "classify", tf.constant(files[:1]))
        if options.malformed:
            model = tf.saved_model.load(str(folder / "classify"))
            endure(model.signatures["serving_default"], files, options.malformed)


if __name__ == "__main__":
    main()
