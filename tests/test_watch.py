"""Watching a sweep: a followed journal has what Optuna has, and the last snapshot says how the sweep ended."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from dataclasses import replace

import pytest
from rich.console import Console

from searchlab.cli.output import Output
from searchlab.cli.watch import show
from searchlab.display.snapshot_view import SnapshotView
from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor import watch
from searchlab.monitor.journal_tail import JournalTail
from searchlab.monitor.reasons import ReasonCount, ReasonCounter
from searchlab.monitor.snapshot import Snapshot, TopTrial
from searchlab.monitor.watch import SweepObserver, watch_sweep
from searchlab.runs.events import EventBuffer
from searchlab.runs.file_lock import FileLock
from searchlab.runs.job import PriorTrial
from searchlab.runs.workspace import Workspace
from searchlab.study.reading import read_trials
from searchlab.study.study import Study
from tests.command_line import error_message, run_cli
from tests.conftest import ROOT
from tests.leaderboards import leaderboard_of
from tests.terminal import Terminal
from tests.test_status import end_in_every_state, epoch, job_in, result_of, spiral_manifest

BASE = Snapshot("spiral", "running", 7)
BEST = TopTrial(29, 0.97632, 0.0121, 11, {"model.hidden": 128, "optimizer": "Adam", "optimizer.Adam.lr": 0.0021})
RUNNING = Snapshot(
    "spiral", "running", 40, 4, 13, 1, 2, 3, "accuracy", "max",
    (BEST, replace(BEST, trial=3, score=0.93, std=None)),
    (ReasonCount("failed", "diverged: the loss is nan", 1, 4),),
    seconds=75.0, trials_per_second=0.25, seconds_left=88.0,
)  # fmt: skip
RUN = [str(ROOT / "tests" / "chaos" / "sweep.py"), "--engine", "local", "--fuse", "1", "--trials", "8", "--no-tracking"]


@pytest.fixture
def workspace(tmp_path):
    """A workspace with one sweep, no trial of which has started."""
    made = Workspace.at(tmp_path)
    spiral_manifest().save(made.sweep("spiral"))
    return made


@pytest.fixture
def folder(workspace):
    return workspace.sweep("spiral")


def filled(board):
    return board.fill(BASE, 0.0, time.time())


def filled_by_optuna(job):
    return filled(leaderboard_of(read_trials(job.storage, job.name), "max"))


def test_a_followed_journal_has_at_any_moment_what_optuna_has(workspace, tmp_path):
    earlier = Study(job_in(workspace, storage=tmp_path / "earlier.journal"), EventBuffer())
    prior_trials = [PriorTrial(earlier.ask().parameters[0], [1.0], pruned_epoch=epoch) for epoch in (None, None, 2)]
    job = job_in(workspace, prior_trials=prior_trials)
    earlier.close()
    tail = JournalTail(job.storage, "max")
    assert filled(tail.read()) == BASE, "there is no journal yet"
    end_in_every_state(job)
    lines = job.storage.read_bytes().splitlines(keepends=True)
    first = 1 + next(number for number, line in enumerate(lines) if b'"known trials"' in line)
    job.storage.write_bytes(b"".join(lines[:first]))
    assert filled(tail.read()) == BASE, "the trials of the earlier sweep are not counted"
    for line in lines[first:]:
        for part in (line[:-1], line[-1:]):  # first a line without its end, as while it is being written
            with job.storage.open("ab") as file:
                file.write(part)
            assert filled(tail.read()) == filled_by_optuna(job)
    whole = filled(tail.read())
    assert (whole.complete, whole.pruned, whole.failed, whole.infeasible, whole.unfinished) == (2, 1, 1, 1, 1)
    assert [(top.trial, top.score, top.std, top.epoch) for top in whole.top] == [
        (0, 0.625, 0.125, 1), (1, 0.625, 0.125, 1),
    ]  # fmt: skip
    assert whole.top[0].params
    assert whole.failures == (ReasonCount("failed", "diverged", 1, 3), ReasonCount("infeasible", "too large", 1, 4))


def test_a_journal_that_was_truncated_is_read_again(workspace):
    job = job_in(workspace)
    tail = JournalTail(job.storage, "max")
    end_in_every_state(job)
    assert tail.read().ended == 5
    content = job.storage.read_bytes()
    job.storage.write_bytes(content[: content.rindex(b'{"op_code":6,')])
    assert filled(tail.read()) == filled_by_optuna(job)
    assert tail.read().ended == 4


def test_the_best_five_trials_are_kept_in_order(workspace):
    job = job_in(workspace, trials=9)
    study = Study(job, EventBuffer())
    for score in (0.5, 0.25, 0.75, 0.5, 0.875, 0.125, 0.75):
        study.finish(study.ask().trials, epoch(1, [score] * 2))
    study.close()
    assert [top.trial for top in filled(JournalTail(job.storage, "max").read()).top] == [4, 2, 6, 0, 3]
    assert [top.trial for top in filled(JournalTail(job.storage, "min").read()).top] == [5, 1, 0, 3, 2]
    assert filled(JournalTail(job.storage, "max").read()) == filled_by_optuna(job)


def test_a_damaged_journal_is_a_fault(workspace):
    job = job_in(workspace)
    end_in_every_state(job)
    job.storage.write_bytes(job.storage.read_bytes().replace(b'"state":1', b'"state":'))
    with pytest.raises(WorldFault, match="damaged"):
        JournalTail(job.storage, "max").read()


def test_reasons_that_differ_only_in_numbers_are_counted_together():
    counter = ReasonCounter()
    reasons = [
        "rank 3 of 3 after epoch 2",
        "diverged (fold 1)",
        "rank 10 of 12 after epoch 4",
        "p = 1.2e-05",
        "p = 0.03",
    ]
    for trial, reason in enumerate(reasons):
        counter.add(trial, "PRUNED", reason)
    counter.add(5, "FAIL", "diverged (fold 1)")
    counter.add(6, "FAIL", None)
    assert [(counted.state, counted.count, counted.first_trial) for counted in counter.most_common()] == [
        ("pruned", 2, 0), ("pruned", 2, 3), ("pruned", 1, 1), ("failed", 1, 5), ("failed", 1, 6),
    ]  # fmt: skip
    assert [counted.reason for counted in counter.most_common(2)] == [reasons[0], reasons[3]]


def test_the_rate_is_that_of_the_latest_run():
    board = leaderboard_of([], "max")
    for number, start in enumerate((10.0, 20.0, 1000.0, 1010.0)):
        board.add_start(number, start)
        board.add_end(number, "PRUNED", start + 5.0)
    snapshot = board.fill(BASE, 990.0, 1020.0)
    assert snapshot.trials_per_second == 2 / 20, "two trials since the first of the run started"
    assert snapshot.seconds_left == 3 / snapshot.trials_per_second
    assert board.fill(BASE, 1016.0, 1020.0).trials_per_second is None


def test_a_snapshot_survives_json():
    values = json.loads(json.dumps(RUNNING.to_json()))
    assert values["best"] == {"trial": 29, "score": 0.97632, "std": 0.0121, "epoch": 11, "params": dict(BEST.params)}
    assert (values["asked"], values["unfinished"]) == (40, 3)
    restored = Snapshot.from_json({**values, "of a later version": 1})
    assert restored == RUNNING
    assert (restored.seconds, restored.trials_per_second, restored.seconds_left) == (75.0, 0.25, 88.0)
    assert Snapshot.from_json({"sweep": "x", "state": "starting"}) == Snapshot("x", "starting")
    with pytest.raises(KeyError):
        Snapshot.from_json({"error": "there is no such sweep", "exit_code": 2})


def test_a_sweep_is_observed_from_start_to_end(workspace, folder):
    lock, observer = FileLock(folder.lock), SweepObserver(folder)
    snapshot = observer.snapshot()
    assert (snapshot.state, snapshot.requested) == ("starting", 7)
    end_in_every_state(job_in(workspace))
    snapshot = observer.snapshot()
    assert (snapshot.state, snapshot.ended, snapshot.metric, snapshot.goal) == ("running", 4, "accuracy", "max")
    assert snapshot == observer.snapshot()
    spiral_manifest(trials=9).save(folder)
    assert observer.snapshot().requested == 9
    spiral_manifest().save(folder)
    lock.release()
    assert observer.snapshot().state == "interrupted"
    result = result_of(5) | {"seconds": {"total": 12.5}, "over": "its 3 seconds are used up"}
    folder.write("result", result)
    snapshot = observer.snapshot()
    assert (snapshot.state, snapshot.seconds, snapshot.over) == ("finished", 12.5, "its 3 seconds are used up")
    folder.write("result", {**result, "state": "FAILED"})
    assert observer.snapshot().state == "failed"


def test_only_changes_are_yielded_and_reading_takes_a_tenth_of_the_time(workspace, folder, monkeypatch):
    lock, pauses = FileLock(folder.lock), []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            end_in_every_state(job_in(workspace))
        if len(pauses) == 6:
            lock.release()

    snapshot = SweepObserver.snapshot
    monkeypatch.setattr(watch.time, "sleep", sleep)
    monkeypatch.setattr(SweepObserver, "snapshot", lambda self: (sum(range(2_000_000)), snapshot(self))[1])
    states = [(one.state, one.ended) for one in watch_sweep(folder, interval=0.01)]
    assert states == [("starting", 0), ("running", 4), ("interrupted", 4)]
    assert pauses[0] == 0.01, "the first read is long, and the next one is not"
    assert all(seconds > 0.1 for seconds in pauses[1:]), pauses


def test_a_missing_sweep_is_waited_for_or_is_a_mistake(workspace, folder):
    other = workspace.sweep("other")
    with pytest.raises(UserMistake, match=r"no sweep called 'other' in .*; there are: spiral"):
        next(watch_sweep(other))
    snapshots = watch_sweep(other, interval=0.01, wait=0.1)
    assert next(snapshots) == Snapshot("other", "starting")
    with pytest.raises(UserMistake, match="no sweep called 'other'"):
        next(snapshots)
    end_in_every_state(job_in(workspace))
    states = [(one.state, one.requested) for one in watch_sweep(folder, interval=0.01, wait=0.1)]
    assert states == [("starting", 7), ("interrupted", 7)], "it might have been resumed"
    lock = FileLock(folder.lock)
    snapshots = watch_sweep(folder, interval=0.01, wait=600.0)
    assert next(snapshots).state == "running"
    lock.release()
    assert next(snapshots).state == "interrupted", "after a run there is no more waiting"


def rendered(snapshot, width=100, **options):
    console = Console(record=True, force_terminal=True, width=width, file=open(os.devnull, "w"), **options)  # noqa: SIM115
    console.print(SnapshotView(snapshot, age=10.0))
    console.file.close()
    return console.export_text().splitlines()


def test_the_view_shows_all_that_a_snapshot_has():
    head, bar, counts, headings, best, second, failure = (line.rstrip() for line in rendered(RUNNING))
    assert head == "spiral  searching"
    assert bar == f"{'━' * 13}{'─' * 17}  18/40  1 min 25 s  15 trials/min  about 1 min 18 s left"
    assert counts == "4 complete  13 pruned  1 failed  2 infeasible  3 running"
    assert headings.split() == ["best", "accuracy", "trial", "epoch", "hyperparameters"]
    assert best == "0.9763 ± 0.0121     29     11  hidden 128  optimizer Adam  lr 0.0021"
    assert second.startswith("0.9300  ")
    assert failure == "failed: diverged: the loss is nan  (trial 4)"


@pytest.mark.parametrize("width", [60, 70, 80, 100])
def test_the_time_that_is_left_is_never_cut(width):
    """The bar is shorter before the rate is left out, and both before the time is."""
    slow = {"trials_per_second": 0.123, "seconds_left": 4000.0, "seconds": 7500.0}
    long = replace(RUNNING, requested=12345, complete=1000, **slow)
    bar = rendered(long, width=width)[1].rstrip()
    assert bar.endswith("about 1 h 7 min left")
    assert "1014/12345  2 h 5 min" in bar
    assert re.match("━+─+  ", bar)
    assert ("trials/" in bar) == (width >= 80)


def test_a_narrow_terminal_shortens_only_the_parameters():
    lines = rendered(RUNNING, width=50)
    assert len(lines) == 7
    assert lines[4].startswith("0.9763 ± 0.0121     29     11  hidden 128")
    assert lines[4].rstrip().endswith("…")


@pytest.mark.parametrize(
    ("snapshot", "label", "count"),
    [
        (RUNNING, "searching", "3 running"),
        (replace(RUNNING, pruned=35, unfinished=0), "training and testing the winner", "2 infeasible"),
        (replace(RUNNING, state="interrupted"), "interrupted", "3 unfinished"),
    ],
)
def test_the_view_says_what_the_sweep_is_doing(snapshot, label, count):
    head, _, counts, *_ = (line.rstrip() for line in rendered(snapshot))
    assert head == f"spiral  {label}"
    assert counts.endswith(count)


def test_a_sweep_that_is_starting_has_no_bar():
    assert [line.rstrip() for line in rendered(Snapshot("spiral", "starting"))] == ["spiral  starting"]


def test_brackets_in_names_are_not_markup():
    snapshot = replace(RUNNING, sweep="[bold]x", failures=(ReasonCount("failed", "axes [0] and [/red]", 2, 1),))
    lines = rendered(snapshot)
    assert lines[0].rstrip() == "[bold]x  searching"
    assert lines[-1].rstrip() == "failed: axes [0] and [/red]  (2 trials, first 1)"


FINISHED = replace(RUNNING, state="finished", pruned=35, unfinished=0, trials_per_second=None, seconds_left=None)


def test_without_a_terminal_a_line_is_printed_for_each_tenth_of_the_trials(capsys):
    running = [replace(RUNNING, pruned=pruned) for pruned in (13, 14, 15, 35)]
    assert show([Snapshot("spiral", "starting"), *running, FINISHED], Output(False)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "spiral: starting"
    ended = [re.search(r"searching, (\d+) of 40 trials .*0\.9763", line) for line in lines[1:4]]
    assert [found and int(found[1]) for found in ended] == [18, 20, 40]
    assert lines[4].strip() == "spiral  finished"
    assert "`searchlab report spiral`" in lines[-1]


@pytest.mark.parametrize(
    ("last", "code", "words"),
    [
        (FINISHED, 0, None),
        (replace(RUNNING, state="interrupted"), 1, r"interrupted after 18 of 40 trials.*`searchlab resume spiral`"),
        (replace(FINISHED, state="failed", top=()), 1, r"diverged: the loss is nan.*`searchlab resume spiral --trials"),
        (RUNNING, 1, r"lost.*`searchlab watch spiral`"),
    ],
)
def test_with_json_the_last_line_says_how_the_sweep_ended(capsys, last, code, words):
    assert show([RUNNING, last], Output(True)) == code
    printed = capsys.readouterr()
    first, *_, final = map(json.loads, printed.out.splitlines())
    assert Snapshot.from_json(first) == RUNNING
    assert Snapshot.from_json(final) == last
    if words:
        sentence = printed.err.splitlines()[-1]
        assert sentence == f"searchlab: {final['error']}"
        assert re.search(words, sentence)
        assert final["exit_code"] == 1
    else:
        assert "error" not in final


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_ends_watching_without_an_error(capsys, as_json):
    def interrupted():
        yield RUNNING
        raise KeyboardInterrupt

    assert show(interrupted(), Output(as_json)) == 130
    assert capsys.readouterr().err == ""


def test_an_unknown_sweep_is_a_mistake(workspace):
    done = run_cli("watch", "other", "--json", home=workspace.path)
    assert "there are: spiral." in error_message(done, 2)
    assert json.loads(done.stdout.splitlines()[-1])["exit_code"] == 2


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


def snapshots_of(terminal, process):
    """The snapshots that a `searchlab watch` has printed so far."""
    printed = (terminal.home / f"{terminal.processes.index(process)}.out").read_text()
    return [Snapshot.from_json(json.loads(line)) for line in printed.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.slow
def test_a_sweep_is_watched_from_before_its_start_to_its_end(terminal):
    watch = terminal.start("watch", "chaos", "--wait", 100, "--interval", 0.05)
    terminal.wait_until(watch, lambda: snapshots_of(terminal, watch))
    run = terminal.start("run", *RUN)
    assert run.wait(120) == 0, terminal.stderr(run)
    assert watch.wait(30) == 0, terminal.stderr(watch)
    snapshots, result = snapshots_of(terminal, watch), terminal.result(run)
    assert snapshots[0] == Snapshot("chaos", "starting")
    assert [one.ended for one in snapshots] == sorted(one.ended for one in snapshots)
    assert {one.state for one in snapshots[1:-1]} <= {"starting", "running"}
    assert any(one.unfinished for one in snapshots)
    last, counts = snapshots[-1], result["trials"]
    assert (last.state, last.complete, last.pruned) == ("finished", counts["complete"], counts["pruned"])
    complete = [trial for trial in terminal.trials("chaos") if trial.state == "COMPLETE"]
    best = max(complete, key=lambda trial: trial.value)  # a tied trial with fewer weights may have won afterwards
    assert (last.best.trial, last.best.score) == (best.number, pytest.approx(best.value))
    assert (last.best.params, last.best.epoch) == (best.parameters, best.epoch)
    assert last.best.std == pytest.approx(best.std)

    again = terminal.start("watch", "chaos")
    assert again.wait(30) == 0
    assert snapshots_of(terminal, again) == [last]


@pytest.mark.slow
def test_a_killed_driver_ends_watching_and_ctrl_c_does_not_stop_the_sweep(terminal):
    run = terminal.start("run", *RUN, "--trials", 400)  # more than end before it is killed
    terminal.wait_until(run, (terminal.home / "sweeps" / "chaos" / "sweep.json").exists)
    watch, other = (terminal.start("watch", "chaos", "--interval", 0.05) for _ in range(2))
    terminal.wait_until(watch, lambda: any(one.ended for one in snapshots_of(terminal, watch)))
    terminal.wait_until(other, lambda: snapshots_of(terminal, other))
    other.send_signal(signal.SIGINT)
    assert other.wait(10) == 130
    assert terminal.stderr(other) == ""
    assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    assert watch.wait(10) == 1
    last = snapshots_of(terminal, watch)[-1]
    assert last.state == "interrupted"
    assert 0 < last.ended < 400
    assert terminal.stderr(watch).splitlines()[-1] == f"searchlab: {terminal.result(watch)['error']}"
    assert "`searchlab resume chaos" in terminal.result(watch)["error"]
