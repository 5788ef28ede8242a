"""A segmenter trained, used and exported, in the small."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.core.keras import keras
from melanoma_tf.records.manifest import read_manifest, shard_paths
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.schema import deserialize
from melanoma_tf.records.writer import Description, write_records
from melanoma_tf.segmentation import train as segmentation_train
from melanoma_tf.segmentation.data import training_batches
from melanoma_tf.segmentation.predict import load_segmenter, segment_files
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.segmentation.train import (
    SEGMENTER,
    best_threshold,
    segmenter_inputs,
    train_segmenter,
)
from melanoma_tf.serving.export import export_run
from melanoma_tf.serving.settings import ExportSettings
from melanoma_tf.training.run_record import read_run

SMALL = SegmenterSettings(
    image_size_px=64,
    base_filters=2,
    padding="same",
    normalization="batch",
    epochs=2,
    batch_size=12,
    learning_rate=3e-3,
    schedule="cosine",
    overlap="dice",
    average_momentum=0.5,
    # The graph of stronger augmentation takes longer to build than all else here to run.
    augment="mild",
    threshold=0.0,
)


def quiet(_):
    pass


def two_convolutions(size_px, base_filters, **options):
    """A network that takes a second to compile; the one of Table 1 has tests of its own."""
    images = keras.Input((size_px, size_px, 3))
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.Conv2D(4 * base_filters, 5, padding="same", activation="relu")(features)
    features = keras.layers.BatchNormalization(synchronized=True)(features)
    lesion = keras.layers.Conv2D(1, 1, activation="sigmoid", dtype="float32")(features)
    return keras.Model(images, lesion, name="segmenter")


@pytest.fixture(scope="module", autouse=True)
def _small_network():
    """What is tested here, runs and their use, does not depend on the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmentation_train, "build_segmenter", two_convolutions)
        yield


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, phantom_records):
    folder = tmp_path_factory.mktemp("runs") / "outlines"
    train_segmenter(phantom_records, folder, SMALL, log=quiet)
    return folder


def images_of(folder):
    return folder / "ISIC-2017_Training_Data"


def test_the_run_folder_has_history_threshold_and_overlays(run_dir, preview_tags):
    history = json.loads((run_dir / "history.json").read_text())
    assert {"loss", "jaccard", "dice", "val_jaccard", "val_dice"} <= set(history)
    assert len(history["loss"]) == 2
    assert 0.2 <= json.loads((run_dir / "threshold.json").read_text())["threshold"] <= 0.7
    assert any(tag.startswith("outlines") for tag in preview_tags(run_dir))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(run_dir, phantom_records, tmp_path):
    """Also with averaged weights, of which a checkpoint must keep both."""

    def stop(line):
        if line.startswith("epoch 1/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_segmenter(phantom_records, tmp_path / "run", SMALL, log=stop)
    resumed = train_segmenter(phantom_records, tmp_path / "run", SMALL, resume=True, log=quiet)
    whole = json.loads((run_dir / "history.json").read_text())
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(resumed[name], whole[name], rtol=2e-2)


def test_another_runs_weights_are_a_start_and_must_fit(run_dir, phantom_records, tmp_path):
    start = SegmenterSettings(
        **{**SMALL.__dict__, "weights": str(run_dir / "weights.npz"), "epochs": 1}
    )
    history = train_segmenter(phantom_records, tmp_path / "second", start, log=quiet)
    first = json.loads((run_dir / "history.json").read_text())
    assert history["loss"][0] < first["loss"][0]
    other = SegmenterSettings(**{**start.__dict__, "base_filters": 3})
    with pytest.raises(MelanomaError, match=r"expected 0000/kernel of the shape"):
        train_segmenter(phantom_records, tmp_path / "third", other, log=quiet)
    assert not (tmp_path / "third").exists()


def test_two_replicas_train_as_one_does(run_dir, phantom_records, tmp_path):
    """Averaged weights too, which live on both."""
    mirrored = SegmenterSettings(**{**SMALL.__dict__, "strategy": "mirrored", "replicas": 2})
    history = train_segmenter(phantom_records, tmp_path / "run", mirrored, log=quiet)
    single = json.loads((run_dir / "history.json").read_text())
    np.testing.assert_allclose(history["loss"], single["loss"], rtol=5e-2)


@pytest.mark.parametrize(
    ("field", "value"), [("schedule", "step"), ("augment", "some"), ("overlap", "all")]
)
def test_unknown_settings_are_refused(field, value):
    with pytest.raises(MelanomaError, match=f"expected {field} out of .*found {value}"):
        SegmenterSettings(**{**SMALL.__dict__, field: value})


def test_devices_adds_random_convolutions_to_skin(phantom_records):
    """And the lesions stay where they were."""
    manifest = read_manifest(phantom_records)

    def batch(augment):
        settings = SegmenterSettings(**{**SMALL.__dict__, "augment": augment})
        count = manifest.count(split="train")
        inputs = segmenter_inputs(settings)
        return next(iter(training_batches(RecordSet.read(phantom_records), inputs, count)))

    (skin, skin_masks), (devices, devices_masks) = batch("skin"), batch("devices")
    np.testing.assert_array_equal(devices_masks, skin_masks)
    changed = np.abs(devices - skin).mean(axis=(1, 2, 3))
    assert (changed > 1.0).mean() > 0.7


def test_several_folders_train_one_segmenter(phantom_records, tmp_path):
    """The second has other images; both are seen, and the first one's validation split judges."""
    second = write_records(
        (
            dataclasses.replace(
                example,
                key=f"other_{example.key}",
                lesion_id="",
                patient_id="",
                image=tf.io.encode_jpeg(255 - tf.io.decode_image(example.image)).numpy(),
            )
            for example in map(deserialize, _stored(phantom_records, "train"))
        ),
        tmp_path / "second",
        Description(
            "isic2017",
            read_manifest(phantom_records).class_names,
            settings={},
            sources={"phantoms": {"licence": "CC0-1.0", "attribution": "none"}},
        ),
    )
    settings = SegmenterSettings(**{**SMALL.__dict__, "epochs": 1})
    both = (phantom_records, tmp_path / "second")
    train_segmenter(both, tmp_path / "run", settings, log=quiet)
    record = read_run(tmp_path / "run", SEGMENTER)
    assert record.settings == settings
    assert record.record_paths() == both
    single = read_manifest(phantom_records).count(split="train")
    assert RecordSet.read(both).count(split="train") == single + second.count(split="train")


def _stored(folder, split):
    paths = shard_paths(folder, read_manifest(folder), split)
    return tf.data.TFRecordDataset([str(path) for path in paths]).as_numpy_iterator()


def test_the_best_threshold_is_found():
    truth = np.zeros((2, 4, 4, 1), np.float32)
    truth[:, 1:3] = 1.0
    probability = np.where(truth > 0, 0.62, 0.48).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((probability, truth)).batch(2)
    assert best_threshold(lambda images, training: images, batches) == 0.5


def test_masks_of_a_folder_have_the_images_names_and_sizes(run_dir, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("wide.jpg", (30, 90)), ("tiny.png", (9, 12)), ("photo.jpeg", (120, 80))):
        cv2.imwrite(str(photos / name), rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    cv2.imwrite(str(photos / "photo_superpixels.png"), np.zeros((9, 9, 3), np.uint8))
    output = tmp_path / "masks"
    command = ["segment", str(photos), "--run-dir", str(run_dir), "--output", str(output)]
    done = CliRunner().invoke(main, [*command, "--overlay"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in output.glob("*.png"))
    assert names == [f"{name}_segmentation.png" for name in ("photo", "tiny", "wide")]
    for name, size in (("wide", (30, 90)), ("tiny", (9, 12)), ("photo", (120, 80))):
        mask = cv2.imread(str(output / f"{name}_segmentation.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == size
        assert set(np.unique(mask)) <= {0, 255}
        overlay = cv2.imread(str(output / "overlays" / f"{name}_overlay.jpg"))
        assert overlay.shape == (*size, 3)
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 1
    assert "--overwrite" in again.output


def test_a_file_that_is_no_image_is_named_and_the_others_go_on(run_dir, phantom_folder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for image in sorted(images_of(phantom_folder).glob("*.jpg"))[:3]:
        shutil.copy(image, photos)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    command = ["segment", str(photos), "--run-dir", str(run_dir), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "broken: truncated" in done.output
    assert "1 of 4 files were not segmented" in done.output
    assert len(list((tmp_path / "out").glob("*_segmentation.png"))) == 3


def test_two_images_of_one_name_and_folders_without_images_are_refused(run_dir, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for expected in ("found none", "expected images of different names"):
        command = ["segment", str(photos), "--run-dir", str(run_dir), "--output", "out"]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 1
        assert expected in done.output
        for suffix in (".jpg", ".png"):
            cv2.imwrite(str(photos / f"same{suffix}"), np.zeros((9, 9, 3), np.uint8))


def test_records_get_the_masks_that_they_lack(run_dir, phantom_records, tmp_path):
    manifest = read_manifest(phantom_records)
    examples = [
        deserialize(serialized)
        for path in shard_paths(phantom_records, manifest, "test")
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    own = examples[0].mask
    bare = [examples[0], *(_without_mask(example) for example in examples[1:])]
    write_records(bare, tmp_path / "bare", Description.of_copy(manifest))
    command = ["segment", str(tmp_path / "bare"), "--run-dir", str(run_dir), "--output"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / "full")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert f"wrote {len(bare) - 1} masks to" in done.output
    filled = [
        deserialize(serialized)
        for path in shard_paths(tmp_path / "full", read_manifest(tmp_path / "full"), "test")
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    assert [one.key for one in filled] == [one.key for one in examples]
    assert filled[0].mask == own
    for example in filled:
        assert tf.io.decode_png(example.mask).shape == (example.height, example.width, 1)


def test_a_truncated_shard_is_named_in_one_line(run_dir, phantom_records, tmp_path):
    shutil.copytree(phantom_records, tmp_path / "damaged")
    shard = sorted((tmp_path / "damaged").glob("train-*.tfrecord"))[0]
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-100])
    command = ["segment", str(tmp_path / "damaged"), "--run-dir", str(run_dir), "--output"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / "full")])
    assert done.exit_code == 1
    assert f"{shard}: expected {size} bytes; found {size - 100}: it is truncated" in done.output
    assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "full").exists()


def _without_mask(example):
    return type(example)(**{**example.__dict__, "mask": b""})


def test_the_exported_model_answers_as_the_command_does(run_dir, phantom_folder, tmp_path):
    export_run(run_dir, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model" / "1"))
    signature = loaded.signatures["serving_default"]
    paths = sorted(images_of(phantom_folder).glob("*.jpg"))[:3]
    contents = [path.read_bytes() for path in paths]
    large = cv2.resize(cv2.imread(str(paths[0])), (90, 70))
    contents.append(cv2.imencode(".png", large)[1].tobytes())
    answer = signature(images=tf.constant(contents))
    expected = [result.mask for result in segment_files(paths, load_segmenter(run_dir))]
    for found, mask in zip(answer["mask_bytes"].numpy(), expected):
        difference = cv2.imdecode(np.frombuffer(found, np.uint8), 0) != cv2.imdecode(
            np.frombuffer(mask, np.uint8), 0
        )
        assert difference.mean() < 1e-3
    assert tf.io.decode_png(answer["mask_bytes"][3]).shape == (70, 90, 1)
    assert signature(images=tf.constant([], tf.string))["mask_bytes"].shape == (0,)
    assert "Not a medical device" in (tmp_path / "model" / "1" / "model_card.md").read_text()
    with pytest.raises(MelanomaError, match="expected segmenter with a classifier only"):
        export_run(run_dir, tmp_path / "other", ExportSettings(segmenter="shipped"))
    assert not (tmp_path / "other").exists()


def test_a_run_of_another_kind_is_no_segmenter(run_dir, tmp_path):
    config = read_checked_json(run_dir / "config.json")
    (tmp_path / "config.json").write_text(json.dumps({**config, "kind": "classifier"}))
    with pytest.raises(MelanomaError, match="expected a segmenter run; found classifier"):
        load_segmenter(tmp_path)
