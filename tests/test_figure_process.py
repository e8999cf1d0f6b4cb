"""The figures of a search that a process of its own draws."""

from __future__ import annotations

import sys

import pytest

from searchlab.reporting import figure_process
from searchlab.reporting.figure_process import BackgroundFigures
from tests.test_importance import search


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(figure_process.os, "sched_getaffinity", lambda _: {0, 1})


@pytest.fixture
def drawn_here(monkeypatch, tmp_path):
    """The calls to draw in this process, which return a path each."""
    calls = []

    def save(*arguments):
        calls.append(arguments)
        return (tmp_path / "here.png",)

    monkeypatch.setattr(figure_process, "save_search_figures", save)
    return calls


def drawing(trials, folder):
    """Figures that are being drawn."""
    figures = BackgroundFigures()
    figures.draw(trials, "accuracy", "max", folder, {})
    return figures


@pytest.mark.slow
def test_a_process_draws_what_this_one_would(two_cores, drawn_here, tmp_path):
    paths = drawing(search(12), tmp_path / "figures").finish()
    assert {path.name for path in paths} >= {"learning-curves.png", "optimization-history.png", "importance.png"}
    assert set(paths) == set((tmp_path / "figures").glob("*.png"))
    assert not drawn_here


@pytest.mark.parametrize("code", ["raise SystemExit(1)", "import os; os.abort()"])
def test_what_the_process_does_not_draw_is_drawn_here(two_cores, drawn_here, monkeypatch, tmp_path, code):
    monkeypatch.setattr(figure_process, "COMMAND", (sys.executable, "-c", code))
    trials = search(12)
    paths = drawing(trials, tmp_path).finish()
    assert paths == (tmp_path / "here.png",)
    assert drawn_here == [(trials, "accuracy", "max", tmp_path, {})]


def test_a_process_that_cannot_be_started_is_not_missed(two_cores, drawn_here, monkeypatch, tmp_path):
    monkeypatch.setattr(figure_process, "COMMAND", (str(tmp_path / "no-such-program"),))
    assert drawing(search(12), tmp_path).finish() == (tmp_path / "here.png",)


@pytest.mark.parametrize("start", [lambda folder: drawing(search(12), folder), lambda _: BackgroundFigures()])
def test_figures_that_are_not_wanted_any_more_end_with_their_process(two_cores, monkeypatch, tmp_path, start):
    monkeypatch.setattr(figure_process, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    figures = start(tmp_path)
    process = figures._process
    figures.close()
    assert process.returncode == -9
    assert process.stdin.closed
    assert process.stdout.closed


@pytest.mark.slow
def test_a_process_that_is_told_nothing_ends_without_an_error(two_cores):
    process = BackgroundFigures()._process
    assert process.communicate() == (b"", None)
    assert process.returncode == 0
