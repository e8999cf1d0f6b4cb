"""The report: one page that holds all it shows, tells the truth about any sweep, and can be made again."""

from __future__ import annotations

import base64
import json
import re
import shlex
import zipfile
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from hatchling.builders.wheel import WheelBuilder
from mlflow import MlflowClient

from searchlab import Budget, Halving
from searchlab.cli import searchlab
from searchlab.cli.arguments import fuse_of, values_of
from searchlab.cli.run import run_command
from searchlab.errors import UserMistake, WorldFault
from searchlab.metrics import Accuracy, ParameterCount
from searchlab.reporting import report as reports
from searchlab.reporting.page import duration, score
from searchlab.reporting.pruning_savings import pruning_savings_of, reasons_of
from searchlab.reporting.report import report, write_report
from searchlab.reporting.svg_charts import best_chart, survivor_chart, ticks
from searchlab.runner import pipeline
from searchlab.runner.run import run
from searchlab.runs.config import RunConfig
from searchlab.runs.describe import arguments_of, command_of, settings_of
from searchlab.runs.events import Buffer
from searchlab.runs.file_lock import FileLock
from searchlab.runs.job import Job
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.runs.workspace import Workspace
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.sweeps import spiral_sweep

VOID = {"meta", "img", "br", "line", "path", "circle"}  # these have no end tag here


@pytest.fixture(autouse=True)
def few_pictures(request, monkeypatch):
    """Drawing takes longer than these small sweeps: only the tests that look at the pictures have them drawn."""
    if "pictures" not in request.keywords:
        monkeypatch.setattr(pipeline.SweepPipeline, "_draw_figures", lambda *_: ())
        monkeypatch.setattr(reports, "save_search_figures", lambda *_: ())


class Parsed(HTMLParser):
    """A page's tags in order, its text, and every attribute; fails where a tag is not closed in its turn."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.given, self._open = [], "", [], []
        self.feed(page)
        self.close()
        assert not self._open, f"never closed: {self._open}"
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.given += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if not self._open or self._open[-1] != "style":
            self.text += f"{data} "


def epoch(number, scores):
    """A report of one epoch, two folds to a trial."""
    scores = np.array(scores, dtype=float)
    return EpochReport(number, np.ones(len(scores)), scores, (None,) * len(scores), 0.6, 1000.0 + number)


def record(number, state="COMPLETE", scores=(0.5,), reason=None, ended=None, **parameters):
    """A trial whose two folds scored these at each epoch."""
    best = int(np.argmax(scores)) + 1 if scores and state != "FAIL" else None
    curve = LearningCurve([[s, s] for s in scores], [[1.0, 1.0] for _ in scores], [*range(len(scores))], seconds=1.0)
    value = scores[best - 1] if best else None
    return TrialRecord(number, state, parameters, value, best, reason, curve, 0.0, ended)


@pytest.fixture
def place(tmp_path):
    """A home with one sweep in it, of which nothing is trained yet."""
    home = Workspace.at(tmp_path)
    order_of().keep(home.sweep("spiral"))
    return home


def order_of(sweep=None, **changes):
    sweep = sweep or spiral_sweep()
    return replace(RunConfig("spiral", 7, sweep.fingerprint(), sweep.describe(), created=1000.0), **changes)


def search_a_little(home):
    """Six trials: two complete, one each that was stopped, failed or infeasible, and one that is open."""
    folder = home.sweep("spiral")
    study = Study(Job(spiral_sweep(), "spiral", folder.study, folder.checkpoints, trials=7, fuse=1), Buffer())
    numbers = [study.ask().trials[0] for _ in range(6)]
    study.finish(numbers[:2], epoch(1, [0.5, 0.75, 0.875, 0.8125]))
    study.report(numbers[2:4], epoch(1, [0.125] * 4))
    study.ledger.prune(numbers[2], "worse than <b>the others</b>")
    study.ledger.fail(numbers[3], "diverged: <script>alert('no')</script> & more")
    study.ledger.rule_out(numbers[4], "too large by 12 bytes")
    study.close()


def page_of(written):
    return Parsed(written.path.read_text(encoding="utf-8"))


def test_an_interrupted_sweep_says_so_and_tells_what_was_stored(place):
    search_a_little(place)
    written = report("spiral", place)
    page = page_of(written)
    assert written.state == "interrupted"
    assert "searchlab resume spiral" in page.text
    assert "7 trials asked for" in page.text
    assert "2 complete 1 pruned 1 failed 1 infeasible 1 open" in page.text
    assert "The best trials so far" in page.text
    assert "The winner" not in page.text
    assert re.search(r"\b1 0\.8438 0\.0312 1\b", page.text), "number, mean, spread and epoch of the best"


def test_what_a_trial_says_is_shown_and_never_obeyed(place):
    search_a_little(place)
    page = page_of(report("spiral", place))
    assert "worse than <b>the others</b>" in page.text
    assert "diverged: <script>alert('no')</script> & more" in page.text
    assert not {"script", "b"} & set(page.tags[page.tags.index("h2") :])


def test_the_page_asks_nobody_for_anything(place):
    search_a_little(place)
    page = page_of(report("spiral", place))
    assert "script" not in page.tags
    assert "link" not in page.tags
    sources = [value for _, name, value in page.given if name in ("src", "href", "srcset", "action", "data")]
    assert all(value.startswith("data:") for value in sources)
    style = (place.sweep("spiral").path / "report.html").read_text().partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_a_sweep_of_which_nothing_is_trained_has_a_report(place):
    written = report("spiral", place)
    assert written.state == "interrupted"
    assert "7 trials asked for 0 complete" in page_of(written).text


def test_a_running_sweep_says_so(place):
    search_a_little(place)
    lock = FileLock(place.sweep("spiral").lock)
    try:
        written = report("spiral", place)
    finally:
        lock.release()
    assert written.state == "running"
    assert "This sweep is running" in page_of(written).text


@pytest.mark.pictures
def test_an_interrupted_sweep_has_the_pictures_of_its_search_in_the_page_alone(place):
    search_a_little(place)
    images = [value for tag, name, value in page_of(report("spiral", place)).given if (tag, name) == ("img", "src")]
    assert len(images) >= 3
    for image in images:
        kind, _, content = image.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content).startswith(b"\x89PNG")
    assert not place.sweep("spiral").figures.exists()


@pytest.mark.slow
@pytest.mark.pictures
def test_every_run_ends_with_a_report_that_can_be_made_again(home):
    result = run(spiral_sweep(trials=12, epochs=9, pruner=Halving()), engine="local", home=home, workers=1)
    first = result.report.read_text(encoding="utf-8")
    assert result.plain()["report"] == str(home / "sweeps" / "spiral" / "report.html")
    page = Parsed(first)
    winner = result.winner
    assert f"The winner: trial {winner.trial.number}" in page.text
    assert f"{score(winner.trial.value)} ± {score(winner.trial.std)}" in page.text
    assert f"{score(winner.test_score)} {score(winner.artifact_score)} as float16" in page.text
    trained = sum(len(trial.curve.scores) for trial in result.trials)
    assert result.count("PRUNED")
    assert f"{trained} epochs were trained. They would have been {9 * 12} " in page.text
    assert page.tags.count("img") == len(result.figures)
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    assert [file.path for file in client.list_artifacts(result.run_id, "report")] == ["report/report.html"]

    again = report("spiral", Workspace.at(home))
    assert again.state == "finished"
    assert without_times(again.path.read_text(encoding="utf-8")) == without_times(first)


def without_times(page):
    """The page without what depends on when it was written: the record is complete only after the report is."""
    return re.sub(r"Written \S+ \S+|\d+\.\d s|\d+ min \d+ s", "", page)


def test_several_metrics_have_their_front(place):
    order = order_of(spiral_sweep(metric=(Accuracy(), ParameterCount())))
    values = [(0.5, 4810.0), (0.75, 9610.0), (0.625, 9999.0)]
    trials = [replace(record(n, scores=[pair[0]]), values=pair) for n, pair in enumerate(values)]
    page = Parsed(write_report(order, place, trials, "interrupted", None, []).read_text())
    front = page.text.partition("Pareto front")[2].partition("The best trials")[0]
    assert "as good in the others: 2 of 3." in front
    assert [number for number in ("4,810", "9,610", "9,999") if number in front] == ["4,810", "9,610"]


def test_a_budget_that_is_used_up_is_told_and_is_no_pruner(place):
    sweep, folder = spiral_sweep(budget=Budget(epochs=2)), place.sweep("spiral")
    study = Study(Job(sweep, "spiral", folder.study, folder.checkpoints, trials=7, fuse=1), Buffer())
    numbers = [study.ask().trials[0] for _ in range(2)]
    study.report(numbers, epoch(1, [0.5, 0.75, 0.875, 0.8125]))
    study.close()
    assert study.over
    records = study.records()
    assert {trial.state for trial in records} == {"PRUNED"}
    page = Parsed(write_report(order_of(sweep), place, records, "finished", {"over": study.over}, []).read_text())
    assert "before its 7 trials were used up: its 2 epochs are used up." in page.text
    assert "What pruning saved" not in page.text


def test_the_epochs_that_were_saved_are_those_up_to_the_end_of_stopped_trials():
    trials = [
        record(0, scores=[0.5] * 9),
        record(1, "PRUNED", [0.5] * 2, "rank 3 of 3"),
        record(2, "PRUNED", [0.5] * 4, "rank 4 of 9"),
        record(3, "PRUNED", [0.5] * 5, "the search was over: its 20 epochs are used up"),
        record(4, "FAIL", [0.5], "diverged"),
        replace(record(5, scores=[0.5] * 9), curve=LearningCurve([[0.5]] * 9, [[1.0]] * 9, [0.0] * 9, seconds=0.0)),
    ]
    saving = pruning_savings_of(trials, {"training.epochs": 9})
    assert (saving.trained, saving.whole) == (21, 21 + 7 + 5)
    assert saving.stopped == {2: 1, 4: 1}
    assert saving.share == pytest.approx(21 / 33)
    assert [(reason.count, reason.first) for reason in saving.reasons] == [(2, 1)]
    assert pruning_savings_of(trials[:1], {}) is None


def test_epochs_that_are_open_are_each_trials_own():
    stopped = [record(n, "PRUNED", [0.5] * 2, "worse", **{"training.epochs": n}) for n in (6, 3)]
    assert pruning_savings_of(stopped, {"training.epochs": "Int(3 to 6, whole)"}).whole == 9


def test_reasons_that_differ_in_numbers_alone_are_one():
    told = ["rank 3 of 3 after epoch 2", "diverged (fold 1)", "rank 10 of 12 after epoch 4", "p = 1.2e-05", "p = 0.03"]
    found = reasons_of([record(n, "PRUNED", reason=words) for n, words in enumerate(told)])
    assert [(reason.words, reason.count, reason.first) for reason in found] == [
        ("rank 3 of 3 after epoch 2", 2, 0),
        ("p = 1.2e-05", 2, 3),
        ("diverged (fold 1)", 1, 1),
    ]


def test_the_command_asks_for_the_same_again():
    values = {"model.hidden": 64, "training.schedule": "None", "data.path": "my file.csv", "optimizer.lr": (0.1, 2)}
    order = order_of(
        spec="/projects/a folder/mine.py", values=values, seed=3, workers=4, fuse=2, memory=1.5, generation=8,
        warm_start="before", storage="postgresql://me:secret@there/db", tracking_uri="http://me:secret@there",
    )  # fmt: skip
    program, verb, *words = shlex.split(command_of(order))
    asked = run_command.make_context("run", words).params
    assert (program, verb, str(asked["spec"])) == ("searchlab", "run", "/projects/a folder/mine.py")
    assert values_of(asked["settings"]) == values
    assert fuse_of(asked["fuse"]) == 2
    names = ("trials", "seed", "workers", "device", "engine", "memory", "warm_start")
    assert all(asked[name] == getattr(order, name) for name in names)
    assert asked["reproducible"]
    assert "secret" not in command_of(order)
    told = command_of(order_of(seed=3, generation=8))
    assert told.startswith("sweep.run(trials=7, seed=3,")
    assert "reproducible=True" in told


def test_no_password_is_told(place):
    order = order_of(tracking_uri="http://me:secret@there:5000/mlflow")
    page = write_report(order, place, [], "interrupted", None, []).read_text()
    assert "http://there:5000/mlflow" in page
    assert "secret" not in page


def test_what_was_asked_is_told_as_it_would_be_written():
    description = spiral_sweep(pruner=Halving(), metric=Accuracy()).describe()
    assert arguments_of(description)["model.hidden"] == ("5 to 20, step 5, whole", True)
    assert arguments_of(description)["training.epochs"] == ("3", False)
    told = settings_of(description)
    assert told["validation"] == "KFold(folds=2, seed=0)"
    assert told["metric"] == "Accuracy"
    assert told["pruner"] == "the default"
    assert settings_of(spiral_sweep().describe())["pruner"].startswith("NoPruning")


def test_thousands_of_trials_stay_a_page_that_a_browser_shows(place):
    trials = [record(n, scores=[0.5, 0.5 + n / 10_000], ended=float(n), lr=0.1) for n in range(2000)]
    path = write_report(order_of(), place, trials, "interrupted", None, [])
    page = Parsed(path.read_text())
    assert "1,000 trials, the first; 1,000 more are in the record" in page.text
    assert path.stat().st_size < 1_000_000


def test_a_full_disk_is_one_sentence(place, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reports, "write_atomically", full)
    with pytest.raises(WorldFault, match="every trial is kept, and `searchlab report spiral` tries again"):
        report("spiral", place)


def test_the_command_line_tells_the_path(place):
    search_a_little(place)
    done = CliRunner().invoke(searchlab, ["report", "spiral", "--home", str(place.path), "--json"])
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "sweep": "spiral", "state": "interrupted", "report": str(place.sweep("spiral").path / "report.html"),
    }  # fmt: skip


def test_a_report_on_nothing_is_a_mistake(place):
    with pytest.raises(UserMistake, match=r"there is no sweep called 'spirale'.* there are: spiral"):
        report("spirale", place)


def test_the_best_so_far_only_gets_better():
    for goal, better in (("max", [0.2, 0.5, 0.9]), ("min", [0.5, 0.3])):
        chart = best_chart([(1, better[0]), (2, better[1]), (3, 0.4), (4, better[-1])], "trials", "it", goal, 5.0)
        heights = [y for _, y in chart.dots]
        assert len(heights) == len(better)
        assert heights == sorted(heights, reverse=goal == "max"), "up is smaller in a picture's coordinates"
        assert chart.line.endswith(f"H{chart.frame[2]}"), "the line goes on to the end"
    assert best_chart([], "trials", "it", "max", 5.0) is None
    assert not best_chart([(1, 0.5)], "trials", "it", "max", 1.0).clipped


def test_a_far_worse_beginning_lies_at_the_edge():
    scores = [1e6, *np.linspace(110, 100, 30)]
    chart = best_chart([*enumerate(scores, start=1)], "trials", "perplexity", "min", 31.0)
    assert chart.clipped
    assert chart.dots[0][1] == chart.frame[1]
    assert chart.dots[1][1] > chart.frame[1] + 20


def test_survivors_are_those_that_trained_on():
    chart = survivor_chart([1, 3, 3])
    left, top, right, bottom = chart.frame
    assert chart.line.startswith(f"M{left} {top}H")
    assert chart.line.count("V") == 2  # at the beginning of every later epoch
    assert chart.line.endswith(f"H{right}")
    assert chart.area.endswith(f"V{bottom}H{left}Z")
    assert survivor_chart([0]) is None


def test_ticks_are_round_and_within():
    assert ticks(0.0, 40.0) == pytest.approx([0, 10, 20, 30, 40])
    assert ticks(0.8165, 0.9787, most=5) == pytest.approx([0.85, 0.9, 0.95])
    assert ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert len(ticks(-1e-9, 1e-9)) <= 6


def test_times_and_scores_are_told_in_their_own_words():
    assert [duration(seconds) for seconds in (0.25, 59.94, 250, 7500)] == ["0.2 s", "59.9 s", "4 min 10 s", "2 h 5 min"]
    assert [score(number) for number in (None, float("nan"), 0.98123, 9610.0, 3.0)] == [
        "", "", "0.9812", "9,610", "3.0000"
    ]  # fmt: skip


def test_the_wheel_has_the_templates(tmp_path):
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {f"searchlab/reporting/templates/report.{end}" for end in ("html.j2", "css")} <= packed
