"""The options of a run: declared once, validated with a message that names valid values, and equal for all callers."""

from __future__ import annotations

import inspect
from dataclasses import fields

import click
import pytest

from searchlab.cli.plan import plan_command
from searchlab.cli.run import run_command
from searchlab.cli.run_options import config_from
from searchlab.cli.submit import submit_command
from searchlab.errors import UserMistake
from searchlab.runner.resume import resume
from searchlab.runs.config import RunConfig
from tests.sweeps import spiral_sweep

INVALID_OPTIONS = [  # options, and what the message contains
    ({"engine": "tunes"}, ("'tune'", "'local'", "tunes")),
    ({"device": "gpu"}, ("'cpu'", "'cuda'", "'either'", "gpu")),
    ({"fuse": "all"}, ("'auto'", "at least 1", "all")),
    ({"fuse": 0}, ("'auto'", "at least 1", "0")),
    ({"fuse": True}, ("'auto'", "True")),
    ({"trial": 3}, ("'trial'", "'trials'")),
    ({"wrokers": 3}, ("'wrokers'", "'workers'")),
    ({"xyz": 3}, ("'xyz'", "trials, values, seed")),
    ({"trials": 0}, ("trials", "at least 1", "0")),
    ({"trials": 2.0}, ("trials", "whole number", "2.0")),
    ({"workers": -1}, ("workers", "at least 1", "-1")),
    ({"workers": True}, ("workers", "True")),
    ({"memory": 0.0}, ("memory", "GB", "0.0")),
    ({"memory": float("nan")}, ("memory", "GB", "nan")),
    ({"seed": 1.5}, ("seed", "whole number", "1.5")),
    ({"seed": -1}, ("seed", "at least 0", "-1")),
    ({"checkpoints": 3}, ("checkpoints", "text", "3")),
    ({"storage": b"x"}, ("storage", "text", "b'x'")),
    ({"reproducible": "no"}, ("reproducible", "True or False", "no")),
    ({"progress": None}, ("progress", "True or False", "None")),
    ({"values": [1]}, ("values", "dict", "[1]")),
    ({"tracking": "wandb"}, ("'mlflow'", "None", "wandb")),
    ({"name": "a/b"}, ("name", "letters", "a/b")),
    ({"name": "x" * 65}, ("name", "64")),
]


@pytest.mark.parametrize(("options", "words"), INVALID_OPTIONS)
def test_an_invalid_option_is_rejected_with_valid_values_before_anything_is_written(tmp_path, options, words):
    home = tmp_path / "home"
    with pytest.raises(UserMistake) as caught:
        spiral_sweep().run(home=home, **options)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not home.exists()


def test_every_option_is_documented_and_reaches_the_command_line():
    docstring = inspect.getdoc(RunConfig)
    flags = {option.name: option for option in run_command.params if isinstance(option, click.Option)}
    for field in fields(RunConfig):
        assert f"    {field.name}: " in docstring
        if field.name not in ("values", "tracking", "progress"):  # --set, --no-tracking; a command always shows it
            assert flags[field.name].help, field.name
    assert {"settings", "no_tracking", "epochs", "time_budget"} <= flags.keys()


@pytest.mark.parametrize("command", [plan_command, submit_command])
def test_other_commands_have_the_same_help_as_run(command):
    different = {"address", "checkpoints"}  # of submit, which has other defaults
    texts = {option.name: option.help for option in run_command.params if isinstance(option, click.Option)}
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in different:
            assert option.help == texts[option.name]


def test_options_of_the_command_line_are_converted_to_a_configuration():
    options = {"trials": 5, "fuse": "3", "settings": ("model.hidden=64", "optimizer=Adam"), "epochs": 2, "seed": None}
    config = config_from({**options, "time_budget": "1m", "ship_data": False, "reproducible": True})
    values = {"model.hidden": 64, "optimizer": "Adam", "training.epochs": 2, "budget.seconds": 60.0}
    assert config == RunConfig(trials=5, fuse=3, values=values, reproducible=True)
    assert config.changed() == {"trials": 5, "fuse": 3, "values": values, "reproducible": True}
    assert config_from({"no_tracking": True}) == RunConfig(tracking=None)
    assert config_from({"no_tracking": False}) == RunConfig()


@pytest.mark.parametrize(
    ("options", "path"),
    [({"epochs": 1}, "training.epochs"), ({"time_budget": "90"}, "budget.seconds"), ({"trials": 3}, "trials")],
)
def test_an_option_and_a_setting_of_the_same_argument_are_refused(options, path):
    (name,) = options
    with pytest.raises(UserMistake, match=f"--{name.replace('_', '-')} and --set {path}=.* both fix {path}"):
        config_from({**options, "settings": ("model.hidden=64", f"{path}=0")})
    assert config_from({"settings": (f"{path}=7",)}).values == {path: 7}


@pytest.mark.parametrize("use", [spiral_sweep().run, spiral_sweep().study, lambda home: resume("spiral", home=home)])
def test_a_home_that_is_no_path_is_refused(use):
    with pytest.raises(UserMistake, match="home is the path of a folder, got 3"):
        use(home=3)
