"""Hints can be pasted, names that are misspelt get a suggestion, and lines in a pipe are neither padded nor wrapped."""

import re
import shlex

import pytest
from rich.table import Table

from searchlab.cli import VERBS, execute, hints, searchlab
from searchlab.cli.console import OutputConsole
from searchlab.errors import UserMistake
from searchlab.space.budget import Budget, BudgetUsage
from searchlab.wording import count, suggestion
from tests.command_line import error_message, run_cli
from tests.test_cli import QUICK, SPIRAL

GIVEN = {"--home": "my home", "--address": "http://head:8265"}


def commands_with(option):
    """Return the commands about an existing sweep that take an option."""
    commands = {verb: searchlab.get_command(None, verb) for verb in VERBS}
    taking = {verb for verb, command in commands.items() if any(option in each.opts for each in command.params)}
    return taking - {"run", "submit", "plan", "show", "doctor", "cluster"}


@pytest.mark.parametrize("option", hints.REPEATED)
def test_every_command_that_takes_an_option_gets_it(option):
    assert set(hints.REPEATED[option]) == commands_with(option)


def test_a_command_gets_the_options_that_it_takes_once():
    assert hints.command("watch digits", GIVEN) == "searchlab watch digits --home 'my home' --address http://head:8265"
    assert hints.command("ui", GIVEN) == "searchlab ui --home 'my home'"
    assert hints.command("run SPEC", GIVEN) == "searchlab run SPEC"
    assert hints.command("stop digits --home other", {"--home": "h"}) == "searchlab stop digits --home other"
    assert hints.command("list", {}) == "searchlab list"


def test_quoted_commands_of_a_sentence_are_completed_once():
    sentence = "stopped; `searchlab resume digits` continues it, `searchlab list` lists all, and `ruff` is no command"
    completed = hints.complete(sentence, {"--home": "h"})
    assert "`searchlab resume digits --home h`" in completed
    assert "`searchlab list --home h`" in completed
    assert "`ruff`" in completed
    assert hints.complete(completed, {"--home": "h"}) == completed


@pytest.mark.parametrize("words", [["--home", "given here"], ["--home=given here"]])
def test_hints_repeat_the_home_of_the_command_line_and_not_that_of_the_environment(words, tmp_path):
    finished = run_cli("resume", "digits", *words, cwd=tmp_path, home=tmp_path / "of the environment")
    assert "given here" in error_message(finished, 2)
    listed = run_cli("list", *words, cwd=tmp_path)
    assert "`searchlab run SPEC` starts one" in listed.stdout
    assert "--home" not in run_cli("list", home=tmp_path / "of the environment").stdout


def test_the_hints_of_a_sweep_work_when_they_are_pasted(tmp_path):
    """In a home folder with a space in its name."""
    home = ["--home", "home folder"]
    assert run_cli("run", SPIRAL, *QUICK, *home, cwd=tmp_path).returncode == 0
    watched = run_cli("watch", "spiral-mlp", *home, cwd=tmp_path).stdout
    taken = error_message(run_cli("run", SPIRAL, *QUICK, *home, "--name", "spiral-mlp", cwd=tmp_path), 2)
    pasted = [shlex.split(words) for text in (watched, taken) for words in re.findall("`searchlab (.*?)`", text)]
    assert [words[0] for words in pasted] == ["report", "resume"]
    report, resume = pasted
    assert run_cli(*report, cwd=tmp_path).returncode == 0
    assert run_cli(*resume, cwd=tmp_path).returncode == 0


def test_an_unfinished_sweep_is_told_with_a_hint_that_can_be_pasted(tmp_path):
    run_cli("run", SPIRAL, *QUICK, "--home", "h", cwd=tmp_path)
    (tmp_path / "h/sweeps/spiral-mlp/result.json").unlink()
    assert "`searchlab resume spiral-mlp --home h`" in error_message(
        run_cli("watch", "spiral-mlp", "--home", "h", cwd=tmp_path), 1
    )


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["rnu", "x.py"], "run"),
        (["Watch", "x"], "watch"),
        (["run", "search_spaces/digit_mlp.py"], "search_spaces/digits_mlp.py"),
        (["show", "spiral_mlp"], "search_spaces/spiral_mlp.py"),
        (["plan", "serch_spaces/mnist_mlp.py"], "search_spaces/mnist_mlp.py"),
        (["cluster", "int"], "init"),
    ],
)
def test_a_misspelt_command_or_path_gets_a_suggestion(arguments, meant):
    assert f"id you mean {meant!r}?" in error_message(run_cli(*arguments), 2)


def test_a_misspelt_sweep_or_data_file_gets_a_suggestion(tmp_path, monkeypatch):
    folder = tmp_path / "sweeps" / "digits-mlp"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text("{}")
    for verb in ("watch", "resume", "stop", "report"):
        assert "did you mean 'digits-mlp'?" in error_message(run_cli(verb, "digit-mlp", home=tmp_path), 2)
    assert "did you mean" not in error_message(run_cli("watch", "unlike", home=tmp_path), 2)
    from searchlab.tables import Csv

    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.csv").touch()
    with pytest.raises(UserMistake, match=r"did you mean 'prices\.csv'\?"):
        Csv("price.csv", target="y").training()


def test_a_suggestion_keeps_the_letters_and_is_empty_where_nothing_is_close():
    assert suggestion("digits", ["Digits-MLP", "Digits"]) == " (did you mean 'Digits'?)"
    assert suggestion("x", ["Digits"]) == suggestion("digits", []) == ""


@pytest.fixture
def pipe(monkeypatch):
    """A console on what is not a terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)
    return OutputConsole(stderr=False)


def test_lines_in_a_pipe_are_neither_padded_nor_wrapped(pipe, capsys):
    table = Table(box=None, pad_edge=False)
    for heading in ("sweep", "what it does", "more"):
        table.add_column(heading)
    table.add_row("digits", "long " * 60, "")
    table.add_row("d", "short", "")
    pipe.print(table)
    pipe.print("[bold]a long line[/bold] " * 20)
    pipe.print("[as it is]", markup=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert [line for line in lines if line != line.rstrip()] == []
    assert len(lines[1]) > 300
    assert lines[-1] == "[as it is]"
    assert lines[-2] == "a long line " * 19 + "a long line"


def test_columns_set_the_width_of_a_pipe_too(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert OutputConsole(stderr=False).width == 40


def test_one_of_a_thing_is_singular():
    assert [count(number, "trial") for number in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
    usage = BudgetUsage(seconds=1.0, epochs=1, trials_since_best=1, best_score=0.5)
    reasons = [
        Budget(seconds=1.0).exhausted_reason(usage, "max"),
        Budget(epochs=1).exhausted_reason(usage, "max"),
        Budget(patience=1).exhausted_reason(usage, "max"),
    ]
    assert all(reasons)
    assert not re.search(r"\b1 \w+s\b", " ".join(reasons))


def test_help_of_no_command_still_works(capsys):
    assert execute(["--help"]) == 0
    assert "Usage" in capsys.readouterr().out
