"""An occlusion detector trained and used, in the small."""

import dataclasses
import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.detector.data import evaluation_batches, training_batches
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.purification.detector.train import train_occlusion_detector
from melanoma_tf.purification.networks import GraphPurifier, load_detector
from melanoma_tf.purification.shipped import read_detector
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.record_set import RecordSet
from tests.conftest import few_occlusions

SMALL = DetectorSettings(
    image_size_px=64, base_filters=3, levels=1, epochs=10, batch_size=8, learning_rate=2e-2
)
INPUTS = DetectorSettings(image_size_px=64, batch_size=6, coarse_fraction=0.0)
pytestmark = pytest.mark.usefixtures("strip_for_occlusions")


def quiet(_):
    pass


def invoke(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, phantom_records):
    folder = tmp_path_factory.mktemp("runs") / "detector"
    with few_occlusions():
        history = train_occlusion_detector(phantom_records, folder, SMALL, log=quiet)
    assert history["val_dice"][-1] > history["val_dice"][0]
    return folder


@pytest.fixture
def hairy():
    """A picture of even skin with three dark hairs, and where they are."""
    image = np.full((96, 128, 3), (150, 170, 220), np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    for column in (20, 60, 100):
        for canvas, colour in ((image, (30, 30, 40)), (mask, 255)):
            cv2.line(canvas, (column, 0), (column + 15, 95), colour, 2, cv2.LINE_AA)
    return image, mask > 127


def test_examples_are_occluded_where_the_truth_says_so(phantom_records):
    clean = dataclasses.replace(INPUTS, clean_fraction=1.0)
    drawn = dataclasses.replace(INPUTS, clean_fraction=0.0)
    occluded_pixels = 0
    pairs = zip(
        *(
            training_batches(RecordSet.read(phantom_records), each).take(3)
            for each in (drawn, clean)
        )
    )
    for (images, packed), (before, nothing) in pairs:
        images, packed, before = images.numpy(), packed.numpy(), before.numpy()
        assert images.shape == (6, 64, 64, 3)
        assert packed.shape == (6, 64, 64, 2)
        assert set(np.unique(packed)) <= {0.0, 1.0}
        assert not nothing[..., 0].numpy().any()
        change = np.abs(images - before).max(-1)
        occluded, counted = packed[..., 0] > 0, packed[..., 1] > 0
        assert change[occluded].min() >= 255 * 0.03 - 0.01
        # Beside the truth lies no more than the soft edge of what was drawn.
        near = np.stack([cv2.dilate(one.astype(np.uint8), np.ones((5, 5))) > 0 for one in occluded])
        assert np.mean(change[counted & ~near] > 8) < 0.01
        occluded_pixels += occluded.sum()
    assert occluded_pixels > 500


def test_pixels_do_not_count_where_the_image_may_be_occluded_itself(phantom_records):
    clean = dataclasses.replace(INPUTS, clean_fraction=1.0)
    _, packed = next(iter(training_batches(RecordSet.read(phantom_records), clean).take(1)))
    assert not packed[:, :9, :, 1].numpy().any()  # The strip, and three pixels on both sides.
    assert packed[:, 9:, :, 1].numpy().all()


def test_coarse_squares_lose_their_detail_and_keep_their_truth(phantom_records):
    coarse = dataclasses.replace(INPUTS, coarse_fraction=1.0, clean_fraction=0.0)
    fine = dataclasses.replace(coarse, coarse_fraction=0.0)
    roughness = []
    pairs = zip(
        *(
            training_batches(RecordSet.read(phantom_records), each).take(3)
            for each in (coarse, fine)
        )
    )
    overlaps = []
    for (one, truth), (other, expected) in pairs:
        roughness.append([np.abs(np.diff(each.numpy(), axis=1)).mean() for each in (one, other)])
        found, wanted = truth[..., 0].numpy() > 0, expected[..., 0].numpy() > 0
        overlaps.append((found & wanted).sum() / max(1, wanted.sum()))
        assert (one.numpy() >= 0).all()
        assert (one.numpy() <= 255.01).all()
    assert np.mean(roughness, 0)[0] < 0.9 * np.mean(roughness, 0)[1]
    assert np.mean(overlaps) > 0.5


def test_the_stream_goes_on_where_it_was_left_and_validation_never_changes(phantom_records):
    records = RecordSet.read(phantom_records)
    other = dataclasses.replace(INPUTS, seed=9, batch_size=3)
    with few_occlusions():
        whole = list(training_batches(records, INPUTS).take(3))
        later = next(iter(training_batches(records, INPUTS, first_example=12).take(1)))
        one, two = (
            np.concatenate([packed for _, packed in evaluation_batches(records, "test", each)])
            for each in (INPUTS, other)
        )
    np.testing.assert_array_equal(whole[2][0], later[0])
    np.testing.assert_array_equal(one, two)


def test_impossible_inputs_are_refused():
    with pytest.raises(MelanomaError, match=r"image_size_px within \[32, 512\]; found 16"):
        DetectorSettings(image_size_px=16)
    with pytest.raises(MelanomaError, match=r"clean_fraction within \[0, 1\]; found 2"):
        DetectorSettings(clean_fraction=2)


def test_a_trained_detector_finds_hairs_and_the_image_outside_stays(run_dir, hairy, tmp_path):
    image, truth = hairy
    source = tmp_path / "images" / "hairy.png"
    source.parent.mkdir()
    cv2.imwrite(str(source), image)
    done = invoke("purify", source, "--method", "network", "--detector", run_dir,
                  "--lesion-masks", source.parent, "--output", tmp_path / "out",
                  "--mask-output", tmp_path / "masks")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "lesion masks are not used" in done.output
    mask = cv2.imread(str(tmp_path / "masks" / "hairy.png"), 0) > 0
    purified = cv2.imread(str(tmp_path / "out" / "hairy.png"))
    assert (mask & truth).sum() > 0.9 * truth.sum()
    assert mask.mean() < 0.3
    np.testing.assert_array_equal(purified[~mask], image[~mask])
    assert purified[mask & truth].mean() > image[truth].mean() + 60


def test_records_say_which_detector_purified_them(run_dir, few_records, tmp_path):
    out = tmp_path / "purified"
    done = invoke("purify", few_records, "--method", "network", "--detector", run_dir,
                  "--min-occlusion", 0.0, "--output", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    settings = read_manifest(out).settings["purify"]
    assert settings["detector"] == run_dir.name
    assert settings["segmenter"] == "none"


def test_a_run_becomes_the_network_that_ships(run_dir, tmp_path):
    script = Path(__file__).resolve().parents[3] / "scripts" / "ship_network.py"
    ship = runpy.run_path(str(script))["ship"]
    assert ship(run_dir, tmp_path, 0.4) == "occlusion_detector"
    shipped, trained = read_detector(tmp_path), load_detector(run_dir)
    assert shipped.threshold == 0.4
    images = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3))
    np.testing.assert_allclose(shipped.model(images), trained.model(images), atol=0.02)
    settings = json.loads((tmp_path / "occlusion_detector.json").read_text())
    assert settings["clean_fraction"] == 0.1
    assert str(run_dir.parent) not in json.dumps(settings)


def test_detectors_that_make_no_sense_are_refused(run_dir, hairy, tmp_path):
    source = tmp_path / "images" / "hairy.png"
    source.parent.mkdir()
    cv2.imwrite(str(source), hairy[0])
    common = ("purify", source, "--output", tmp_path / "out")
    done = invoke(*common, "--method", "classical", "--detector", run_dir)
    assert done.exit_code != 0
    assert "--detector with --method network only; found classical" in done.output
    done = invoke(*common, "--method", "network", "--detector", tmp_path / "nowhere")
    assert done.exit_code != 0
    assert "a detector out of shipped, classical, or a finished run" in done.output
    assert "nowhere" in done.output
    done = invoke(*common, "--method", "network", "--mask", source, "--detector", run_dir)
    assert done.exit_code != 0
    assert "expected --mask or --detector" in done.output
    done = invoke(*common, "--method", "network", "--inpainter", run_dir)
    assert done.exit_code != 0
    assert "occlusion-detector" in done.output
    assert not (tmp_path / "out").exists()
    assert load_detector("classical") is None
    assert GraphPurifier("classical").detector is None
