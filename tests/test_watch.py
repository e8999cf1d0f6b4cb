"""Watching a sweep: what is followed is what Optuna loads, a snapshot survives JSON, and the end is told as it is."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import pytest
from rich.console import Console

from searchlab.cli.board import Board
from searchlab.cli.output import Output
from searchlab.cli.watch import show
from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor import watch
from searchlab.monitor.journal_tail import JournalTail
from searchlab.monitor.leaderboard import leaderboard_of
from searchlab.monitor.snapshot import FailureSummary, Leader, Snapshot
from searchlab.monitor.watch import SweepObserver, snapshots
from searchlab.runs.events import Buffer
from searchlab.runs.file_lock import FileLock
from searchlab.runs.workspace import Workspace
from searchlab.study.reading import peek
from searchlab.study.study import Study
from tests.conftest import ROOT
from tests.test_cli import searchlab, sentence
from tests.test_signals import Terminal
from tests.test_status import end_in_every_way, epoch, job_in, order_of, told

BASE = Snapshot("spiral", "running", 7)
BEST = Leader(29, 0.97632, 0.0121, 11, {"model.hidden": 128, "optimizer": "Adam", "optimizer.Adam.lr": 0.0021})
UNDER_WAY = Snapshot(
    "spiral", "running", 40, 4, 13, 1, 2, 3, "accuracy", "max",
    (BEST, replace(BEST, trial=3, score=0.93, std=None)),
    (FailureSummary("failed", "diverged: the loss is nan", 1, 4),),
    seconds=75.0, rate=0.25, left=88.0,
)  # fmt: skip
RUN = [str(ROOT / "tests" / "chaos" / "sweep.py"), "--engine", "local", "--fuse", "1", "--trials", "8"]


@pytest.fixture
def place(tmp_path):
    """A home with one sweep in it, of which nothing is trained yet."""
    home = Workspace.at(tmp_path)
    order_of().keep(home.sweep("spiral"))
    return home


@pytest.fixture
def folder(place):
    return place.sweep("spiral")


def seen(board):
    return board.fill(BASE, 0.0, time.time())


def loaded(job):
    return seen(leaderboard_of(peek(job.storage, job.name), "max"))


def test_a_followed_journal_is_at_any_moment_what_optuna_loads(place, tmp_path):
    drawn = Study(job_in(place, storage=tmp_path / "earlier.journal"), Buffer())
    job = job_in(place, known=[(drawn.ask().parameters[0], [1.0]) for _ in range(3)])
    drawn.close()
    followed = JournalTail(job.storage, "max")
    assert seen(followed.read()) == BASE, "no journal yet"
    end_in_every_way(job)
    lines = job.storage.read_bytes().splitlines(keepends=True)
    first = 1 + next(number for number, line in enumerate(lines) if b'"known trials"' in line)
    job.storage.write_bytes(b"".join(lines[:first]))
    assert seen(followed.read()) == BASE, "what an earlier sweep knew is none of its trials"
    for line in lines[first:]:
        for part in (line[:-1], line[-1:]):  # half a line is being written
            with job.storage.open("ab") as file:
                file.write(part)
            assert seen(followed.read()) == loaded(job)
    whole = seen(followed.read())
    assert (whole.complete, whole.pruned, whole.failed, whole.infeasible, whole.open) == (2, 1, 1, 1, 1)
    assert [(leader.trial, leader.score, leader.std, leader.epoch) for leader in whole.top] == [
        (0, 0.625, 0.125, 1), (1, 0.625, 0.125, 1),
    ]  # fmt: skip
    assert whole.top[0].params
    assert whole.mishaps == (
        FailureSummary("failed", "diverged", 1, 3),
        FailureSummary("infeasible", "too large", 1, 4),
    )


def test_a_journal_that_was_cut_is_read_again(place):
    job = job_in(place)
    followed = JournalTail(job.storage, "max")
    end_in_every_way(job)
    assert followed.read().ended == 5
    content = job.storage.read_bytes()
    job.storage.write_bytes(content[: content.rindex(b'{"op_code":6,')])
    assert seen(followed.read()) == loaded(job)
    assert followed.read().ended == 4


def test_the_best_few_are_kept_in_order(place):
    job = job_in(place, trials=9)
    study = Study(job, Buffer())
    for score in (0.5, 0.25, 0.75, 0.5, 0.875, 0.125, 0.75):
        study.finish(study.ask().trials, epoch(1, [score] * 2))
    study.close()
    assert [leader.trial for leader in seen(JournalTail(job.storage, "max").read()).top] == [4, 2, 6, 0, 3]
    assert [leader.trial for leader in seen(JournalTail(job.storage, "min").read()).top] == [5, 1, 0, 3, 2]
    assert seen(JournalTail(job.storage, "max").read()) == loaded(job)


def test_a_damaged_journal_is_told(place):
    job = job_in(place)
    end_in_every_way(job)
    job.storage.write_bytes(job.storage.read_bytes().replace(b'"state":1', b'"state":'))
    with pytest.raises(WorldFault, match="is damaged in the line"):
        JournalTail(job.storage, "max").read()


def test_the_rate_is_that_of_the_latest_run(place):
    board = leaderboard_of([], "max")
    for number, start in enumerate((10.0, 20.0, 1000.0, 1010.0)):
        board.begin(number, start)
        board.end(number, "PRUNED", start + 5.0)
    found = board.fill(BASE, 990.0, 1020.0)
    assert found.rate == 2 / 20, "two trials since the first of the run began"
    assert found.left == 3 / found.rate
    assert board.fill(BASE, 1016.0, 1020.0).rate is None


def test_a_snapshot_survives_json():
    plain = json.loads(json.dumps(UNDER_WAY.plain()))
    assert plain["best"] == {"trial": 29, "score": 0.97632, "std": 0.0121, "params": dict(BEST.params)}
    back = Snapshot.of({**plain, "of a later version": 1})
    assert back == UNDER_WAY
    assert (back.seconds, back.rate, back.left) == (75.0, 0.25, 88.0)
    assert Snapshot.of({"sweep": "x", "state": "starting"}) == Snapshot("x", "starting")
    with pytest.raises(KeyError):
        Snapshot.of({"error": "there is no such sweep", "exit_code": 2})


def test_a_sweep_is_seen_from_its_start_to_its_end(place, folder):
    lock, sight = FileLock(folder.lock), SweepObserver(folder)
    assert (sight.look().state, sight.look().asked) == ("starting", 7)
    end_in_every_way(job_in(place))
    now = sight.look()
    assert (now.state, now.ended, now.metric, now.goal) == ("running", 4, "accuracy", "max")
    assert now == sight.look()
    order_of(trials=9).keep(folder)
    assert sight.look().asked == 9
    order_of().keep(folder)
    lock.release()
    assert sight.look().state == "interrupted"
    result = told(5, state="FINISHED") | {"seconds": {"total": 12.5}, "over": "its 3 seconds are used up"}
    folder.write("result", result)
    now = sight.look()
    assert (now.state, now.seconds, now.over) == ("finished", 12.5, "its 3 seconds are used up")
    folder.write("result", {**result, "state": "FAILED"})
    assert sight.look().state == "failed"


def test_a_sweep_in_a_database_is_seen_alike(place, folder, tmp_path):
    end_in_every_way(job_in(place))
    embedded = SweepObserver(folder).look()
    address = f"sqlite:///{tmp_path / 'study.db'}"
    end_in_every_way(job_in(place, storage=address))
    folder.study.unlink()
    assert SweepObserver(folder, address).look() == embedded
    order_of(storage=address).keep(folder)
    assert SweepObserver(folder).look() == embedded


def test_only_changes_are_told_and_looking_takes_a_tenth_of_the_time(place, folder, monkeypatch):
    lock, naps = FileLock(folder.lock), []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            end_in_every_way(job_in(place))
        if len(naps) == 6:
            lock.release()

    look = SweepObserver.look
    monkeypatch.setattr(watch.time, "sleep", nap)
    monkeypatch.setattr(SweepObserver, "look", lambda self: (sum(range(2_000_000)), look(self))[1])
    told = [(one.state, one.ended) for one in snapshots(folder, interval=0.01)]
    assert told == [("starting", 0), ("running", 4), ("interrupted", 4)]
    assert naps[0] == 0.01, "the first look reads all there is, and the next one need not"
    assert all(seconds > 0.1 for seconds in naps[1:]), naps


def test_a_sweep_that_is_not_there_is_waited_for_or_told(place, folder, monkeypatch):
    other = place.sweep("other")
    with pytest.raises(UserMistake, match=r"no sweep called 'other' in .*; there are: spiral"):
        next(snapshots(other))
    found = snapshots(other, interval=0.01, wait=0.1)
    assert next(found) == Snapshot("other", "starting")
    with pytest.raises(UserMistake, match="no sweep called 'other'"):
        next(found)
    end_in_every_way(job_in(place))
    states = [(one.state, one.asked) for one in snapshots(folder, interval=0.01, wait=0.1)]
    assert states == [("starting", 7), ("interrupted", 7)], "it might have been gone on with"
    lock = FileLock(folder.lock)
    found = snapshots(folder, interval=0.01, wait=600.0)
    assert next(found).state == "running"
    lock.release()
    assert next(found).state == "interrupted", "once it was driven nothing is waited for"


def drawn(snapshot, width=100, **options):
    console = Console(record=True, force_terminal=True, width=width, file=open(os.devnull, "w"), **options)  # noqa: SIM115
    console.print(Board(snapshot, since=10.0))
    console.file.close()
    return console.export_text().splitlines()


def test_the_board_shows_all_that_a_snapshot_has():
    head, bar, counts, headings, best, second, mishap = (line.rstrip() for line in drawn(UNDER_WAY))
    assert head == "spiral  searching"
    assert bar == f"{'━' * 13}{'─' * 17}  18/40  0:01:25  15 trials a minute  about 0:01:18 left"
    assert counts == "4 complete  13 pruned  1 failed  2 infeasible  3 under way"
    assert headings.split() == ["best", "accuracy", "trial", "epoch", "parameters"]
    assert best == "0.9763 ± 0.0121     29     11  hidden 128  optimizer Adam  lr 0.0021"
    assert second.startswith("0.9300  ")
    assert mishap == "failed: diverged: the loss is nan  (trial 4)"


def test_a_narrow_terminal_cuts_parameters_alone():
    lines = drawn(UNDER_WAY, width=50)
    assert len(lines) == 7
    assert lines[4].startswith("0.9763 ± 0.0121     29     11  hidden 128")
    assert lines[4].rstrip().endswith("…")


@pytest.mark.parametrize(
    ("snapshot", "label"),
    [
        (Snapshot("spiral", "starting"), "spiral  starting"),
        (replace(UNDER_WAY, pruned=35, open=0), "spiral  refitting the winner, testing it"),
        (replace(UNDER_WAY, state="interrupted", rate=None, left=None), "spiral  interrupted"),
    ],
)
def test_the_board_says_what_is_going_on(snapshot, label):
    assert drawn(snapshot)[0].rstrip() == label


def test_brackets_in_names_are_no_markup():
    snapshot = replace(UNDER_WAY, sweep="[bold]x", mishaps=(FailureSummary("failed", "axes [0] and [/red]", 2, 1),))
    lines = drawn(snapshot)
    assert lines[0].rstrip() == "[bold]x  searching"
    assert lines[-1].rstrip() == "failed: axes [0] and [/red]  (2 trials, first 1)"


FINISHED = replace(UNDER_WAY, state="finished", pruned=35, open=0, rate=None, left=None)


def test_what_is_watched_is_told_in_lines_where_there_is_no_terminal(capsys):
    counted = [replace(UNDER_WAY, pruned=pruned) for pruned in (13, 14, 15, 35)]
    assert show([Snapshot("spiral", "starting"), *counted, FINISHED], Output(False)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "spiral: starting",
        "spiral: searching, 18 of 40 trials ended; best 0.9763 (trial 29)",
        "spiral: searching, 20 of 40 trials ended; best 0.9763 (trial 29)",
        "spiral: searching, 40 of 40 trials ended; best 0.9763 (trial 29)",
    ]
    assert lines[4].strip() == "spiral  finished"
    assert lines[-1] == "spiral is finished; `searchlab report spiral` shows all of it"


@pytest.mark.parametrize(
    ("last", "code", "words"),
    [
        (FINISHED, 0, None),
        (replace(UNDER_WAY, state="interrupted"), 1, "interrupted with 18 of 40 trials ended; nothing drives it"),
        (replace(FINISHED, state="failed", top=()), 1, "none with a score (diverged: the loss is nan)"),
        (UNDER_WAY, 1, "lost sight of"),
    ],
)
def test_with_json_the_last_line_tells_how_it_ended(capsys, last, code, words):
    assert show([UNDER_WAY, last], Output(True)) == code
    printed = capsys.readouterr()
    first, *_, final = map(json.loads, printed.out.splitlines())
    assert Snapshot.of(first) == UNDER_WAY
    assert Snapshot.of(final) == last
    if words:
        told = printed.err.splitlines()[-1]
        assert told == f"searchlab: {final['error']}"
        assert words in told
        assert "`searchlab resume spiral" in told or "watch" in told
        assert final["exit_code"] == 1
    else:
        assert "error" not in final


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_ends_the_watching_quietly(capsys, as_json):
    def interrupted():
        yield UNDER_WAY
        raise KeyboardInterrupt

    assert show(interrupted(), Output(as_json)) == 130
    assert capsys.readouterr().err == ""


def test_an_unknown_sweep_is_one_sentence(place):
    done = searchlab("watch", "other", "--json", home=place.path)
    assert "there are: spiral." in sentence(done, 2)
    assert json.loads(done.stdout.splitlines()[-1])["exit_code"] == 2


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


def lines_of(terminal, process):
    """What a watcher has printed so far, as snapshots."""
    printed = (terminal.home / f"{terminal.started.index(process)}.out").read_text()
    return [Snapshot.of(json.loads(line)) for line in printed.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.slow
def test_a_sweep_is_watched_from_before_it_begins_to_its_end(terminal):
    watch = terminal.start("watch", "chaos", "--wait", 100, "--interval", 0.05)
    terminal.wait_until(watch, lambda: lines_of(terminal, watch))
    run = terminal.start("run", *RUN)
    assert run.wait(120) == 0, terminal.said(run)
    assert watch.wait(30) == 0, terminal.said(watch)
    lines, result = lines_of(terminal, watch), terminal.told(run)
    assert lines[0] == Snapshot("chaos", "starting")
    assert [one.ended for one in lines] == sorted(one.ended for one in lines)
    assert {one.state for one in lines[1:-1]} <= {"starting", "running"}
    assert any(one.open for one in lines)
    last = lines[-1]
    assert (last.state, last.complete, last.pruned) == (
        "finished", result["trials"]["complete"], result["trials"]["pruned"],
    )  # fmt: skip
    assert (last.best.trial, last.best.score) == (result["best"]["trial"], pytest.approx(result["best"]["score"]))
    assert (last.best.params, last.best.epoch) == (result["best"]["params"], result["best"]["epoch"])
    assert last.best.std == pytest.approx(result["best"]["std"])

    again = terminal.start("watch", "chaos")
    assert again.wait(30) == 0
    assert lines_of(terminal, again) == [last]


@pytest.mark.slow
def test_a_driver_that_is_killed_ends_the_watching_and_ctrl_c_touches_nothing(terminal):
    run = terminal.start("run", *RUN, "--trials", 400)  # more than end before it is killed
    terminal.wait_until(run, (terminal.home / "sweeps" / "chaos" / "sweep.json").exists)
    watch, other = (terminal.start("watch", "chaos", "--interval", 0.05) for _ in range(2))
    terminal.wait_until(watch, lambda: any(one.ended for one in lines_of(terminal, watch)))
    terminal.wait_until(other, lambda: lines_of(terminal, other))
    other.send_signal(signal.SIGINT)
    assert other.wait(10) == 130
    assert terminal.said(other) == ""
    assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    assert watch.wait(10) == 1
    last = lines_of(terminal, watch)[-1]
    assert last.state == "interrupted"
    assert 0 < last.ended < 400
    assert terminal.said(watch).splitlines()[-1] == f"searchlab: {terminal.told(watch)['error']}"
    assert "nothing drives it, and `searchlab resume chaos` goes on" in terminal.told(watch)["error"]
