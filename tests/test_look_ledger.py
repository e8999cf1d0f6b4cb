"""The ledger of looks at test rows: a second look is refused, or told with its number."""

from __future__ import annotations

import io
import json
import multiprocessing
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from rich.console import Console

import searchlab
from searchlab import Accuracy, ParameterCount, Spiral, artifact
from searchlab.cli.summary import print_result
from searchlab.errors import WorldFault
from searchlab.reporting.report import create_report
from searchlab.results import export
from searchlab.runner.resume import resume
from searchlab.runs.events import Message
from searchlab.runs.look_ledger import Look, LookLedger
from searchlab.runs.workspace import Workspace
from tests.jobs import run
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE

LOOK = Look("c1", "first", "id1", 3, 100.0)


@pytest.fixture
def ledger(tmp_path):
    return LookLedger(tmp_path / "test_looks.json")


def run_local(home, sweep=None, **options):
    return run(sweep or spiral_sweep(3), **{"engine": "local", "home": home} | options)


def messages_of(home, name, **options):
    texts = []

    class Display:
        def handle(self, event):
            texts.extend([event.text] if isinstance(event, Message) else [])

    return run_local(home, name=name, display=Display(), **options), texts


def test_the_first_look_is_allowed_and_another_one_is_not(ledger):
    assert ledger.record(LOOK) == (True, [])
    other = replace(LOOK, sweep="second", study="id2", time=200.0)
    assert ledger.record(other) == (False, [LOOK])
    assert ledger.record(replace(other, checksum="c2")) == (True, [])
    assert ledger.record(other, again=True) == (True, [LOOK])
    assert ledger.record(replace(other, trial=5), again=True) == (True, [LOOK, other])


def test_a_look_that_is_repeated_is_the_same_look(ledger):
    """As after a kill: whether the run that continues says --look-again does not matter."""
    other = replace(LOOK, sweep="second", study="id2")
    ledger.record(LOOK)
    ledger.record(other, again=True)
    before = ledger.path.read_bytes()
    assert ledger.record(replace(LOOK, time=900.0)) == (True, [])
    assert ledger.record(replace(other, time=900.0)) == (True, [LOOK])
    assert ledger.path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"looks": [{"sweep": 1}]}', '{"looks": 3}'])
def test_a_damaged_ledger_is_one_sentence(ledger, content):
    ledger.path.write_text(content)
    with pytest.raises(WorldFault, match=r"test_looks\.json is damaged \(.*\); restore it, or remove it"):
        ledger.record(LOOK)
    assert ledger.path.read_text() == content


def record_many(path, sweep):
    for trial in range(20):
        LookLedger(path).record(Look("c1", sweep, sweep, trial, 0.0), again=True)


def test_sweeps_that_end_at_the_same_time_lose_no_look(ledger):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=record_many, args=(ledger.path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE)
    assert [process.exitcode for process in processes] == [0, 0]
    looks = json.loads(ledger.path.read_text())["looks"]
    assert sorted((look["sweep"], look["trial"]) for look in looks) == [(s, t) for s in "ab" for t in range(20)]


def test_another_sweep_on_the_same_rows_is_not_tested_unless_it_says_so(home):
    first = run_local(home)
    second, texts = messages_of(home, "second", tracking="mlflow")
    assert (second.winner.test_look, second.winner.test_score, second.winner.artifact_score) == (None, None, None)
    assert [text for text in texts if text.startswith("the test rows")] == [
        f"the test rows were opened before, for trial {first.best.number} of 'spiral', and are not opened again; "
        "`searchlab resume second --look-again` tests the winner"
    ]
    assert second.winner.predictions is None
    assert searchlab.open("second", home=home).to_json() == second.to_json()
    described = artifact.load(second.artifact).manifest["test"]
    assert described == {"rows": 90, "look": None, "checksum": Spiral(points=30).testing().checksum()}
    data = MlflowClient(second.tracking_uri).get_run(second.run_id).data
    assert "test_accuracy" not in data.metrics
    assert data.tags["searchlab.test_look"] == "none"
    assert "not measured on the test rows" in second.report.read_text()
    console = Console(file=io.StringIO(), width=150)
    print_result(second, console)
    assert "test rows not opened, because they were before; `searchlab resume second" in " ".join(
        console.file.getvalue().split()
    )
    assert "test accuracy" not in console.file.getvalue()

    tested = resume("second", home=home, sweep=spiral_sweep(3), look_again=True)
    assert (tested.winner.test_look, tested.winner.test_score) == (2, first.winner.test_score)
    assert resume("second", home=home, sweep=spiral_sweep(3)).winner.test_look == 2
    third = run_local(home, name="third", look_again=True)
    assert third.winner.test_look == 3


def test_other_test_rows_have_looks_of_their_own(home):
    run_local(home)
    assert run_local(home, spiral_sweep(3, data=Spiral(points=30, seed=5)), name="other").winner.test_look == 1


def test_other_trials_with_the_same_winner_are_no_other_look(home):
    first = run_local(home, spiral_sweep(3))
    for trials in (4, 5, 6, 8, 10):
        longer = resume("spiral", home=home, sweep=spiral_sweep(3), trials=trials)
        is_same = longer.best.number == first.best.number
        assert longer.winner.test_look == (1 if is_same else None)
        assert (longer.winner.test_score is not None) == is_same


def test_several_metrics_without_a_look(home):
    sweep = spiral_sweep(3, metric=(Accuracy(), ParameterCount()))
    run_local(home, sweep)
    second = run_local(home, sweep, name="second")
    assert second.to_json()["best"]["others"]["parameters"]["test"] is None
    assert searchlab.open("second", home=home).to_json() == second.to_json()
    assert "parameters" in second.report.read_text()


def test_a_run_that_ends_while_it_tests_may_test_the_same_winner(home, monkeypatch):
    measure = export.measure

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "measure", interrupted)
    with pytest.raises(searchlab.errors.Interrupted):
        run_local(home)
    monkeypatch.setattr(export, "measure", measure)
    resumed = resume("spiral", home=home, sweep=spiral_sweep(3))
    assert resumed.winner.test_look == 1
    assert resumed.winner.test_score is not None


def test_a_result_from_before_the_ledger_can_be_opened_and_reported(home):
    run_local(home)
    path = home / "sweeps" / "spiral" / "result.json"
    stored = json.loads(path.read_text())
    del stored["best"]["test_look"], stored["best"]["baseline"], stored["best"]["beats_baseline"]
    path.write_text(json.dumps(stored))
    assert searchlab.open("spiral", home=home).winner.test_look == 1
    assert "for the first time" in create_report("spiral", Workspace.at(home)).path.read_text()
