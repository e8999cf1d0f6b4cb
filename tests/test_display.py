"""The display of a run from Python: a board in a terminal, one line in a notebook, nothing elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from searchlab.display.notebook import NotebookLine, is_notebook
from searchlab.display.python_display import python_display
from searchlab.display.run_state import RunState
from searchlab.display.snapshot_view import progress_text
from searchlab.runs.events import EpochFinished, Message, PhaseStarted, TrialFinished, TrialStarted
from tests.conftest import ROOT
from tests.jobs import make_manifest
from tests.sweeps import spiral_sweep


class Outputs:
    """What a notebook shows: the text of each output by its id, and every text so far."""

    def __init__(self):
        self.shown, self.texts = {}, []

    def display(self, data, *, raw, display_id):
        assert raw
        assert display_id not in self.shown
        self._show(data, display_id)

    def update_display(self, data, *, raw, display_id):
        assert raw
        assert display_id in self.shown, "only an output that is there can be renewed"
        self._show(data, display_id)

    def _show(self, data, display_id):
        (text,) = data.values()
        self.shown[display_id] = text
        self.texts.append(text)


@pytest.fixture
def outputs(monkeypatch):
    """The outputs of a kernel: what IPython is to a notebook."""
    outputs, ipython, display = Outputs(), ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    display.display, display.update_display = outputs.display, outputs.update_display
    ipython.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return outputs


def search_events():
    """The events of a search of three trials: one complete, one failed, one running."""
    yield PhaseStarted("start", "spiral", 3, "accuracy", "max")
    yield PhaseStarted("search", "spiral", 3, "accuracy", "max")
    for trial in range(3):
        yield TrialStarted(trial, {"lr": 0.1}, 1.0)
    yield EpochFinished(0, 1, [0.7, 0.9], [0.1, 0.1], 2.0)
    yield TrialFinished(0, "COMPLETE", 0.8, 1, None, 1.0, 2.0)
    yield TrialFinished(1, "FAIL", None, None, "diverged", 1.0, 2.0)


def test_a_run_in_a_notebook_is_one_line_that_renews_itself(outputs, home):
    result = spiral_sweep(trials=3).run(engine="local", home=home, tracking=None)
    assert len(outputs.shown) == 1
    assert all("\n" not in text for text in outputs.texts)
    assert any("searching" in text for text in outputs.texts)
    (last,) = outputs.shown.values()
    assert re.match(
        r"spiral: finished after .*: 3 of 3 trials ended, best accuracy 0\.\d{4} ± 0\.\d{4} \(trial \d", last
    )
    result.resume(trials=+1)
    assert len(outputs.shown) == 2, "another run has a line of its own"


def test_nothing_is_shown_where_progress_is_not_wanted(outputs, home):
    result = spiral_sweep(trials=2).run(engine="local", home=home, tracking=None, progress=False)
    result.resume(trials=+1, progress=False)
    assert not outputs.texts


def test_nothing_is_shown_outside_of_terminals_and_notebooks(home, capfd):
    assert not is_notebook()
    spiral_sweep(trials=2).run(engine="local", home=home, tracking=None)
    assert capfd.readouterr() == ("", "")


def test_the_line_says_how_far_the_search_is(outputs):
    with NotebookLine(interval=0.0) as line:
        for event in search_events():
            line.handle(event)
        best = "best accuracy 0.8000 ± 0.1000 (trial 0)"
        assert f"spiral: searching; 2 of 3 trials ended (1 failed), 1 running, {best}" in outputs.texts[-1]
        line.handle(Message("the server is away"))
        assert outputs.texts[-1].endswith("; the server is away")
    assert "finished after" in outputs.texts[-1]


def test_the_line_is_not_renewed_with_every_event(outputs):
    with NotebookLine(interval=3600.0) as line:
        for event in search_events():
            line.handle(event)
        assert len(outputs.texts) == 3, "the beginning and two phases"


def test_trials_that_are_run_again_are_counted_by_themselves():
    state = RunState()
    for event in search_events():
        state.handle(event)
    state.handle(PhaseStarted("finalists", "spiral", 2, "accuracy", "max"))
    state.handle(TrialStarted(0, {"lr": 0.1}, 3.0))
    state.handle(TrialFinished(0, "COMPLETE", 0.7, 1, None, 1.0, 4.0))
    assert progress_text(state.snapshot()) == "1 of 2 trials ended; best 0.7000 (trial 0)"
    state.handle(PhaseStarted("winner", "spiral", 3, "accuracy", "max"))
    assert progress_text(state.snapshot()) == "2 of 3 trials ended; best 0.8000 (trial 0)"


def interrupted_run():
    with NotebookLine() as line:
        line.handle(PhaseStarted("search", "spiral", 3, "accuracy", "max"))
        raise KeyboardInterrupt


def test_the_line_says_that_a_run_has_stopped(outputs):
    with pytest.raises(KeyboardInterrupt):
        interrupted_run()
    assert outputs.texts[-1].startswith("spiral: stopped after")


def test_events_may_come_from_another_thread(outputs):
    with NotebookLine(interval=0.0) as line:
        thread = threading.Thread(target=lambda: [line.handle(event) for event in search_events()])
        thread.start()
        thread.join()
    assert "2 of 3 trials ended" in outputs.texts[-1]


def test_ipython_in_a_terminal_is_no_notebook(outputs, monkeypatch):
    assert is_notebook()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace())
    assert not is_notebook()
    with python_display(None, progress=True) as display:
        assert display is None


def test_progress_is_no_part_of_a_stored_sweep(tmp_path):
    from searchlab.runs.manifest import SweepManifest
    from searchlab.runs.workspace import Workspace

    folder = Workspace.at(tmp_path).sweep("spiral")
    make_manifest(spiral_sweep(), progress=False).save(folder)
    assert "progress" not in folder.read("sweep")["config"]
    assert SweepManifest.load(folder).config.progress is True


SCRIPT = """
from tests.sweeps import spiral_sweep
result = spiral_sweep(trials=3).run(engine="local", home={home!r}, tracking=None, progress={progress})
print(result.state)
"""


@pytest.mark.slow
@pytest.mark.parametrize("progress", [True, False])
def test_a_script_in_a_terminal_shows_the_board(home, progress):
    """The board goes to stderr, so that stdout holds what the script itself prints."""
    read_end, terminal = pty.openpty()
    script = SCRIPT.format(home=str(home), progress=progress)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=terminal, cwd=ROOT, env=environment
    )
    os.close(terminal)
    drawn = b""
    try:
        while chunk := _read(read_end):
            drawn += chunk
        assert process.stdout.read() == b"FINISHED\n"
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(read_end)
    assert (b"of 3" in drawn or b"/3" in drawn) == progress
    assert (b"spiral" in drawn) == progress


def _read(descriptor):
    """Return what was written to a terminal; nothing once its last process has ended."""
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO on Linux
        return b""
