"""Shuffle windows of encoded records are bounded by the memory that they take."""

from melanoma_tf.records.manifest import Manifest, Shard
from melanoma_tf.records.stream import bounded_window


def manifest(*shards):
    return Manifest(
        taxonomy="melanoma",
        class_names=("melanoma", "other"),
        counts=(),
        shards=tuple(
            Shard(f"{split}-{index}", split, count, size_bytes, "")
            for index, (split, count, size_bytes) in enumerate(shards)
        ),
        settings={},
        sources={},
    )


def test_small_records_fill_the_whole_window():
    assert bounded_window(4096, [manifest(("train", 1000, 15_000_000))], "train") == 4096


def test_large_records_fill_256_mib_over_all_streams():
    mib = 2**20
    large = manifest(("train", 100, 100 * mib), ("test", 1, 10_000 * mib))
    assert bounded_window(4096, [large], "train") == 256
    assert bounded_window(4096, [large], "train", streams=7) == 36
    # The folder with the largest records decides, since any window may be full of them.
    assert bounded_window(4096, [large, manifest(("train", 10, 640 * mib))], "train") == 4
    assert bounded_window(4096, [manifest(("train", 1, 999 * mib))], "train") == 1
