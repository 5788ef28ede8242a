"""Options, settings and pipeline agree: a setting is declared once."""

import dataclasses

import click
import pytest

from melanoma_tf.cli import main
from melanoma_tf.cli.derived import flattened, option_name
from melanoma_tf.core.settings import declaration, field_types, is_settings
from tests.cli.command_tree import commands

DERIVED = [
    (path, command, kind)
    for path, command in commands(main)
    for kind in getattr(command.callback, "settings_kinds", ())
]
# What an option of a command without settings is for: places, never what decides a result.
PLACES = {
    "--output", "--run-dir", "--records", "--model", "--json", "--overwrite", "--resume", "--add",
    "--server", "--truth", "--work-dir", "--counts", "--contact-sheet", "--labels", "--workers",
    "--masks",
    "--against", "--data", "--generated", "--purified", "--work", "--scale", "--from", "--dry-run",
    "--lesion-masks", "--codes", "--recipe", "--runner", "--beam-option", "--resume-if-begun",
    "--devices", "--profile", "--help", "-h", "--version",
}  # fmt: skip


def declared_fields(kind):
    for field in dataclasses.fields(kind):
        inner = field_types(kind)[field.name]
        if is_settings(inner):
            yield from declared_fields(inner)
        elif declaration(kind, field.name).option != "":
            yield field.name, declaration(kind, field.name), field.default


def as_given(value):
    return tuple(value) if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(
    ("path", "command", "kind"), DERIVED, ids=[" ".join(path) for path, *_ in DERIVED]
)
def test_an_option_has_the_default_the_choices_and_the_bounds_of_its_setting(path, command, kind):
    options = {parameter.name: parameter for parameter in command.params}
    fields = list(declared_fields(kind))
    assert len({name for name, *_ in fields}) == len(fields), "two settings share an option"
    for name, declared, default in fields:
        option = options[name]
        assert option_name(name, declared).split("/")[0] in option.opts
        assert option.help == declared.help
        assert declared.group == getattr(option, "group", "")
        if default is dataclasses.MISSING:
            assert option.required, name
            continue
        found = option.get_default(click.Context(command))
        assert as_given(found) in (default, default or None), (name, found, default)
        if declared.allowed() is not None:
            assert list(option.type.choices) == [str(each) for each in declared.allowed()]
        elif isinstance(option.type, (click.IntRange, click.FloatRange)):
            assert (option.type.min, option.type.max) == (declared.minimum, declared.maximum)
            assert option.type.min_open == declared.above_minimum
            assert option.type.max_open == declared.below_maximum


@pytest.mark.parametrize(
    ("path", "command", "kind"), DERIVED, ids=[" ".join(path) for path, *_ in DERIVED]
)
def test_what_is_no_setting_only_says_where_to_read_and_write(path, command, kind):
    kinds = command.callback.settings_kinds
    assert kind in kinds
    names = {name for each in kinds for name, *_ in declared_fields(each)}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in names:
            assert set(parameter.opts) <= PLACES, (path, parameter.opts)


def test_every_training_has_settings_and_the_papers_ones_are_settings_too():
    trainings = {path[1]: kind for path, _, kind in DERIVED if path[0] == "train"}
    assert set(trainings) == {
        "classifier", "segmenter", "inpainter", "occlusion-detector", "gan", "coupled-gan",
    }  # fmt: skip
    from melanoma_tf.classification.settings import RECIPES

    paper = RECIPES["bisla2019"]
    assert isinstance(paper, trainings["classifier"])
    values = flattened(paper)
    assert (values["backbone"], values["batch_size"], values["optimizer"]) == (
        "resnet50", 50, "sgd",
    )  # fmt: skip


def test_from_python_and_from_the_command_line_the_same_experiment_is_run(monkeypatch):
    """Without options a command trains with exactly the settings that Python has by default."""
    from click.testing import CliRunner

    trainers = {
        "classifier": ("melanoma_tf.classification.train", "train_classifier", []),
        "segmenter": ("melanoma_tf.segmentation.train", "train_segmenter", []),
        "inpainter": ("melanoma_tf.purification.inpainter.train", "train_inpainter", []),
        "occlusion-detector": (
            "melanoma_tf.purification.detector.train",
            "train_occlusion_detector",
            [],
        ),
        "gan": ("melanoma_tf.generation.train", "train_gan", ["--class", "melanoma"]),
        "coupled-gan": ("melanoma_tf.generation.train", "train_coupled_gan", []),
    }
    kinds = {path[1]: kind for path, _, kind in DERIVED if path[0] == "train"}
    for name, (module, function, further) in trainers.items():
        taken = []
        monkeypatch.setattr(
            f"{module}.{function}",
            lambda _, __, settings, taken=taken, **___: taken.append(settings),
        )
        arguments = ["train", name, "--records", "a", "--run-dir", "b", *further]
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        expected = kinds[name]()
        if further:
            expected = dataclasses.replace(expected, class_names=("melanoma",))
        assert taken == [expected]
