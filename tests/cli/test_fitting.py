"""The paper's recipe by one option, and what is given beside it."""

import pytest
from click.testing import CliRunner

from melanoma_tf.classification import train as recipe
from melanoma_tf.cli import main


@pytest.fixture
def settled(monkeypatch):
    """The settings that `train classifier OPTIONS` arrives at."""

    def settings_of(*options):
        taken = []
        monkeypatch.setattr(
            recipe, "train_classifier", lambda _, __, given, **___: taken.append(given)
        )
        arguments = ["train", "classifier", "--records", "a", "--run-dir", "b", *options]
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return taken[0]

    return settings_of


def test_the_papers_recipe_is_one_option(settled):
    paper = settled("--recipe", "bisla2019")
    assert (paper.backbone, paper.weights, paper.batch_size) == ("resnet50", "imagenet", 50)
    assert (paper.image_size_px, paper.resize_px) == (224, 400)
    fitting = paper.fitting
    assert (fitting.optimizer, fitting.learning_rate) == ("sgd", 1e-3)
    assert (fitting.schedule, fitting.step_epochs) == ("step", 30)


def test_options_beside_a_recipe_count_wherever_they_stand(settled):
    for options in (
        ("--recipe", "bisla2019", "--batch-size", "8", "--no-augment"),
        ("--no-augment", "--batch-size", "8", "--recipe", "bisla2019"),
    ):
        mine = settled(*options)
        assert (mine.batch_size, mine.fitting.optimizer) == (8, "sgd")
        assert not mine.batches.augmentation.crops
    assert settled().fitting.optimizer == "adam", "a recipe is not remembered"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "none", "--frozen-epochs", "2"), "weights to start from with 2 frozen"),
        (("--class-weights", "balanced", "--balance", "batch"), "class weights or balanced"),
        (("--warm-up-epochs", "2"), "schedule cosine with warm_up_epochs; found constant"),
        (("--weight-decay", "0.1"), "adamw or sgd with weight_decay; found adam"),
    ],
)
def test_what_does_not_go_together_is_one_line(options, message):
    arguments = ["train", "classifier", "--records", "a", "--run-dir", "b", *options]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert message in done.output
    assert done.output.count("\n") == 1
