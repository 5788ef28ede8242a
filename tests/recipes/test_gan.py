"""Training of generative networks and what they generate, as a user runs it, on phantoms."""

import csv
import json

import cv2
import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.errors import MelanomaError
from melanoma_tf.models.gan import Gan
from melanoma_tf.pipeline.gan import GanInputs, training_batches
from melanoma_tf.recipes.features import Extractor
from melanoma_tf.recipes.gan import GanSettings, load_sampler, train_gan
from melanoma_tf.recipes.gan_watch import diversity, grid
from melanoma_tf.recipes.generation import GenerationSettings, generate_records
from melanoma_tf.recipes.generator_scores import score_generator
from melanoma_tf.records.decode import decode_image
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.verify import verify_records

THIN = (8, 8, 8, 8, 8, 8)


@pytest.fixture(scope="module", autouse=True)
def thin_networks():
    """Eight channels in every layer: what is tested here does not depend on them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("dcgan", "coupled_dcgan"):
            patch.setattr(f"melanoma_tf.models.{module}.GENERATOR_CHANNELS", THIN)
            patch.setattr(f"melanoma_tf.models.{module}.DISCRIMINATOR_CHANNELS", THIN)
        patch.setattr("melanoma_tf.recipes.gan_watch._COMPARED", 16)
        yield


def settings(**changes):
    base = {
        "class_names": ("melanoma",), "latent_size": 4, "epochs": 2, "steps_per_epoch": 6,
        "batch_size": 4, "collapse_share": 0.0,
    }  # fmt: skip
    return GanSettings(**{**base, **changes})


def train(records, run_dir, report=lambda line: None, resume=False, **changes):
    return train_gan(records, run_dir, settings(**changes), report=report, resume=resume)


def weights(run_dir):
    return keras.models.load_model(run_dir / "model.keras", compile=False).get_weights()


@pytest.fixture(scope="module")
def run(phantom_records, tmp_path_factory):
    """A run of two epochs, and its history."""
    run_dir = tmp_path_factory.mktemp("gan") / "melanoma"
    return run_dir, train(phantom_records, run_dir)


def test_a_killed_run_goes_on_bit_for_bit(run, phantom_records, tmp_path):
    """Six rounds an epoch: the extra updates after the tenth fall behind the break."""

    class Killed(BaseException):
        pass

    def kill(line):
        if line.startswith("epoch 1"):
            raise Killed

    with pytest.raises(Killed):
        train(phantom_records, tmp_path / "run", report=kill)
    history = train(phantom_records, tmp_path / "run", resume=True)
    for name in ("loss", "generator_loss", "d_real", "sliced_wasserstein", "diversity"):
        assert history[name] == run[1][name], name
    for ours, theirs in zip(weights(tmp_path / "run"), weights(run[0])):
        np.testing.assert_array_equal(ours, theirs)


def test_two_replicas_train_like_one(phantom_records, tmp_path, run_command):
    """In processes of their own: TensorFlow's collectives outlive the strategy they belong to."""
    histories = []
    for strategy in (["single"], ["mirrored", "--replicas", 2]):
        run_dir = tmp_path / strategy[0]
        done = run_command(
            "train", "gan", "--class", "melanoma", "--records", phantom_records, "--run-dir",
            run_dir, "--image-size", 64, "--epochs", 1, "--steps-per-epoch", 3, "--batch-size", 4,
            "--no-differentiable-augmentation", "--strategy", *strategy,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        histories.append(json.loads((run_dir / "history.json").read_text()))
    for name in ("generator_loss", "discriminator_loss", "d_real", "d_generated"):
        assert histories[1][name] == pytest.approx(histories[0][name], rel=2e-3), name


def test_the_generator_has_two_more_updates_after_every_tenth_round(phantom_records):
    model = Gan({"image_size_px": 64, "latent_size": 4})
    model.compile()
    batches = training_batches(
        phantom_records, GanInputs(("melanoma",), batch_size=4, latent_size=4, latents=3)
    )
    model.fit(batches, epochs=1, steps_per_epoch=21, verbose=0)
    assert int(model.discriminator_optimizer.iterations.numpy()) == 21
    assert int(model.optimizer.iterations.numpy()) == 21 + 2 * 2


def test_every_stabiliser_trains(phantom_records, tmp_path):
    history = train(
        phantom_records, tmp_path / "run", epochs=1, feature_matching=1.0, minibatch_kernels=3,
        historical_averaging=0.1, instance_noise=0.1, differentiable_augmentation=True,
        spectral_normalization=True, mixed_precision=True,
    )  # fmt: skip
    assert np.isfinite(history["loss"][0])
    assert load_sampler(tmp_path / "run").images(np.zeros((2, 4), np.float32)).dtype == np.uint8


def test_batches_hold_each_image_once_before_any_twice(phantom_records):
    """Mirroring left out, the images of a pass are the records', and latents are normal."""
    count = read_manifest(phantom_records).count(split="train", class_name="melanoma")
    inputs = GanInputs(("melanoma",), batch_size=1, latent_size=50, latents=2, mirror=False)
    batches = list(training_batches(phantom_records, inputs).take(2 * count))
    sums = [float(images.numpy().sum()) for images, _ in batches]
    assert sorted(sums[:count]) == sorted(sums[count:])
    assert len(set(sums)) == count
    latents = np.concatenate([one.numpy().ravel() for _, one in batches])
    assert latents.mean() == pytest.approx(0.0, abs=0.1)
    assert latents.std() == pytest.approx(1.0, abs=0.1)
    later = next(iter(training_batches(phantom_records, inputs, first_example=5)))
    for ours, theirs in zip(later, batches[5]):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 500}, "at least 500 training images of melanoma.*lower --batch-size"),
        ({"class_names": ("wart",)}, "expected a class out of .*; found wart"),
        ({"class_names": ("melanoma", "nevus")}, "one class for a DCGAN"),
        ({"label_smoothing": 1.0}, "label_smoothing below 1"),
        ({"image_size_px": 96}, "64, 128, 256 px; found 96"),
    ],
)
def test_impossible_settings_leave_nothing_behind(phantom_records, tmp_path, changes, message):
    with pytest.raises(MelanomaError, match=message):
        train(phantom_records, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_at_once_and_keeps_the_epoch_before(run, phantom_records):
    model_before = (run[0] / "model.keras").read_bytes()
    with pytest.raises(MelanomaError, match="expected a finite one"):
        train(phantom_records, run[0].parent / "broken", learning_rate=1e38)
    assert not (run[0].parent / "broken" / "model.keras").exists()
    assert (run[0] / "model.keras").read_bytes() == model_before


def test_a_collapse_is_told(phantom_records, tmp_path):
    lines = []
    train(phantom_records, tmp_path / "run", epochs=1, steps_per_epoch=1, collapse_share=1.0,
          report=lines.append)  # fmt: skip
    assert any("may be collapsing" in line for line in lines)


def test_diversity_is_the_mean_over_all_pairs():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 3, 3)).astype(np.uint8)
    pixels = images.astype(float) / 255
    pairs = [((pixels[i] - pixels[j]) ** 2).mean() for i in range(5) for j in range(i)]
    assert diversity(images) == pytest.approx(np.mean(pairs))
    assert diversity(images[:1]) == 0.0
    coupled = images[:4].reshape(2, 2, 3, 3, 3)
    np.testing.assert_array_equal(grid(coupled)[3:6, 3:6], coupled[1, 1])


@pytest.fixture(scope="module")
def generated(run, phantom_records, tmp_path_factory):
    """A folder of generated images, none rejected for being alike: the network is too young."""
    output = tmp_path_factory.mktemp("generated") / "folder"
    generate_records(run[0], output, GenerationSettings(9, min_mse=0.0), report=lambda line: None)
    return output


def test_generated_records_say_where_they_come_from(run, generated, phantom_records):
    assert verify_records(generated) == []
    manifest = read_manifest(generated)
    assert manifest.count(split="train", class_name="melanoma", origin="generated") == 9
    assert manifest.count() == 9
    assert manifest.findings["gate"]["melanoma"]["accepted"] == 9
    assert {(one.parent, one.split, one.mask) for one in read_examples(generated)} == {
        ("melanoma", "train", b"")
    }
    for name in ("histogram", "nearest", "spaced"):
        assert cv2.imread(str(generated / f"melanoma_{name}.png")) is not None


def test_nearest_csv_is_right(generated, phantom_records):
    reals = {one.key: decode_image(one.image) for one in read_examples(phantom_records)}
    images = {one.key: decode_image(one.image) for one in read_examples(generated)}
    with (generated / "nearest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image_id"] for row in rows] == list(images)
    for row in rows[:3]:
        ours = images[row["image_id"]][:, :: -1 if int(row["mirrored"]) else 1].astype(float)
        errors = {}
        for key, real in reals.items():
            side = min(real.shape[:2])
            top, left = (real.shape[0] - side) // 2, (real.shape[1] - side) // 2
            square = real[top : top + side, left : left + side]
            if side != 64:
                square = cv2.resize(square, (64, 64), interpolation=cv2.INTER_LINEAR)
            errors[key] = (((ours - square) / 255) ** 2).mean()
        assert float(row["mse"]) == pytest.approx(errors[row["nearest"]], abs=2e-4)
        assert errors[row["nearest"]] <= min(errors.values()) + 2e-4


def test_the_same_seed_generates_the_same(run, generated, tmp_path):
    again = tmp_path / "again"
    generate_records(run[0], again, GenerationSettings(9, min_mse=0.0), report=lambda line: None)
    assert [one.image for one in read_examples(again)] == [
        one.image for one in read_examples(generated)
    ]


def test_what_cannot_be_generated_is_one_line(run, phantom_records, trained_run, tmp_path):
    for changes, message in (
        ({"min_mse": 9.0}, "lower --min-mse, or train for longer"),
        ({"latent_size": 7}, "the run's latent size 4; found 7"),
        ({"class_names": ("nevus",)}, "a class out of melanoma; found nevus"),
    ):
        with pytest.raises(MelanomaError, match=message):
            generate_records(run[0], tmp_path / "no", GenerationSettings(4, **changes))
    with pytest.raises(MelanomaError, match="expected a gan or coupled-gan run; found classifier"):
        generate_records(trained_run, tmp_path / "no", GenerationSettings(4))
    assert not (tmp_path / "no").exists()


def test_coupled_networks_from_the_command_line(phantom_records, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from melanoma_tf.cli import main

    done = CliRunner().invoke(main, [
        "train", "coupled-gan", "--records", str(phantom_records), "--run-dir",
        str(tmp_path / "run"), "--image-size", "64", "--epochs", "1", "--steps-per-epoch", "2",
        "--batch-size", "2", "--latent-size", "5",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["kind"] == "coupled-gan"
    assert config["class_names"] == list(read_manifest(phantom_records).class_names)
    done = CliRunner().invoke(main, [
        "generate", "--run-dir", str(tmp_path / "run"), "--count", "2", "--output",
        str(tmp_path / "out"), "--class", "nevus", "--class", "melanoma", "--min-mse", "0",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    manifest = read_manifest(tmp_path / "out")
    assert [manifest.count(class_name=name) for name in ("melanoma", "nevus")] == [2, 2]
    tags = set()
    for path in (tmp_path / "run/logs/generated").glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert "grid" in tags
    assert training.run_kind(tmp_path / "run") == "coupled-gan"


def test_a_generator_is_scored_beside_real_images(run, phantom_records, trained_run, tmp_path):
    scores = score_generator(run[0], phantom_records, features=str(trained_run))
    figures = scores["classes"]["melanoma"]
    assert str(trained_run) in scores["extractor"]
    assert set(figures) == {
        "held_out", "compared", "sliced_wasserstein", "diversity", "kid", "fid", "precision",
        "recall",
    }  # fmt: skip
    # A network of twelve rounds is far from real images, which are near each other.
    distance = figures["sliced_wasserstein"]
    assert distance["value"] > 2 * distance["floor"]
    assert figures["fid"]["value"] > figures["fid"]["floor"]
    assert figures["diversity"]["value"] < figures["diversity"]["floor"]
    assert scores == score_generator(run[0], phantom_records, features=str(trained_run))
    with pytest.raises(MelanomaError, match="expected a classifier run, found gan"):
        score_generator(run[0], phantom_records, features=str(run[0]))


def test_a_second_opinion_counts(run, phantom_records, trained_run, tmp_path, monkeypatch):
    """Features that are alike for all images make every candidate a copy, whatever its pixels."""
    generate = GenerationSettings(4, min_mse=0.0, features=str(trained_run))
    manifest = generate_records(run[0], tmp_path / "out", generate, report=lambda line: None)
    assert manifest.count(origin="generated") == 4
    spread = iter([np.arange(1000.0)[:, None]])

    def features(images):
        # Real images lie far apart; every candidate lies on the first.
        return next(spread, np.zeros((1000, 1)))[: len(images)]

    monkeypatch.setattr(
        "melanoma_tf.recipes.generation.load_extractor", lambda source: Extractor("test", features)
    )
    with pytest.raises(MelanomaError, match=r"0 of .* candidates are"):
        generate_records(run[0], tmp_path / "none", generate, report=lambda line: None)


def test_imagenet_features_that_cannot_be_had_are_one_line(run, phantom_records):
    with pytest.raises(MelanomaError, match="ImageNet weights"):
        score_generator(run[0], phantom_records, features="imagenet")
