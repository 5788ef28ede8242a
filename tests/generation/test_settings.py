"""Settings of generative networks: the same from Python and from the command line."""

import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.generation import train as training
from melanoma_tf.generation.settings import (
    COUPLED_GAN_RECIPES,
    GAN_RECIPES,
    CoupledGanSettings,
    GanSettings,
    GenerationSettings,
    StabiliserSettings,
)


@pytest.fixture
def settings_of(monkeypatch):
    """What `train gan` or `train coupled-gan` hands to the library, given options."""
    taken = []
    for name in ("train_gan", "train_coupled_gan"):
        monkeypatch.setattr(training, name, lambda *given, **_: taken.append(given[2]))

    def run(command, *options):
        given = ["train", command, "--records", "records", "--run-dir", "run", *options]
        done = CliRunner().invoke(main, given, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return taken.pop()

    return run


def test_python_and_the_command_line_train_the_same(settings_of):
    assert settings_of("gan", "--class", "nevus") == GanSettings(class_names=("nevus",))
    assert settings_of("coupled-gan") == CoupledGanSettings()
    assert (GanSettings().latent_size, CoupledGanSettings().latent_size) == (10, 100)
    assert GanSettings().image_size_px == 256
    assert GanSettings().stabilisers.differentiable_augmentation


def test_the_published_settings_are_a_recipe(settings_of):
    assert settings_of("gan", "--recipe", "bisla2019") == GAN_RECIPES["bisla2019"]
    assert settings_of("coupled-gan", "--recipe", "bisla2019") == COUPLED_GAN_RECIPES["bisla2019"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StabiliserSettings(label_smoothing=1.0), r"label_smoothing within \[0, 1\)"),
        (lambda: StabiliserSettings(instance_noise=-1.0), "instance_noise within"),
        (lambda: GanSettings(image_size_px=96), "image_size_px out of 64, 128, 256; found 96"),
        (lambda: GenerationSettings(count=0), "count within"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(MelanomaError, match=message):
        make()


def test_the_count_of_generated_images_is_required():
    done = CliRunner().invoke(main, ["generate", "--run-dir", "run", "--output", "out"])
    assert done.exit_code == 2
    assert "Missing option '--count'" in done.output
