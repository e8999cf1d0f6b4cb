"""The report: one complete HTML file, correct for a sweep in any state, that can be written again."""

from __future__ import annotations

import base64
import hashlib
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

from searchlab import Budget, Float, Halving
from searchlab.cli import searchlab
from searchlab.cli.run import run_command
from searchlab.cli.run_options import fixed_values, parse_fuse
from searchlab.errors import UserMistake, WorldFault
from searchlab.metrics import Accuracy, ParameterCount
from searchlab.reporting import report as report_module
from searchlab.reporting.formats import score, score_with_std
from searchlab.reporting.pruning_savings import compute_pruning_savings
from searchlab.reporting.report import create_report, write_report
from searchlab.reporting.sentences import sentences
from searchlab.reporting.svg_charts import best_score_chart, round_ticks, training_trials_chart
from searchlab.runs.describe import arguments_of, command_of, settings_of
from searchlab.runs.events import EventBuffer
from searchlab.runs.file_lock import FileLock
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.runs.workspace import Workspace
from searchlab.space.domains import Domain
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.jobs import make_job, make_manifest, run
from tests.sweeps import spiral_sweep

VOID_TAGS = {"meta", "img", "br", "line", "path", "circle", "input"}  # these are not closed


@pytest.fixture(autouse=True)
def few_figures(request, monkeypatch):
    """Plot no figures except in the tests of figures: it takes longer than these small sweeps."""
    if "figures" not in request.keywords:
        monkeypatch.setattr(report_module, "save_search_figures", lambda *_: ())


class ParsedPage(HTMLParser):
    """The tags of a page in order, its text, and every attribute; fails if tags are not closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.attributes, self._open = [], "", [], []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID_TAGS:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID_TAGS:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if not self._open or self._open[-1] not in ("style", "script"):
            self.text += f"{data} "


def epoch(number, scores):
    """The report of one epoch, with two folds per trial."""
    scores = np.array(scores, dtype=float)
    return EpochReport(number, np.ones(len(scores)), scores, (None,) * len(scores), 0.6, 1000.0 + number)


def record(number, state="COMPLETE", scores=(0.5,), reason=None, ended=None, **parameters):
    """A trial with these scores by epoch, equal in its two folds."""
    best = int(np.argmax(scores)) + 1 if scores and state != "FAIL" else None
    curve = LearningCurve([[s, s] for s in scores], [[1.0, 1.0] for _ in scores], [*range(len(scores))], seconds=1.0)
    value = scores[best - 1] if best else None
    return TrialRecord(number, state, parameters, value, best, reason, curve, 0.0, ended)


@pytest.fixture
def workspace(tmp_path):
    """A workspace with one sweep, no trial of which has started."""
    made = Workspace.at(tmp_path)
    manifest_of().save(made.sweep("spiral"))
    return made


def manifest_of(sweep=None, **changes):
    return make_manifest(sweep or spiral_sweep(), **changes)


def study_in(workspace, sweep=None):
    folder = workspace.sweep("spiral")
    job = make_job(sweep or spiral_sweep(), "spiral", folder.study, folder.checkpoints, trials=7, fuse=1)
    return Study(job, EventBuffer())


def run_six_trials(workspace):
    """Six trials: two complete ones, one pruned, failed and infeasible each, and one unfinished."""
    study = study_in(workspace)
    numbers = [study.ask().trials[0] for _ in range(6)]
    study.finish(numbers[:2], epoch(1, [0.5, 0.75, 0.875, 0.8125]))
    study.report(numbers[2:4], epoch(1, [0.125] * 4))
    study.store.prune(numbers[2], "worse than <b>the others</b>")
    study.store.fail(numbers[3], "diverged: <script>alert('no')</script> & more")
    study.store.mark_infeasible(numbers[4], "too large by 12 bytes")
    study.close()


def create_page(workspace):
    """Create the report of the sweep as it is; its state and its page."""
    report = create_report("spiral", workspace)
    return report.state, ParsedPage(report.path.read_text(encoding="utf-8"))


def write_page(workspace, trials, *, manifest=None, state="interrupted", result=None):
    return ParsedPage(write_report(manifest or manifest_of(), workspace, trials, state, result, []).read_text())


def test_report_of_an_interrupted_sweep(workspace):
    run_six_trials(workspace)
    state, page = create_page(workspace)
    assert state == "interrupted"
    assert "searchlab resume spiral" in page.text
    assert "7 trials requested 2 complete 1 pruned 1 failed 1 infeasible 1 unfinished" in page.text
    assert "Best trials so far" in page.text
    assert "Winner" not in page.text
    assert re.search(r"\b1 0\.8438 0\.0312 1\b", page.text), "number, mean, standard deviation and epoch of the best"


def test_values_are_escaped(workspace):
    run_six_trials(workspace)
    _, page = create_page(workspace)
    assert "worse than <b>the others</b>" in page.text
    assert "diverged: <script>alert('no')</script> & more" in page.text
    assert not {"script", "b"} & set(page.tags[page.tags.index("h2") : page.tags.index("footer")])


def test_the_page_loads_no_other_file(workspace):
    run_six_trials(workspace)
    _, page = create_page(workspace)
    assert "link" not in page.tags
    assert page.tags.count("script") == 1
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert all(value.startswith("data:") for value in sources)
    style = (workspace.sweep("spiral").path / "report.html").read_text().partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_the_script_of_the_page_alone(workspace):
    run_six_trials(workspace)
    _, page = create_page(workspace)
    html = (workspace.sweep("spiral").path / "report.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and "default-src" in (value or ""))
    assert f"script-src 'sha256-{checksum}'" in policy
    assert not [name for _, name, _ in page.attributes if name.startswith("on")], "no script in an attribute"


def test_every_table_has_a_caption_and_every_heading_a_scope(workspace):
    run_six_trials(workspace)
    _, page = create_page(workspace)
    assert page.tags.count("table") == page.tags.count("caption") > 4
    assert page.tags.count("th") == sum(tag == "th" and name == "scope" for tag, name, _ in page.attributes)


def test_each_trial_can_be_copied_as_options_and_in_python(workspace):
    parameters = {"optimizer": "Adam", "optimizer.Adam.lr": 0.05, "model.hidden": 6}
    page = write_page(workspace, [replace(record(0), parameters=parameters)])
    options, python = (value for _, name, value in page.attributes if name == "data-copy")
    settings = [word for word in shlex.split(options) if word != "--set"]
    sweep = spiral_sweep()
    for values in (fixed_values(settings), eval(python.removeprefix("values="))):  # noqa: S307, of this test
        fixed = sweep.with_values(values)
        open_paths = {path for path, value, _ in fixed.iter_arguments() if isinstance(value, Domain)}
        assert not open_paths & set(parameters), "they are all fixed"
        assert fixed.optimizer.arguments["lr"] == 0.05
        assert fixed.model.arguments["hidden"] == 6


def test_the_report_says_what_happened_in_three_sentences(workspace):
    lr = Float(1e-3, 1.0, log=True)
    trials = [
        replace(record(n, scores=[0.5 + n / 100], lr=0.01 * 1.2**n), domains={"lr": lr}) for n in range(20)
    ]  # fmt: skip
    finalists = [{"trial": 19 - n, "is_tied": n < 2, "weights": 10 + n} for n in range(3)]
    best = {"trial": 19, "score": 0.69, "test": 0.7, "params": {"lr": 0.3194}, "finalists": finalists}
    found = sentences(manifest_of(), trials, {"best": best, "seconds": {"total": 75.0}})
    assert len(found) == 3
    assert "20 trials ended in 1 min 15 s" in found[0]
    assert "20 trained to the end" in found[0]
    assert "Trial 19 won with lr 0.319" in found[1]
    assert "0.6900 and of 0.7000 on the test rows; 2 finalists are tied" in found[1]
    assert "trial 19 is the smallest" in found[1]
    assert "PED-ANOVA, was lr (100%)" in found[2]
    assert sentences(manifest_of(), [], {}) == []
    assert len(sentences(manifest_of(), trials[:3], {})) == 1


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("http://ann:secret@mlflow:5000/", "http://mlflow:5000/#/runs/abc"),
        ("https://mlflow.example", "https://mlflow.example/#/runs/abc"),
        (None, None),
    ],
)
def test_the_report_links_to_the_run_on_an_mlflow_server(workspace, uri, link):
    manifest = manifest_of(tracking="mlflow", **({"tracking_uri": uri} if uri else {}))
    page = write_page(workspace, [record(0)], manifest=manifest, state="failed", result={"run_id": "abc"})
    assert [value for _, name, value in page.attributes if name == "href"] == ([link] if link else [])
    assert ("searchlab ui spiral" in page.text) == (link is None)


def test_report_of_a_sweep_without_trials(workspace):
    state, page = create_page(workspace)
    assert state == "interrupted"
    assert "7 trials requested 0 complete" in page.text


def test_one_trial_is_in_the_singular(workspace):
    path = write_report(manifest_of(trials=1), workspace, [record(0, ended=1.0)], "interrupted", None, [])
    assert "1 trial requested" in ParsedPage(path.read_text()).text
    assert not re.search(r"\b1 (trials|epochs)\b", path.read_text())


def test_report_of_a_running_sweep(workspace):
    run_six_trials(workspace)
    with FileLock(workspace.sweep("spiral").lock):
        state, page = create_page(workspace)
    assert state == "running"
    assert "This sweep is running" in page.text


@pytest.mark.figures
def test_figures_of_an_interrupted_sweep_are_in_the_page_alone(workspace):
    run_six_trials(workspace)
    _, page = create_page(workspace)
    images = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert len(images) >= 3
    for image in images:
        kind, _, content = image.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content).startswith(b"\x89PNG")
    assert not workspace.sweep("spiral").figures.exists()


@pytest.mark.slow
@pytest.mark.figures
def test_every_run_ends_with_a_report_that_can_be_written_again(home):
    result = run(
        spiral_sweep(trials=12, epochs=9, pruner=Halving()), engine="local", home=home, workers=1, tracking="mlflow"
    )
    first = result.report.read_text(encoding="utf-8")
    assert result.to_json()["report"] == str(home / "sweeps" / "spiral" / "report.html")
    page, winner = ParsedPage(first), result.winner
    assert f"Winner: trial {winner.trial.number}" in page.text
    assert score_with_std(winner.trial.value, winner.trial.std) in page.text
    assert f"{score(winner.test_score)} {score(winner.artifact_score)} as float16" in page.text
    trained = sum(len(trial.curve.scores) for trial in result.trials)
    assert result.count("PRUNED")
    assert f"{trained} epochs were trained instead of {9 * 12}" in page.text
    assert page.tags.count("img") == len(result.figures)
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    assert [file.path for file in client.list_artifacts(result.run_id, "report")] == ["report/report.html"]

    again = create_report("spiral", Workspace.at(home))
    assert again.state == "finished"
    assert without_times(again.path.read_text(encoding="utf-8")) == without_times(first)


def without_times(html):
    """The page without what depends on when it was written: the record is completed only after the first report."""
    return re.sub(r"Written \S+ \S+|\d+(\.\d)? s\b|\d+ min( \d+ s)?", "", html)


def test_several_metrics_have_a_pareto_front(workspace):
    manifest = manifest_of(spiral_sweep(metric=(Accuracy(), ParameterCount())))
    values = [(0.5, 4810.0), (0.75, 9610.0), (0.625, 9999.0)]
    trials = [replace(record(n, scores=[pair[0]]), values=pair) for n, pair in enumerate(values)]
    page = write_page(workspace, trials, manifest=manifest)
    front = page.text.partition("Pareto front")[2].partition("Best trials")[0]
    assert "2 of 3 complete trials" in front
    assert [number for number in ("4,810", "9,610", "9,999") if number in front] == ["4,810", "9,610"]


def test_a_budget_that_is_used_up_is_not_pruning(workspace):
    sweep = spiral_sweep(budget=Budget(epochs=2))
    study = study_in(workspace, sweep)
    numbers = [study.ask().trials[0] for _ in range(2)]
    study.report(numbers, epoch(1, [0.5, 0.75, 0.875, 0.8125]))
    study.close()
    assert study.end_reason
    records = study.records()
    assert {trial.state for trial in records} == {"PRUNED"}
    page = write_page(
        workspace, records, manifest=manifest_of(sweep), state="finished", result={"over": study.end_reason}
    )
    assert f"before its 7 trials had ended: {study.end_reason}." in page.text
    assert "pruning saved" not in page.text


def test_savings_are_the_epochs_that_pruned_trials_did_not_train():
    trials = [
        record(0, scores=[0.5] * 9),
        record(1, "PRUNED", [0.5] * 2, "rank 3 of 3"),
        record(2, "PRUNED", [0.5] * 4, "rank 4 of 9"),
        record(3, "PRUNED", [0.5] * 5, "the search was over: its 20 epochs are used up"),
        record(4, "FAIL", [0.5], "diverged"),
        replace(record(5, scores=[0.5] * 9), curve=LearningCurve([[0.5]] * 9, [[1.0]] * 9, [0.0] * 9, seconds=0.0)),
    ]
    savings = compute_pruning_savings(trials, {"training.epochs": 9})
    assert (savings.trained, savings.unpruned) == (21, 21 + 7 + 5)
    assert savings.stopped_after == {2: 1, 4: 1}
    assert savings.share_trained == pytest.approx(21 / 33)
    assert [(reason.state, reason.count, reason.first_trial) for reason in savings.reasons] == [("pruned", 2, 1)]
    assert compute_pruning_savings(trials[:1], {}) is None


def test_a_searched_number_of_epochs_is_that_of_each_trial():
    pruned = [record(n, "PRUNED", [0.5] * 2, "worse", **{"training.epochs": n}) for n in (6, 3)]
    assert compute_pruning_savings(pruned, {"training.epochs": "Int(3 to 6, whole)"}).unpruned == 9


def test_the_command_starts_the_same_run():
    values = {"model.hidden": 64, "training.schedule": "None", "data.path": "my file.csv", "optimizer.lr": (0.1, 2)}
    manifest = manifest_of(
        spec="/projects/a folder/mine.py", values=values, seed=3, workers=4, fuse=2, memory=1.5, generation=8,
        reproducible=True, warm_start="before", storage="postgresql://me:secret@there/db",
        tracking_uri="http://me:secret@there",
    )  # fmt: skip
    program, verb, *words = shlex.split(command_of(manifest))
    options = run_command.make_context("run", words).params
    assert (program, verb, str(options["spec"])) == ("searchlab", "run", "/projects/a folder/mine.py")
    assert fixed_values(options["settings"]) == values
    assert parse_fuse(options["fuse"]) == 2
    assert options["trials"] == manifest.trials
    names = ("seed", "workers", "memory", "warm_start", "reproducible")
    assert all(options[name] == getattr(manifest.config, name) for name in names)
    assert "secret" not in command_of(manifest)
    call = command_of(manifest_of(seed=3, generation=8, reproducible=True))
    assert call.startswith("sweep.run(trials=7, seed=3,")
    assert "reproducible=True" in call


@pytest.mark.parametrize(
    ("option", "url", "shown"),
    [
        ("tracking_uri", "http://me:secret@there:5000/mlflow", "http://there:5000/mlflow"),
        ("storage", "postgresql://me@h/db?password=secret", "postgresql://me@h/db"),
        ("storage", "postgresql://me:sec/secret@h:5432/db", "postgresql://me@h:5432/db"),
    ],
)
def test_passwords_are_not_in_the_report(workspace, option, url, shown):
    path = write_report(manifest_of(**{option: url}), workspace, [], "interrupted", None, [])
    assert shown in ParsedPage(path.read_text()).text
    assert "secret" not in path.read_text()


def test_a_run_without_a_record_has_no_place_of_it(workspace):
    assert "MLflow" in write_page(workspace, []).text
    assert "MLflow" not in write_page(workspace, [], manifest=manifest_of(tracking=None)).text


def test_the_parts_of_a_sweep_are_described_as_they_are_written():
    description = spiral_sweep(pruner=Halving(), metric=Accuracy()).describe()
    assert arguments_of(description)["model.hidden"] == ("5 to 20, step 5, whole", True)
    assert arguments_of(description)["training.epochs"] == ("3", False)
    settings = settings_of(description)
    assert settings["validation"] == "KFold(folds=2, seed=0)"
    assert settings["metric"] == "Accuracy"
    assert settings["pruner"] == "the default"
    assert settings_of(spiral_sweep().describe())["pruner"].startswith("NoPruning")


def test_the_report_of_thousands_of_trials_is_small(workspace):
    trials = [record(n, scores=[0.5, 0.5 + n / 10_000], ended=float(n), lr=0.1) for n in range(2000)]
    page = write_page(workspace, trials)
    assert "first 1,000 trials; 1,000 more trials" in page.text
    assert (workspace.sweep("spiral").path / "report.html").stat().st_size < 1_000_000


def test_a_full_disk_is_a_fault(workspace, monkeypatch):
    def write(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report_module, "write_atomically", write)
    with pytest.raises(WorldFault, match=r"No space left.*every trial is kept.*`searchlab report spiral`"):
        create_report("spiral", workspace)


def test_the_command_prints_the_path(workspace):
    run_six_trials(workspace)
    done = CliRunner().invoke(searchlab, ["report", "spiral", "--home", str(workspace.path), "--json"])
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "sweep": "spiral", "state": "interrupted", "report": str(workspace.sweep("spiral").path / "report.html"),
    }  # fmt: skip


def test_a_report_of_an_unknown_sweep_is_a_mistake(workspace):
    with pytest.raises(UserMistake, match=r"no sweep called 'spirale'.* there are: spiral"):
        create_report("spirale", workspace)


def test_the_best_score_so_far_only_improves():
    for goal, better in (("max", [0.2, 0.5, 0.9]), ("min", [0.5, 0.3])):
        chart = best_score_chart([(1, better[0]), (2, better[1]), (3, 0.4), (4, better[-1])], "trials", "it", goal, 5.0)
        heights = [y for _, y in chart.dots]
        assert len(heights) == len(better)
        assert heights == sorted(heights, reverse=goal == "max"), "in an SVG, y is measured from the top"
        assert chart.line.endswith(f"H{chart.frame[2]}"), "the line continues to the end"
    assert best_score_chart([], "trials", "it", "max", 5.0) is None
    assert not best_score_chart([(1, 0.5)], "trials", "it", "max", 1.0).clipped


def test_far_worse_first_scores_are_drawn_at_the_edge():
    scores = [1e6, *np.linspace(110, 100, 30)]
    chart = best_score_chart([*enumerate(scores, start=1)], "trials", "perplexity", "min", 31.0)
    assert chart.clipped
    assert chart.dots[0][1] == chart.frame[1]
    assert chart.dots[1][1] > chart.frame[1] + 20


def test_trials_still_training_after_each_epoch():
    chart = training_trials_chart([1, 3, 3])
    left, top, right, bottom = chart.frame
    assert chart.line.startswith(f"M{left} {top}H")
    assert chart.line.count("V") == 2  # at the beginning of every later epoch
    assert chart.line.endswith(f"H{right}")
    assert chart.area.endswith(f"V{bottom}H{left}Z")
    assert training_trials_chart([0]) is None


def test_ticks_are_round_numbers_within_the_limits():
    assert round_ticks(0.0, 40.0) == pytest.approx([0, 10, 20, 30, 40])
    assert round_ticks(0.8165, 0.9787, limit=5) == pytest.approx([0.85, 0.9, 0.95])
    assert round_ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert len(round_ticks(-1e-9, 1e-9)) <= 6


def test_the_wheel_has_the_templates(tmp_path):
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {f"searchlab/reporting/templates/report.{end}" for end in ("html.j2", "css", "js")} <= packed


def test_the_table_of_all_trials_says_which_are_overfitted(workspace):
    scores = [0.5, 0.7, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    overfitted, other = record(0, scores=scores), record(1, scores=scores)
    overfitted.curve.training_scores += [[1.0, 1.0]] * 10
    page = write_report(manifest_of(), workspace, [overfitted, other], "interrupted", None, []).read_text()
    assert page.count("<td>complete, overfitted</td>") == page.count("<td>complete</td>") == 1
