"""Training of generative networks and what they generate, as a user runs it, on phantoms."""

import csv
import functools
import importlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from melanoma_tf.backbones.features import Extractor
from melanoma_tf.cli import main
from melanoma_tf.cli.train import coupled_gan
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.core.keras import keras
from melanoma_tf.core.settings import declaration
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.generation.adversarial import Gan, build_gan, updates
from melanoma_tf.generation.data import read_real_images, training_batches
from melanoma_tf.generation.generate import generate_records
from melanoma_tf.generation.monitor import diversity, grid
from melanoma_tf.generation.sampler import load_sampler
from melanoma_tf.generation.scores import score_generator
from melanoma_tf.generation.settings import (
    CoupledGanSettings,
    DiscriminatorSettings,
    GanSettings,
    GenerationSettings,
    GeneratorScoreSettings,
    StabiliserSettings,
)
from melanoma_tf.generation.train import COUPLED_GAN, GAN, gan_job, train_gan
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.decode import decode_image
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.verify import verify_records
from melanoma_tf.records.writer import Description, write_records
from melanoma_tf.training.run_record import read_run
from melanoma_tf.training.schedules import cosine

SIZE_PX = 16  # A size that the package does not offer: two levels, quickly traced.


def make_small(patch):
    """Few channels and levels in every network: what is tested here does not depend on them."""
    for module in ("dcgan", "coupled_dcgan"):
        for table in ("GENERATOR_CHANNELS", "DISCRIMINATOR_CHANNELS"):
            patch.setattr(f"melanoma_tf.generation.{module}.{table}", (8, 8, 8, 8, 8, 8))
    sizes = (SIZE_PX, 64, 128, 256)
    patch.setattr("melanoma_tf.generation.dcgan.IMAGE_SIZES_PX", sizes)
    patch.setitem(vars(declaration(GanSettings, "image_size_px")), "choices", sizes)
    patch.setattr("melanoma_tf.generation.monitor._COMPARED", 16)


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    """Small networks in every run, each loaded once: loading takes as long as all else."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        for module in ("generate", "scores"):
            for name in ("load_sampler", "load_extractor"):
                path = f"melanoma_tf.generation.{module}"
                patch.setattr(f"{path}.{name}", _loaded_once(path, name))
        yield


@functools.cache
def _loaded_once(module, name):
    load = getattr(importlib.import_module(module), name)
    return functools.cache(load)


@pytest.fixture(scope="module")
def records(tmp_path_factory, phantom_folder):
    """The phantoms at the size of the networks' images, so that nothing is scaled."""
    folder = tmp_path_factory.mktemp("records") / "small"
    settings = BuildSettings("isic2017", image_size=SIZE_PX, shards=2, split="0.6/0.2/0.2")
    build_records([list_source("isic2017", phantom_folder)], settings, folder)
    return folder


def settings(**changes):
    base = {
        "class_names": ("melanoma",), "image_size_px": SIZE_PX, "latent_size": 4, "epochs": 2,
        "steps_per_epoch": 6, "batch_size": 4, "collapse_fraction": 0.0,
        "stabilisers": StabiliserSettings(differentiable_augmentation=False),
    }  # fmt: skip
    return GanSettings(**{**base, **changes})


def train(records, run_dir, log=lambda line: None, resume=False, **changes):
    return train_gan(records, run_dir, settings(**changes), log=log, resume=resume)


def weights(run_dir):
    return list(np.load(run_dir / "weights.npz").values())


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    """A run of two epochs, its history, and what it reported."""
    run_dir, lines = tmp_path_factory.mktemp("gan") / "melanoma", []
    history = train(records, run_dir, log=lines.append, collapse_fraction=1.0)
    return run_dir, history, lines


@pytest.fixture(scope="module")
def run(trained):
    return trained[0]


def test_a_killed_run_goes_on_bit_for_bit(trained, records, tmp_path):
    """Six rounds an epoch: the extra updates after the tenth fall behind the break."""

    class Killed(BaseException):
        pass

    def kill(line):
        if line.startswith("epoch 1"):
            raise Killed

    with pytest.raises(Killed):
        train(records, tmp_path / "run", log=kill)
    history = train(records, tmp_path / "run", resume=True)
    for name in ("loss", "generator_loss", "d_real", "sliced_wasserstein", "diversity"):
        assert history[name] == trained[1][name], name
    for ours, theirs in zip(weights(tmp_path / "run"), weights(trained[0])):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.faults  # A process of its own, which takes as long as all else here.
def test_two_replicas_train_like_one(trained, records, tmp_path, run_command):
    """In a process of its own: TensorFlow's collectives outlive the strategy they belong to."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import test_train as test\n"
        f"from pathlib import Path\n"
        f"test.make_small(test.pytest.MonkeyPatch())\n"
        f"test.train(Path(sys.argv[1]), Path(sys.argv[2]), strategy='mirrored', replicas=2, "
        f"epochs=1)"
    )
    done = run_command("-c", program, records, tmp_path / "run", module=None)
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "run/history.json").read_text())
    for name in ("generator_loss", "discriminator_loss", "d_real", "d_generated"):
        assert history[name][0] == pytest.approx(trained[1][name][0], rel=2e-3), name


def test_the_generator_has_two_more_updates_after_every_tenth_round(records):
    model = build_gan(settings(), coupled=False)
    rounds, generator_updates = 21, 25
    assert updates(rounds) == generator_updates
    model.compile(cosine(1e-3, generator_updates, 0), cosine(1e-3, rounds, 0))
    batches = training_batches(RecordSet.read(records), settings())
    model.fit(batches, epochs=1, steps_per_epoch=rounds, verbose=0)
    for optimizer, steps in (
        (model.discriminator_optimizer, rounds),
        (model.optimizer, generator_updates),
    ):
        assert int(optimizer.iterations.numpy()) == steps
        # The rate of the last update: each network's schedule ends with the training.
        assert float(optimizer.learning_rate) == pytest.approx(0.0, abs=2e-5)


def test_a_schedule_ends_with_the_run(records):
    chosen = settings(schedule="cosine", learning_rate=1e-3)
    job = gan_job(RecordSet.read(records), chosen, lambda line: None)
    model, rounds = job.compile(job.build()), chosen.epochs * chosen.steps_per_epoch
    assert updates(rounds) > rounds
    for optimizer, last in (
        (model.discriminator_optimizer, rounds), (model.optimizer, updates(rounds))
    ):  # fmt: skip
        rate = keras.optimizers.schedules.deserialize(optimizer.get_config()["learning_rate"])
        assert float(rate(last - 1)) > 1e-6
        assert float(rate(last)) == pytest.approx(0.0, abs=1e-9)


def test_every_stabiliser_trains(records, tmp_path):
    history = train(
        records, tmp_path / "run", epochs=1, steps_per_epoch=2, mixed_precision=True,
        discriminator=DiscriminatorSettings(spectral_normalization=True, minibatch_kernels=3),
        stabilisers=StabiliserSettings(
            feature_matching=1.0, historical_averaging=0.1, instance_noise=0.1
        ),
    )  # fmt: skip
    assert np.isfinite(history["loss"][0])
    assert load_sampler(tmp_path / "run").images(np.zeros((2, 4), np.float32)).dtype == np.uint8


def test_batches_hold_each_image_once_before_any_twice(records):
    """Mirroring left out, the images of a pass are the records', and latents are normal."""
    count = read_manifest(records).count(split="train", class_name="melanoma")
    chosen, folders = settings(batch_size=2, latent_size=50), RecordSet.read(records)
    batches = list(training_batches(folders, chosen, mirror=False).take(count))
    sums = [float(image.numpy().sum()) for images, _ in batches for image in images]
    assert sorted(sums[:count]) == sorted(sums[count:])
    assert len(set(sums)) == count
    latents = np.concatenate([one.numpy().ravel() for _, one in batches])
    assert latents.mean() == pytest.approx(0.0, abs=0.1)
    assert latents.std() == pytest.approx(1.0, abs=0.1)
    later = next(iter(training_batches(folders, chosen, first_example=10, mirror=False)))
    for ours, theirs in zip(later, batches[5]):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 500}, "at least 500 training images of melanoma.*lower --batch-size"),
        ({"class_names": ("wart",)}, "expected a class out of .*; found wart"),
        ({"class_names": ("melanoma", "nevus")}, r"one class \(--class\).*found melanoma, nevus"),
        ({"class_names": ()}, r"one class \(--class\) for a DCGAN; found none"),
        ({"image_size_px": 96}, "image_size_px out of 16, 64, 128, 256; found 96"),
    ],
)
def test_impossible_settings_leave_nothing_behind(records, tmp_path, changes, message):
    with pytest.raises(MelanomaError, match=message):
        train(records, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_at_once_and_keeps_the_epoch_before(
    records, tmp_path, monkeypatch
):
    """The loss is spoiled from the second of six rounds of the second epoch on."""
    loss = Gan._generator_loss

    def spoiled(self, *given):
        late = self.discriminator_optimizer.iterations >= 8
        return loss(self, *given) + tf.where(late, np.nan, 0.0)

    monkeypatch.setattr(Gan, "_generator_loss", spoiled)
    with pytest.raises(MelanomaError, match="nan in step 2 of epoch 2; expected a finite one"):
        train(records, tmp_path / "run", epochs=3)
    assert not (tmp_path / "run/weights.npz").exists()
    assert np.isfinite(json.loads((tmp_path / "run/history.json").read_text())["loss"]).all()
    last = sorted((tmp_path / "run/checkpoints").rglob("*.index"))[-1].with_suffix("")
    values = [tf.train.load_variable(last, name) for name, _ in tf.train.list_variables(last)]
    assert all(np.isfinite(one).all() for one in values if isinstance(one, np.ndarray))


def test_a_collapse_is_told(trained):
    assert any("may be collapsing" in line for line in trained[2])


def test_diversity_is_the_mean_over_all_pairs():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 3, 3)).astype(np.uint8)
    pixels = images.astype(float) / 255
    pairs = [((pixels[i] - pixels[j]) ** 2).mean() for i in range(5) for j in range(i)]
    assert diversity(images) == pytest.approx(np.mean(pairs))
    assert diversity(images[:1]) == 0.0
    coupled = images[:4].reshape(2, 2, 3, 3, 3)
    np.testing.assert_array_equal(grid(coupled)[3:6, 3:6], coupled[1, 1])


@pytest.fixture(scope="module")
def generated(run, records, tmp_path_factory):
    """A folder of generated images, none rejected for being alike: the network is too young."""
    output = tmp_path_factory.mktemp("generated") / "folder"
    generate_records(run, output, GenerationSettings(count=9, min_mse=0.0), log=lambda line: None)
    return output


def test_generated_records_say_where_they_come_from(run, generated, records):
    assert verify_records(generated) == []
    manifest = read_manifest(generated)
    assert manifest.count(split="train", class_name="melanoma", origin="generated") == 9
    assert manifest.count() == 9
    assert manifest.findings["novelty_filter"]["melanoma"]["accepted"] == 9
    assert {(one.parent, one.split, one.mask) for one in read_examples(generated)} == {
        ("melanoma", "train", b"")
    }
    for name in ("histogram", "nearest", "spaced"):
        assert cv2.imread(str(generated / f"melanoma_{name}.png")) is not None


def test_nearest_csv_is_right(generated, records):
    reals = {one.key: decode_image(one.image) for one in read_examples(records)}
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
            errors[key] = (((ours - square) / 255) ** 2).mean()
        assert float(row["mse"]) == pytest.approx(errors[row["nearest"]], abs=2e-4)
        assert errors[row["nearest"]] <= min(errors.values()) + 2e-4


def test_the_same_seed_generates_the_same(run, generated, tmp_path):
    again = tmp_path / "again"
    generate_records(run, again, GenerationSettings(count=9, min_mse=0.0), log=lambda line: None)
    assert [one.image for one in read_examples(again)] == [
        one.image for one in read_examples(generated)
    ]


def test_beam_generates_the_same(run, generated, tmp_path, monkeypatch):
    def here(task, items, folder, options):
        assert options == ("runner=x",)
        return (list(task(item)) for item in items)

    monkeypatch.setattr("melanoma_tf.generation.nearest_on_beam.map_on_beam", here)
    settings = GenerationSettings(count=9, min_mse=0.0)
    generate_records(run, tmp_path / "folder", settings, beam=("runner=x",), log=lambda line: None)
    for path in generated.iterdir():
        assert (tmp_path / "folder" / path.name).read_bytes() == path.read_bytes(), path.name


def test_what_cannot_be_generated_is_one_line(run, tmp_path):
    for changes, message in (
        ({"min_mse": 9.0}, "lower --min-mse, or train for longer"),
        ({"latent_size": 7}, "the run's latent size 4; found 7"),
        ({"class_names": ("nevus",)}, "a class out of melanoma; found nevus"),
    ):
        with pytest.raises(MelanomaError, match=message):
            generate_records(run, tmp_path / "no", GenerationSettings(count=4, **changes))
    config = read_checked_json(run / "config.json")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text(json.dumps({**config, "kind": "segmenter"}))
    with pytest.raises(MelanomaError, match="expected a gan or coupled-gan run; found segmenter"):
        generate_records(tmp_path / "other", tmp_path / "no", GenerationSettings(count=4))
    assert not (tmp_path / "no").exists()


def test_coupled_networks_from_the_command_line(records, tmp_path, monkeypatch):
    size = next(one for one in coupled_gan.params if one.name == "image_size_px")
    monkeypatch.setattr(size.type, "choices", (str(SIZE_PX),))
    done = CliRunner().invoke(main, [
        "train", "coupled-gan", "--records", str(records), "--run-dir",
        str(tmp_path / "run"), "--image-size", str(SIZE_PX), "--epochs", "1",
        "--steps-per-epoch", "2", "--batch-size", "2", "--latent-size", "5",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    record = read_run(tmp_path / "run", COUPLED_GAN)
    assert record.class_names == read_manifest(records).class_names
    assert record.settings == CoupledGanSettings(
        class_names=record.class_names, image_size_px=SIZE_PX, epochs=1, steps_per_epoch=2,
        batch_size=2, latent_size=5,
    )  # fmt: skip
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


def test_a_generator_is_scored_beside_real_images(run, records, trained_run, tmp_path):
    chosen = GeneratorScoreSettings(features=str(trained_run))
    scores = score_generator(run, records, chosen)
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
    assert scores == score_generator(run, records, chosen)
    with pytest.raises(MelanomaError, match=r"expected a classifier run[,;] found gan"):
        score_generator(run, records, GeneratorScoreSettings(features=str(run)))


def test_the_feature_space_filter_counts(run, records, trained_run, tmp_path, monkeypatch):
    """Features that are alike for all images make every candidate a copy, whatever its pixels."""
    generate = GenerationSettings(count=4, min_mse=0.0, features=str(trained_run))
    manifest = generate_records(run, tmp_path / "out", generate, log=lambda line: None)
    assert manifest.count(origin="generated") == 4
    spread = iter([np.arange(1000.0)[:, None]])

    def features(images):
        # Real images lie far apart; every candidate lies on the first.
        return next(spread, np.zeros((1000, 1)))[: len(images)]

    monkeypatch.setattr(
        "melanoma_tf.generation.generate.load_extractor", lambda source: Extractor("test", features)
    )
    with pytest.raises(MelanomaError, match=r"0 of .* candidates are"):
        generate_records(run, tmp_path / "none", generate, log=lambda line: None)


def test_imagenet_features_that_cannot_be_had_are_one_line(run, records):
    with pytest.raises(MelanomaError, match="ImageNet weights"):
        score_generator(run, records, GeneratorScoreSettings(features="resnet50"))


@pytest.fixture(scope="module")
def two_folders(records, tmp_path_factory):
    """The records in two folders: training and validation images here, further ones there."""
    manifest, folder = read_manifest(records), tmp_path_factory.mktemp("halves")
    halves = ([], [])
    for index, one in enumerate(read_examples(records)):
        halves[index % 2].append(one)
    for number, examples in enumerate(halves):
        write_records(examples, folder / str(number), Description.of_copy(manifest))
    return [folder / "0", folder / "1"]


def test_all_commands_take_several_folders(records, two_folders, run, tmp_path):
    """Real images of all folders are trained on, compared with and scored against."""
    whole, several = RecordSet.read(records), RecordSet.read(two_folders)
    whole_images, images = (
        read_real_images(one, ("melanoma",), SIZE_PX) for one in (whole, several)
    )
    for one, other in (
        (whole_images.training, images.training), (whole_images.held_out, images.held_out)
    ):  # fmt: skip
        assert sorted(map(bytes, one["melanoma"])) == sorted(map(bytes, other["melanoma"]))
    train(two_folders, tmp_path / "run", epochs=1, steps_per_epoch=1)
    assert read_run(tmp_path / "run", GAN).record_paths() == tuple(two_folders)
    generate_records(
        tmp_path / "run", tmp_path / "out", GenerationSettings(count=2, min_mse=0.0), log=print
    )
    with (tmp_path / "out/nearest.csv").open() as file:
        nearest = [row["nearest"] for row in csv.DictReader(file)]
    assert set(nearest) <= {one.key for one in read_examples(records)}
    counts = [
        score_generator(run, one)["classes"]["melanoma"]["held_out"]
        for one in (records, two_folders)
    ]
    assert counts[0] == counts[1]
