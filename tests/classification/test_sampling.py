"""Which image is seen when: plans, balance, origins; exact, shuffled, resumable."""

import itertools
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma_tf.classification.batches import check_batches, examples_by_class
from melanoma_tf.classification.data import training_batches, training_examples
from melanoma_tf.classification.expansion_plan import EXPANSION_PLANS, grow
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.sampling import generated_before, sample_examples
from melanoma_tf.classification.settings import (
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
    NetworkSettings,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.schema import Example
from melanoma_tf.records.writer import Description, write_records

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
COUNTS = {
    "melanoma": {"real": 3, "purified": 2, "generated": 4},
    "nevus": {"real": 7, "purified": 1, "generated": 0},
    "seborrheic_keratosis": {"real": 2, "purified": 0, "generated": 1},
}
HEIGHT, WIDTH, SIZE = 40, 52, 35  # 40 is the short side that crops of 35 px are cut from.
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def write(folder, counts, shards=2):
    """Records of these counts; keys are `origin/class/number`, all images the same picture."""
    encoded = tf.io.encode_png(PIXELS).numpy()
    examples = [
        Example(
            image=encoded, image_format="png", height=HEIGHT, width=WIDTH,
            key=f"{origin}/{name}/{number}", mask=b"", label=CLASSES.index(name), label_text=name,
            source="made" if origin != "generated" else "generated", split="train", origin=origin,
            parent="" if origin == "real" else "parent",
        )
        for name, row in counts.items() for origin, count in row.items() for number in range(count)
    ]  # fmt: skip
    examples = examples[::2] + examples[1::2]
    sources = {one.source: {"licence": "CC0-1.0", "attribution": "made"} for one in examples}
    description = Description("isic2017", CLASSES, {"image_size": HEIGHT}, sources)
    write_records(examples, folder, description)
    return RecordSet.read(folder)


def inputs_of(size_px, batch_size, **settings):
    network = NetworkSettings(image_size_px=size_px)
    return classifier_inputs(ClassifierSettings(batch_size=batch_size, network=network, **settings))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write(tmp_path_factory.mktemp("drawing") / "records", COUNTS)


def drawn(records, take, first_example=0, seed=0, window=4096, **settings):
    """`(number, key, view)` of some examples of a stream."""
    stream = sample_examples(
        records, BatchSettings(**settings), seed=seed, window=window, first_example=first_example
    )
    found = []
    for number, serialized, view in stream.take(take):
        features = tf.train.Example.FromString(serialized.numpy()).features.feature
        key = features["image/key"].bytes_list.value[0].decode()
        found.append((int(number), key, int(view)))
    return found


def planned(counts, plan=EXPANSION_PLANS["isic2017"]):
    """What an epoch must hold: each image six times, those to be mirrored twelve times."""
    return Counter(
        (f"{origin}/{name}/{number}", view)
        for name, row in counts.items()
        for origin, count in row.items()
        for number in range(count)
        for view in range(12 if origin in plan.mirrored[name] else 6)
    )


EPOCH = sum(row.examples for row in grow(COUNTS, EXPANSION_PLANS["isic2017"]))


@pytest.mark.parametrize("window", [5, 4096])
def test_an_epoch_of_a_plan_holds_exactly_its_examples(records, window):
    assert EPOCH == 6 * (3 * 2 + 2 + 4 * 2 + 7 + 1 + 2 * 2 + 1 * 2)
    stream = drawn(records, 2 * EPOCH, window=window, expansion="isic2017")
    assert [number for number, _, _ in stream] == list(range(2 * EPOCH))
    first, second = ([one[1:] for one in stream[start:][:EPOCH]] for start in (0, EPOCH))
    assert Counter(first) == Counter(second) == planned(COUNTS)
    assert first != second
    # Every sixth of an epoch is a fair sample of it: each image once, mirror images beside.
    sixth = Counter(key for key, _ in first[: EPOCH // 6])
    assert sixth == Counter({key: n // 6 for key, n in Counter(k for k, _ in first).items()})


@pytest.mark.parametrize("window", [5, 4096])
@pytest.mark.parametrize("first_example", [1, EPOCH + 17])
def test_a_plan_goes_on_where_it_was_left(records, window, first_example):
    whole = drawn(records, first_example + 9, window=window, expansion="isic2017")
    rest = drawn(records, 9, first_example, window=window, expansion="isic2017")
    assert rest == whole[first_example:]


def test_the_seed_decides_order_and_views(records):
    first, again, other = (drawn(records, EPOCH, seed=s, expansion="isic2017") for s in (1, 1, 2))
    assert first == again
    assert first != other
    views = [Counter(view for _, _, view in one[: EPOCH // 6]) for one in (first, other)]
    assert all(len(one) > 6 for one in views)


def expected_view(view):
    """By NumPy: mirrored first where it is a mirror image, then cropped, then flipped."""
    mirrored, flipped, crop = view // 6, view % 6 // 3, view % 3
    image = PIXELS[:, ::-1] if mirrored else PIXELS
    row, column = {0: (2, 8), 1: (0, 0), 2: (HEIGHT - SIZE, WIDTH - SIZE)}[crop]
    columns = {(0, 1): 9}.get((crop, mirrored), column)  # 17 px of room have two middles.
    cut = image[row : row + SIZE, columns : columns + SIZE]
    return cut[::-1] if flipped else cut


def test_the_views_of_a_plan_are_those_that_it_names(records):
    inputs = inputs_of(SIZE, 4, batches=BatchSettings(expansion="isic2017"))
    seen = Counter()
    for example in training_examples(records, inputs).take(EPOCH):
        view = int(example["view"])
        np.testing.assert_array_equal(example["image"], expected_view(view))
        name = CLASSES[int(example["label"])]
        assert example["image/key"].numpy().decode().split("/")[1] == name
        seen[example["image/key"].numpy().decode(), view] += 1
    assert seen == planned(COUNTS)


@pytest.mark.parametrize("origins", [("real",), ("real", "purified"), ("generated",)])
def test_only_the_wanted_origins_are_seen(records, origins):
    count = sum(row[origin] for row in COUNTS.values() for origin in origins)
    keys = [key for _, key, _ in drawn(records, 2 * count, origins=origins)]
    for epoch in (keys[:count], keys[count:]):
        assert len(set(epoch)) == count
        assert {key.split("/")[0] for key in epoch} == set(origins)
    assert sum(examples_by_class(records, BatchSettings(origins))) == count


def test_a_plan_of_some_origins_counts_only_those(records):
    settings = {"expansion": "isic2017", "origins": ("real",)}
    real = {name: {"real": row["real"]} for name, row in COUNTS.items()}
    count = sum(row.examples for row in grow(real, EXPANSION_PLANS["isic2017"]))
    assert sum(examples_by_class(records, BatchSettings(**settings))) == count
    seen = Counter(one[1:] for one in drawn(records, count, **settings))
    assert seen == planned(real)


def by_class(keys):
    return {name: [key for key in keys if key.split("/")[1] == name] for name in CLASSES}


def check_without_replacement(keys, count):
    for start in range(0, len(keys), count):
        part = keys[start : start + count]
        assert len(set(part)) == len(part)


@given(
    counts=st.tuples(*[st.integers(1, 9)] * 3),
    batch=st.integers(1, 8),
    first_example=st.integers(0, 40),
    window=st.sampled_from([3, 100]),
)
@settings(max_examples=4)
def test_balanced_batches_of_any_counts(tmp_path_factory, counts, batch, first_example, window):
    folder = tmp_path_factory.mktemp("balanced") / "records"
    records = write(folder, {name: {"real": n} for name, n in zip(CLASSES, counts)})
    take = first_example + 6 * batch * 3
    stream = drawn(records, take, seed=1, window=window, balance="batch")
    keys = [key for _, key, _ in stream]
    surplus = Counter()
    for start in range(0, len(keys) - batch + 1, batch):
        held_by = Counter(key.split("/")[1] for key in keys[start : start + batch])
        sizes = [held_by[name] for name in CLASSES]
        assert max(sizes) - min(sizes) <= 1
        surplus.update(held_by)
        assert max(surplus.values()) - min(surplus[name] for name in CLASSES) <= 1
    for name, count in zip(CLASSES, counts):
        check_without_replacement(by_class(keys)[name], count)
    rest = drawn(records, 5, first_example, seed=1, window=window, balance="batch")
    assert rest == stream[first_example : first_example + 5]


@pytest.fixture(scope="module")
def mostly_generated(tmp_path_factory):
    counts = {
        "melanoma": {"real": 5, "purified": 1, "generated": 12},
        "nevus": {"real": 9},
        "seborrheic_keratosis": {"real": 8, "generated": 2},
    }
    return write(tmp_path_factory.mktemp("shares") / "records", counts)


def test_the_generated_share_is_a_limit_of_each_class(mostly_generated):
    stream = drawn(mostly_generated, 300, balance="batch", generated_fraction=0.26)
    for name, keys in by_class([key for _, key, _ in stream]).items():
        assert len(keys) == 100
        generated = [key for key in keys if key.startswith("generated")]
        real = [key for key in keys if not key.startswith("generated")]
        # 2 of 10 are fewer than the limit, 12 of 18 more.
        assert len(generated) in {"melanoma": (26,), "nevus": (0,)}.get(name, (20,))
        if name == "melanoma":
            check_without_replacement(generated, 12)
            check_without_replacement(real, 6)
            due = np.cumsum([key.startswith("generated") for key in keys])
            assert np.abs(due - 0.26 * np.arange(1, 101)).max() < 1
            assert len(set(real)) == 6
        else:
            check_without_replacement(keys, {"nevus": 9}.get(name, 10))


def test_over_seeds_the_share_holds_at_every_place():
    """In expectation, not only in the long run: the first draws are generated as often as any."""
    due = np.array(
        [[generated_before(0.26, draws, seed, 1) for draws in range(5)] for seed in range(800)]
    )
    steps = np.diff(due, axis=1)
    assert set(np.unique(steps)) == {0, 1}
    np.testing.assert_allclose(steps.mean(0), 0.26, atol=0.05)
    assert (due[:, 0] == 0).all()


def test_a_share_of_zero_takes_no_generated_image(mostly_generated):
    stream = drawn(mostly_generated, 60, balance="batch", generated_fraction=0.0)
    assert not [key for _, key, _ in stream if key.startswith("generated")]


@pytest.mark.parametrize("first_example", [7, 100])
def test_a_limited_share_goes_on_where_it_was_left(mostly_generated, first_example):
    settings = {"balance": "batch", "generated_fraction": 0.3, "seed": 5}
    whole = drawn(mostly_generated, first_example + 12, **settings)
    assert drawn(mostly_generated, 12, first_example, **settings) == whole[first_example:]


def test_strong_and_mixed_batches_are_reproducible_and_resumable(records):
    inputs = inputs_of(
        32,
        6,
        seed=2,
        batches=BatchSettings(balance="batch"),
        augmentation=AugmentationSettings("strong", mixup=0.4, cutmix=1.0),
    )
    batches = training_batches(records.folders, inputs).take(3)
    first, again = list(batches), list(batches)
    resumed = next(iter(training_batches(records.folders, inputs, first_example=12)))
    for ours, theirs in itertools.chain(zip(first, again), [(first[2], resumed)]):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    images, labels = first[0]
    assert images.dtype == tf.uint8
    assert (labels.dtype, labels.shape) == (tf.float32, (6, 3))
    np.testing.assert_allclose(np.sum(labels, 1), 1.0, atol=1e-6)
    # Two of each class were mixed among themselves: no class gains or loses on average.
    totals = np.sum([np.sum(one[1], 0) for one in first], 0)
    np.testing.assert_allclose(totals, [6, 6, 6], atol=3)


def test_augmentation_leaves_labels_alone(records):
    def labels(preset):
        inputs = inputs_of(32, 5, augmentation=AugmentationSettings(preset))
        batches = training_batches(records.folders, inputs)
        return [batch[1].numpy().tolist() for batch in batches.take(4)]

    assert labels("strong") == labels("none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"origins": ("fake",)}, "origins out of real, purified, generated; found fake"),
        ({"balance": "epoch"}, "balance out of none, batch; found epoch"),
        ({"expansion": "isic1999"}, "expansion out of none, isic2017, .*; found isic1999"),
        (
            {"expansion": "isic2017", "balance": "batch"},
            "expansion or balanced batches; found both",
        ),
        ({"balance": "batch", "generated_fraction": 1.0}, r"fraction within \[0, 1\); found 1.0"),
        ({"balance": "batch", "generated_fraction": -0.1}, r"fraction within \[0, 1\); found -0.1"),
        ({"balance": "batch", "generated_fraction": float("nan")}, "found nan"),
        ({"generated_fraction": 0.2}, "with a generated fraction; found balance none"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(MelanomaError, match=message):
        BatchSettings(**settings)


@pytest.mark.parametrize(
    ("counts", "settings", "message"),
    [
        ({"melanoma": {"real": 2}, "nevus": {"real": 2}}, {"balance": "batch"},
         "images of every class for balanced batches; found none of seborrheic_keratosis"),
        ({name: {"real": 1} for name in CLASSES}, {"balance": "batch", "generated_fraction": 0.2},
         "expected generated training images with a generated fraction of 0.2; found none"),
        ({**{name: {"real": 1} for name in CLASSES}, "melanoma": {"generated": 3}},
         {"balance": "batch", "generated_fraction": 0.2},
         "real or purified training images of every class .* none of melanoma"),
        ({name: {"real": 1} for name in CLASSES}, {"expansion": "isic2018"},
         "expected the classes .*vascular_lesion; found melanoma, nevus, seborrheic_keratosis"),
        ({name: {"real": 1} for name in CLASSES}, {"origins": ("purified", "generated")},
         "training images of origin purified or generated; found none"),
    ],
)  # fmt: skip
def test_records_that_cannot_make_such_batches_are_refused(tmp_path, counts, settings, message):
    with pytest.raises(MelanomaError, match=message):
        check_batches(write(tmp_path / "records", counts), BatchSettings(**settings))
