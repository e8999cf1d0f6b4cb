"""Several hosts, as docker-compose.yml starts them: sweeps are sent from a client; whatever dies, nothing is lost."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

EPOCHS = 12


def whole(user, name, trials):
    """Every trial asked for has ended well and once, every epoch of it is told once, in the study and in the record."""
    found = user.trials(name)
    assert [trial.number for trial in found] == list(range(trials))
    assert {trial.state for trial in found} == {"COMPLETE"}
    assert all(len(trial.scores) == EPOCHS for trial in found)
    assert all(trial.times == sorted(trial.times) for trial in found)
    runs = user.runs(name)
    assert [run["parent"] for run in runs].count(True) == 1
    assert len(runs) == 1 + trials, "one run for each trial"
    assert {run["status"] for run in runs} == {"FINISHED"}
    assert all(sorted(run["steps"]) == list(range(1, EPOCHS + 1)) for run in runs if not run["parent"])
    kept = {path.name for path in (user.folder(name) / "checkpoints").glob("*.npz")}
    assert not kept, "what has ended needs no checkpoint"
    assert (user.folder(name) / "artifact" / "weights.npz").exists()


def kept(user, name, before):
    """What had ended before stands as it was."""
    after = user.ended(name)
    assert {number: after[number] for number in before} == before


def ends_whole(user, name, trials, before=None):
    """It comes to its end; what had ended before stands as it was."""
    user.finished(name)
    kept(user, name, before or {})
    whole(user, name, trials)


def test_a_sweep_sent_from_a_client_uses_every_worker_and_is_recorded_whole(user):
    began = time.time()
    assert user.submit("sent", "--fuse", "2") == "sent"
    user.finished("sent")
    whole(user, "sent", 20)
    assert user.seen_by(began) >= {"ray-worker-1", "ray-worker-2"}
    assert "ray-head-1" not in user.seen_by(began), "the head trains nothing"
    row = user.listed("sent")
    assert (row["state"], row["complete"], row["asked"]) == ("finished", 20, 20)


def test_the_same_file_sent_again_goes_by_another_name_and_a_taken_one_is_refused(user):
    first, second = (user.asked("submit", "search_spaces/slow.py", "--trials", "2")["sweep"] for _ in range(2))
    assert (first, second) == ("slow", "slow-2")
    refused = user.run("submit", "search_spaces/slow.py", "--name", "sent")
    assert refused.returncode == 2
    assert "the name 'sent' is taken" in refused.stderr
    for name in (first, second):
        user.finished(name)


def test_its_winner_its_report_and_its_curves_are_had_at_the_client(user):
    assert user.fetched("sent") == [2, 3], "the weights, which score three classes"
    told = user.asked("report", "sent")
    page = (user.project / "sent.html").read_text()
    assert told["report"].endswith("sent.html")
    assert page.startswith("<!")
    assert page.rstrip().endswith("</html>")
    replayed = user.asked("replay", "sent", "--pruner", "median", "--orders", "0")
    assert replayed["trials"] == 20


def test_a_worker_whose_processes_are_killed_costs_nothing(cluster, user, tell):
    with user.under_way("killed", 24, fuse=2) as before:
        began = time.time()
        cluster.kill("ray-worker-2")
        back = cluster.again("ray-worker-2", began)
        tell(f"a worker that was killed is back after {back:.0f} s")
    ends_whole(user, "killed", 24, before)


def test_a_process_that_trains_and_then_the_driver_are_killed(cluster, user, tell):
    with user.under_way("hit", 24, fuse=2) as before:
        user.trains({"ray-worker-1"}, time.time())
        (training,) = cluster.hosts["ray-worker-1"].pids(".train")
        os.kill(training, signal.SIGKILL)
        back = user.trains({"ray-worker-1"}, time.time())
        tell(f"a worker whose training process was killed trains again after {back:.0f} s")
        (driver,) = cluster.hosts["ray-head-1"].pids("/searchlab run search_spaces/slow.py")
        os.kill(driver, signal.SIGKILL)
        began = time.time()
        while (row := user.listed("hit"))["state"] == "running":
            assert time.time() - began < 60, row
        assert row["state"] == "interrupted"
        kept(user, "hit", before)
        said = time.time()  # its workers have long noticed
        user.asked("resume", "hit")
        user.trains({"ray-worker-1", "ray-worker-2"}, said)
        tell(f"a sweep whose driver was killed trains on {time.time() - said:.0f} s after `resume` was said")
    ends_whole(user, "hit", 24, before)


def test_a_worker_that_is_cut_off_for_a_minute_costs_nothing(cluster, user, tell):
    with user.under_way("cut", 60, fuse=1, pace=0.4) as before:
        began = time.time()
        cluster.unplug("ray-worker-2")
        time.sleep(60)
        cluster.unplug("ray-worker-2", out=False)
        assert user.seen_by(began + 30) >= {"ray-worker-1"}, "the other one has gone on"
        cluster.again("ray-worker-2", began)  # it was given up, and starts anew when it hears of that
        user.trains({"ray-worker-2"}, cluster.ended["ray-worker-2"])
        tell(f"a worker that was cut off for 60 s trains again {time.time() - began - 60:.0f} s after it has a network")
    ends_whole(user, "cut", 60, before)


def test_a_worker_that_joins_late_is_used(cluster, user, tell):
    with user.under_way("joined", 40, fuse=1) as before:
        began = time.time()
        cluster.add("ray-worker", 3)
        tell(f"a new worker trains {user.trains({'ray-worker-3'}, began):.0f} s after it was started")
    ends_whole(user, "joined", 40, before)


def test_the_record_and_the_database_are_restarted_while_a_sweep_runs(cluster, user, tell):
    with user.under_way("restarted", 40, fuse=1, pace=0.6) as before:
        for name in ("mlflow-auth-1", "postgres-1"):
            began = time.monotonic()
            cluster.restart(name)
            tell(f"{name} is back after {time.monotonic() - began:.0f} s")
        assert len(user.ended("restarted")) < 40
    ends_whole(user, "restarted", 40, before)


def test_the_head_is_killed_and_the_sweep_resumed(cluster, user, tell):
    with user.under_way("beheaded", 30, fuse=2) as before:
        began = time.time()
        cluster.kill("ray-head-1")
        back = cluster.again("ray-head-1", began)
        tell(f"a head that was killed is back after {back:.0f} s")
        assert user.listed("beheaded")["state"] == "interrupted"
        kept(user, "beheaded", before)
    user.asked("resume", "beheaded")
    user.trains({"ray-worker-1", "ray-worker-2", "ray-worker-3"}, began + back)
    tell(f"and its sweep trains on after {time.time() - began:.0f} s in all")
    ends_whole(user, "beheaded", 30, before)


def test_stop_saves_and_another_client_goes_on(cluster, user):
    with user.under_way("stopped", 24, fuse=2, pace=0.5):
        answer = user.asked("stop", "stopped")
    assert answer["state"] == "interrupted"
    before = user.ended("stopped")
    assert len(before) == answer["ended"] < 24
    assert list((user.folder("stopped") / "checkpoints").glob("*.npz")), "what was under way is saved"
    assert user.asked("stop", "stopped")["state"] == "interrupted", "it may be said twice"
    somewhere_else = type(user)(cluster, user.environment, cluster.client("client-2").name)
    somewhere_else.asked("resume", "stopped")
    ends_whole(somewhere_else, "stopped", 24, before)


def test_two_sweeps_share_the_workers(user):
    """The first has every worker until the second comes; then each has its part, and none waits for the other's end."""
    with user.pace(0.15):
        user.submit("first", "--trials", "60", "--fuse", "2")
        user.until("first", lambda ended: len(ended) >= 6)
        sent = time.time()
        user.submit("second", "--trials", "12", "--fuse", "2")
        user.until("second", lambda ended: len(ended) >= 2)
        assert len(user.ended("first")) < 60, "it did not have to wait for the first one's end"
        user.finished("second")
    user.finished("first")
    second = user.trials("second")
    waited = min(trial.times[0] for trial in second) - sent
    assert waited < 40
    during = [t for trial in user.trials("first") for t in trial.times if t > min(x.times[0] for x in second)]
    assert during, "nor did the first stop"
    whole(user, "first", 60)
    whole(user, "second", 12)


def test_a_cap_holds(user):
    """With one worker for itself, no two of its trials are ever trained at once, though others are free."""
    user.submit("capped", "--trials", "8", "--fuse", "1", "--workers", "1")
    ends_whole(user, "capped", 8)
    times = sorted((trial.times[0], trial.times[-1]) for trial in user.trials("capped"))
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(times))


def test_checkpoints_may_lie_in_a_store_that_speaks_s3(cluster, user):
    """No folder is shared for them: states are in the store while their trials are under way, and no longer."""
    assert user.bucket() == []
    with user.under_way("stored", 16, 2, "--checkpoints", "s3://kept/sweeps") as before:
        began = time.time()
        while not user.bucket():
            assert time.time() - began < 30, "nothing is saved"
        cluster.kill("ray-worker-2")
        cluster.again("ray-worker-2", began)
    ends_whole(user, "stored", 16, before)
    assert user.bucket() == [], "what has ended needs no checkpoint"
    assert not (user.folder("stored") / "checkpoints").exists()
