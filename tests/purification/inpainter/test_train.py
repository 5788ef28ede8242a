"""A data purification network trained and used, in the small."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification.data import ClassifierInputs, augmentation_of, central_view
from melanoma_tf.classification.inputs import classifier_inputs, purified_by
from melanoma_tf.classification.settings import ClassifierSettings
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.images import loading
from melanoma_tf.images.filling import fill
from melanoma_tf.purification.inpainter.data import evaluation_batches, training_batches
from melanoma_tf.purification.inpainter.inference import INPAINTER
from melanoma_tf.purification.inpainter.settings import RECIPES, InpainterSettings
from melanoma_tf.purification.inpainter.train import feature_source, train_inpainter
from melanoma_tf.purification.networks import GraphPurifier, load_networks
from melanoma_tf.purification.purify import purify_by
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.serving.export import export_run
from melanoma_tf.training.run_record import read_run
from tests.conftest import few_occlusions

SMALL = InpainterSettings(
    image_size_px=32,
    base_filters=2,
    levels=1,
    full_size=True,
    features="none",
    epochs=2,
    frozen_epochs=1,
    batch_size=12,
    learning_rate=2e-3,
    frozen_learning_rate=1e-2,
)
INPUTS = InpainterSettings(image_size_px=32, batch_size=6)
pytestmark = pytest.mark.usefixtures("strip_for_occlusions")


def quiet(_):
    pass


class DarkPixels(tf.Module):
    """In the place of the detector that ships, whose graph takes long to build and to write."""

    def __call__(self, images):
        return tf.cast(tf.reduce_mean(images, -1, keepdims=True) < 0.4, tf.float32)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, phantom_records):
    folder = tmp_path_factory.mktemp("runs") / "inpainter"
    with few_occlusions():
        train_inpainter(phantom_records, folder, SMALL, log=quiet)
    return folder


@pytest.fixture(scope="module")
def batches(phantom_records):
    """The first three batches of a training."""
    with few_occlusions():
        pairs = training_batches(RecordSet.read(phantom_records), INPUTS).take(3)
        return list(pairs.as_numpy_iterator())


def first_batch(records, inputs):
    with few_occlusions():
        return next(iter(training_batches(RecordSet.read(records), inputs).take(1)))


def test_pairs_hide_what_counts_and_know_the_truth(batches):
    counted = 0
    for (images, known), packed in batches:
        assert images.shape == (6, 32, 32, 3)
        assert set(np.unique(known)) <= {0.0, 1.0}
        assert (images[known[..., 0] == 0] == 0).all()
        np.testing.assert_array_equal(packed[..., 3:4], known)
        assert packed[..., :3].min() >= 0
        assert packed[..., :3].max() <= 255.01
        counted += ((1 - known) * packed[..., 4:]).sum()
    assert counted > 0


def test_the_classical_fraction_has_the_classical_filling_for_truth(phantom_records):
    inputs = dataclasses.replace(INPUTS, classical_fraction=1.0)
    (images, known), packed = first_batch(phantom_records, inputs)
    assert not known[:, 2:7].numpy().any()  # The strip, and a pixel on both sides.
    assert known[:, :2].numpy().all()
    np.testing.assert_allclose(packed[..., :3], fill(images, 1.0 - known), atol=0.01)
    assert packed[..., 4:].numpy().all()


def test_own_occlusions_of_an_image_are_holes_that_do_not_count(phantom_records):
    inputs = dataclasses.replace(INPUTS, classical_fraction=0.0)
    (_, known), packed = first_batch(phantom_records, inputs)
    assert not known[:, :9].numpy().any()  # The strip, and three pixels on both sides.
    assert not packed[:, :9, :, 4].numpy().any()
    assert packed[:, 9:, :, 4].numpy().all()


def test_the_stream_goes_on_where_it_was_left_and_validation_never_changes(
    batches, phantom_records
):
    records = RecordSet.read(phantom_records)
    other = dataclasses.replace(INPUTS, seed=9, batch_size=3)
    with few_occlusions():
        later = next(iter(training_batches(records, INPUTS, first_example=12).take(1)))
        one, two = (
            np.concatenate([packed for _, packed in evaluation_batches(records, "test", each)])
            for each in (INPUTS, other)
        )
    np.testing.assert_array_equal(batches[2][1], later[1])
    np.testing.assert_array_equal(one, two)


def test_the_run_folder_has_history_settings_and_sheets(run_dir, preview_tags):
    history = json.loads((run_dir / "history.json").read_text())
    assert {"loss", "hole_psnr", "val_hole_psnr"} <= set(history)
    assert history["learning_rate"] == pytest.approx([2e-3, 1e-2])
    record = read_run(run_dir, INPAINTER)
    assert record.settings == SMALL
    assert record.details["feature_network"].startswith("none")
    assert any(tag.startswith("holes, mask, filled, truth") for tag in preview_tags(run_dir))


def test_the_recipe_is_the_paper_s():
    recipe = RECIPES["bisla2019"]
    assert (recipe.epochs, recipe.frozen_epochs, recipe.batch_size) == (100, 20, 8)
    assert (recipe.learning_rate, recipe.frozen_learning_rate) == (2e-4, 1e-4)
    assert (recipe.base_filters, recipe.levels, recipe.features) == (64, 7, "imagenet")


def test_the_second_phase_leaves_the_encoder_s_normalisation(run_dir):
    kept = []
    for number in (1, 2):
        reader = tf.train.load_checkpoint(str(run_dir / "checkpoints" / f"ckpt-{number}"))
        names = sorted(reader.get_variable_to_shape_map())
        values = {
            name: reader.get_tensor(name)
            for name in names
            if "moving_mean" in name and "optimizer" not in name.lower()
        }
        kept.append(values)
    same = [np.array_equal(kept[0][name], kept[1][name]) for name in kept[0]]
    assert (sum(same), len(same)) == (2, 3)  # The encoder's; the decoder's went on.


def test_a_classifier_run_gives_features_and_is_named_for_what_it_is(trained_run, tmp_path):
    settings = dataclasses.replace(SMALL, features=str(trained_run))
    with pytest.raises(MelanomaError, match="feature maps of 3 sizes; found 1"):
        feature_source(settings)  # The tests' tiny backbone.
    vgg = feature_source(dataclasses.replace(SMALL, features="imagenet"))
    assert vgg.name == "VGG-16 with ImageNet weights"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frozen_epochs": 3}, "0 to 2 frozen epochs, of all; found 3"),
        ({"schedule": "step"}, "found step"),
        ({"image_size_px": 16}, r"image_size_px within \[32, 512\]; found 16"),
        ({"detected_fraction": 2.0}, r"detected_fraction within \[0, 1\]; found 2"),
    ],
)
def test_impossible_settings_are_refused(phantom_records, tmp_path, changes, message):
    with pytest.raises(MelanomaError, match=message):
        settings = dataclasses.replace(SMALL, **changes)
        train_inpainter(phantom_records, tmp_path / "run", settings, log=quiet)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def photos(tmp_path):
    """A hairy photo, its copy without hair, and a mask of the hair."""
    folder = tmp_path / "photos"
    folder.mkdir()
    image = np.full((48, 60, 3), 190, np.uint8)
    cv2.imwrite(str(folder / "clear.png"), image)
    mask = np.zeros((48, 60), np.uint8)
    cv2.line(mask, (0, 20), (59, 30), 255, 1)
    image[mask > 0] = 30
    cv2.imwrite(str(folder / "hairy.png"), image)
    return folder, mask


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_given_masks_are_filled_and_nothing_else(run_dir, photos, tmp_path):
    folder, mask = photos
    masks = tmp_path / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "hairy_occlusion.png"), mask)
    cv2.imwrite(str(masks / "clear.png"), np.zeros_like(mask))
    out = tmp_path / "out"
    command = ["purify", folder, "--method", "network", "--inpainter", run_dir, "--output", out]
    done = invoke(*command, "--mask", masks)
    assert done.exit_code == 0, done.output
    assert (out / "clear.png").read_bytes() == (folder / "clear.png").read_bytes()
    before, after = (cv2.imread(str(each / "hairy.png")) for each in (folder, out))
    np.testing.assert_array_equal(before[mask == 0], after[mask == 0])
    assert (before[mask > 0] != after[mask > 0]).any()


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [((48, 60), 255, "covers the whole image"), ((47, 60), 0, "48x60; found 47x60")],
)
def test_a_full_mask_and_one_of_another_size_are_errors(
    run_dir, photos, tmp_path, shape, value, message
):
    cv2.imwrite(str(tmp_path / "mask.png"), np.full(shape, value, np.uint8))
    command = ["purify", photos[0] / "hairy.png", "--method", "network", "--inpainter", run_dir]
    done = invoke(*command, "--output", tmp_path / "out", "--mask", tmp_path / "mask.png")
    assert done.exit_code == 1
    assert message in done.output
    assert not (tmp_path / "out" / "hairy.png").exists()


def test_runs_that_cannot_be_used_and_options_of_other_methods_are_refused(
    run_dir, photos, tmp_path
):
    source, out = photos[0] / "hairy.png", tmp_path / "out"
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((run_dir / "config.json").read_text())
    (broken / "weights.npz").write_bytes(b"no model")
    other = tmp_path / "other"
    other.mkdir()
    config = read_checked_json(run_dir / "config.json")
    (other / "config.json").write_text(json.dumps({**config, "kind": "gan"}))
    for method, given, message in (
        ("network", broken, "expected a whole .npz file of arrays"),
        ("network", other, "expected a inpainter run; found gan"),
        ("network", tmp_path, "found no config.json there"),
        ("classical", run_dir, "--inpainter with --method network only"),
    ):
        done = invoke("purify", source, "--method", method, "--inpainter", given, "--output", out)
        assert done.exit_code == 1
        assert message in done.output
    done = invoke("purify", photos[0], "--method", "network", "--inpainter", run_dir,
                  "--output", out, "--mask", source)  # fmt: skip
    assert "a folder of masks for 2 images" in done.output
    done = invoke("purify", source, "--mask", source, "--output", out, "--method", "classical")
    assert "--mask with --method network only" in done.output


def test_records_say_which_network_purified_them(run_dir, few_records, tmp_path, monkeypatch):
    monkeypatch.setattr("melanoma_tf.purification.networks.shipped_detector", DarkPixels)
    out = tmp_path / "purified"
    done = invoke("purify", few_records, "--method", "network", "--inpainter", run_dir,
                  "--segmenter", "none", "--min-occlusion", 0.02,
                  "--output", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    manifest = read_manifest(out)
    assert manifest.count(origin="purified") > 0
    assert manifest.settings["purify"]["inpainter"] == run_dir.name


@pytest.mark.parametrize(
    "detector", ["dark pixels", pytest.param("shipped", marks=pytest.mark.faults)]
)
def test_a_classifier_is_evaluated_and_served_with_the_network_inside(
    run_dir, trained_run, photos, tmp_path, monkeypatch, detector
):
    """A classifier's run that says so; compared with purifying the image by hand."""
    if detector != "shipped":
        monkeypatch.setattr("melanoma_tf.purification.networks.shipped_detector", DarkPixels)
    run = tmp_path / "classifier"
    shutil.copytree(trained_run, run)
    record = read_run(run, CLASSIFIER)
    settings = dataclasses.replace(
        record.settings, purify="test", purify_method="network", purify_network=str(run_dir)
    )
    record = dataclasses.replace(record, settings=settings)
    (run / "config.json").write_text(json.dumps(record.to_json()))
    inputs = classifier_inputs(settings, batch_size=1)
    assert inputs.test_purification == "network"
    encoded = (photos[0] / "hairy.png").read_bytes()
    loaded = loading.load_image(tf.constant(encoded), inputs.short_side_px)
    networks = load_networks(run_dir)
    by_hand, replaced = purify_by(networks.fill, loaded, find=networks.find)
    assert replaced.numpy().any()
    seen = central_view(tf.constant(encoded), inputs)
    np.testing.assert_array_equal(seen, loading.centre_crop(by_hand, inputs.image_size_px))

    export_run(run, tmp_path / "model")
    served = tf.saved_model.load(str(tmp_path / "model" / "1"))
    answer = served.signatures["serving_default"](images=tf.constant([encoded]))
    model = load_classifier(run)
    temperature = json.loads((run / "calibration.json").read_text())["temperature"]
    expected = tf.nn.softmax(model(seen[tf.newaxis], training=False) / temperature)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    metadata = json.loads((tmp_path / "model" / "1" / "metadata.json").read_text())
    assert metadata["preprocessing"]["purified"] == "network"
    for method, in_evaluation in (("none", "none"), ("classical", "classical")):
        changed = classifier_inputs(purified_by(settings, method))
        assert changed.test_purification == in_evaluation
    by_network = classifier_inputs(purified_by(settings, "network"))
    assert by_network.purify_image.inpainter is not None


def test_purifiers_that_make_no_sense_are_refused(run_dir):
    with pytest.raises(MelanomaError, match="classical, bisla2019, network; found 'magic'"):
        GraphPurifier("magic")
    with pytest.raises(MelanomaError, match="expected networks with the method network only"):
        GraphPurifier("classical", run_dir)
    settings = ClassifierSettings(purify="test", purify_method="network")
    with pytest.raises(MelanomaError, match="a network to purify with by the method network"):
        ClassifierInputs(settings, augmentation_of(settings.augmentation))


def test_a_copy_says_no_more_than_its_pixels(run_dir, photos, tmp_path):
    """The image of which nothing is replaced has an EXIF block, and stands upright through it."""
    from PIL import Image

    folder, mask = photos
    source = tmp_path / "source.jpg"
    exif = Image.Exif()
    exif[0x112], exif[0x13B] = 3, "SECRET"
    with Image.open(folder / "clear.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    Image.fromarray(pixels[::-1, ::-1]).save(source, quality=100, exif=exif)
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros_like(mask))
    done = invoke("purify", source, "--method", "network", "--inpainter", run_dir,
                  "--mask", tmp_path / "mask.png", "--output", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert b"SECRET" not in (tmp_path / "out" / "source.jpg").read_bytes()
    seen = cv2.imread(str(tmp_path / "out" / "source.jpg"))[..., ::-1]
    assert np.abs(seen.astype(int) - pixels).mean() < 6
