"""Several hosts, as docker-compose.yml starts them: a client submits sweeps, and nothing is lost whatever dies."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

EPOCHS = 12


def check_complete(user, name, trials):
    """Check that every trial is complete and every epoch is stored once, in the study and in MLflow."""
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
    remaining = {path.name for path in (user.folder(name) / "checkpoints").glob("*.npz")}
    assert not remaining, "a trial that has ended leaves no checkpoint"
    assert (user.folder(name) / "artifact" / "weights.npz").exists()


def check_unchanged(user, name, before):
    """Check that the trials that had ended before are unchanged."""
    after = user.ended(name)
    assert {number: after[number] for number in before} == before


def wait_and_check(user, name, trials, before=None):
    """Wait until the sweep is finished, and check that it is complete and its earlier trials are unchanged."""
    user.wait_until_finished(name)
    check_unchanged(user, name, before or {})
    check_complete(user, name, trials)


def test_a_submitted_sweep_uses_every_worker_and_is_recorded_completely(user):
    started = time.time()
    assert user.submit("sent", "--fuse", "2") == "sent"
    user.wait_until_finished("sent")
    check_complete(user, "sent", 20)
    assert user.hosts_that_trained(started) >= {"ray-worker-1", "ray-worker-2"}
    assert "ray-head-1" not in user.hosts_that_trained(started), "the head trains nothing"
    row = user.list_row("sent")
    assert (row["state"], row["complete"], row["asked"]) == ("finished", 20, 20)


def test_a_file_submitted_again_gets_another_name_and_a_taken_name_is_a_mistake(user):
    first, second = (user.result("submit", "search_spaces/slow.py", "--trials", "2")["sweep"] for _ in range(2))
    assert (first, second) == ("slow", "slow-2")
    mistake = user.run("submit", "search_spaces/slow.py", "--name", "sent")
    assert mistake.returncode == 2
    assert "the name 'sent' is taken" in mistake.stderr
    for name in (first, second):
        user.wait_until_finished(name)


def test_the_winner_the_report_and_the_curves_can_be_read_at_the_client(user):
    assert user.download_winner("sent") == [2, 3], "two inputs, three classes"
    report = user.result("report", "sent")
    page = (user.project / "sent.html").read_text()
    assert report["report"].endswith("sent.html")
    assert page.startswith("<!")
    assert page.rstrip().endswith("</html>")
    replayed = user.result("replay", "sent", "--pruner", "median", "--orders", "0")
    assert replayed["trials"] == 20


def test_a_killed_worker_host_costs_no_trial(cluster, user, print_line):
    with user.running("killed", 24, fuse=2) as before:
        started = time.time()
        cluster.kill("ray-worker-2")
        back = cluster.wait_for_restart("ray-worker-2", started)
        print_line(f"a worker that was killed is back after {back:.0f} s")
    wait_and_check(user, "killed", 24, before)


def test_a_killed_worker_process_and_a_killed_driver_cost_no_trial(cluster, user, print_line):
    with user.running("hit", 24, fuse=2) as before:
        user.wait_until_trained({"ray-worker-1"}, time.time())
        (training,) = cluster.hosts["ray-worker-1"].pids(".train")
        os.kill(training, signal.SIGKILL)
        back = user.wait_until_trained({"ray-worker-1"}, time.time())
        print_line(f"a worker whose training process was killed trains again after {back:.0f} s")
        (driver,) = cluster.hosts["ray-head-1"].pids("/searchlab run search_spaces/slow.py")
        os.kill(driver, signal.SIGKILL)
        started = time.time()
        while (row := user.list_row("hit"))["state"] == "running":
            assert time.time() - started < 60, row
        assert row["state"] == "interrupted"
        check_unchanged(user, "hit", before)
        resumed = time.time()  # its workers have ended long before
        user.result("resume", "hit")
        user.wait_until_trained({"ray-worker-1", "ray-worker-2"}, resumed)
        print_line(f"a sweep whose driver was killed trains again {time.time() - resumed:.0f} s after `resume`")
    wait_and_check(user, "hit", 24, before)


def test_a_worker_host_without_network_for_a_minute_costs_no_trial(cluster, user, print_line):
    with user.running("cut", 60, fuse=1, pace=0.4) as before:
        started = time.time()
        cluster.unplug("ray-worker-2")
        time.sleep(60)
        cluster.unplug("ray-worker-2", out=False)
        assert user.hosts_that_trained(started + 30) >= {"ray-worker-1"}, "the other one has continued"
        cluster.wait_for_restart("ray-worker-2", started)  # Ray counted it as dead, and it restarts when it learns that
        user.wait_until_trained({"ray-worker-2"}, cluster.restart_times["ray-worker-2"])
        print_line(
            f"a worker that was cut off for 60 s trains again {time.time() - started - 60:.0f} s after it has a network"
        )
    wait_and_check(user, "cut", 60, before)


def test_a_worker_host_that_joins_late_is_used(cluster, user, print_line):
    with user.running("joined", 40, fuse=1) as before:
        started = time.time()
        cluster.add("ray-worker", 3)
        print_line(
            f"a new worker trains {user.wait_until_trained({'ray-worker-3'}, started):.0f} s after it was started"
        )
    wait_and_check(user, "joined", 40, before)


def test_a_restart_of_mlflow_and_the_database_costs_no_trial(cluster, user, print_line):
    with user.running("restarted", 40, fuse=1, pace=0.6) as before:
        for name in ("mlflow-auth-1", "postgres-1"):
            started = time.monotonic()
            cluster.restart(name)
            print_line(f"{name} is back after {time.monotonic() - started:.0f} s")
        assert len(user.ended("restarted")) < 40
    wait_and_check(user, "restarted", 40, before)


def test_a_sweep_is_resumed_after_its_head_was_killed(cluster, user, print_line):
    with user.running("beheaded", 30, fuse=2) as before:
        started = time.time()
        cluster.kill("ray-head-1")
        back = cluster.wait_for_restart("ray-head-1", started)
        print_line(f"a head that was killed is back after {back:.0f} s")
        assert user.list_row("beheaded")["state"] == "interrupted"
        check_unchanged(user, "beheaded", before)
    user.result("resume", "beheaded")
    user.wait_until_trained({"ray-worker-1", "ray-worker-2", "ray-worker-3"}, started + back)
    print_line(f"and its sweep trains again after {time.time() - started:.0f} s in all")
    wait_and_check(user, "beheaded", 30, before)


def test_a_stopped_sweep_is_resumed_from_another_client(cluster, user):
    with user.running("stopped", 24, fuse=2, pace=0.5):
        answer = user.result("stop", "stopped")
    assert answer["state"] == "interrupted"
    before = user.ended("stopped")
    assert len(before) == answer["ended"] < 24
    assert list((user.folder("stopped") / "checkpoints").glob("*.npz")), "groups in training are saved"
    assert user.result("stop", "stopped")["state"] == "interrupted", "a second stop changes nothing"
    other_user = type(user)(cluster, user.environment, cluster.client("client-2").name)
    other_user.result("resume", "stopped")
    wait_and_check(other_user, "stopped", 24, before)


def test_two_sweeps_share_the_workers(user):
    """The first sweep has every worker until the second starts; then neither waits for the other's end."""
    with user.epoch_seconds(0.15):
        user.submit("first", "--trials", "60", "--fuse", "2")
        user.wait_until("first", lambda ended: len(ended) >= 6)
        submitted = time.time()
        user.submit("second", "--trials", "12", "--fuse", "2")
        user.wait_until("second", lambda ended: len(ended) >= 2)
        assert len(user.ended("first")) < 60, "the second did not wait for the first one's end"
        user.wait_until_finished("second")
    user.wait_until_finished("first")
    second = user.trials("second")
    waited = min(trial.times[0] for trial in second) - submitted
    assert waited < 40
    during = [t for trial in user.trials("first") for t in trial.times if t > min(x.times[0] for x in second)]
    assert during, "the first did not pause either"
    check_complete(user, "first", 60)
    check_complete(user, "second", 12)


def test_a_limit_of_workers_holds(user):
    """With --workers 1, no two trials train at the same time, even though other workers are free."""
    user.submit("capped", "--trials", "8", "--fuse", "1", "--workers", "1")
    wait_and_check(user, "capped", 8)
    times = sorted((trial.times[0], trial.times[-1]) for trial in user.trials("capped"))
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))


def test_checkpoints_can_be_stored_in_a_bucket(cluster, user):
    """The bucket holds a group's checkpoint while the group trains, and no folder does."""
    assert user.bucket_keys() == []
    with user.running("stored", 16, 2, "--checkpoints", "s3://kept/sweeps") as before:
        started = time.time()
        while not user.bucket_keys():
            assert time.time() - started < 30, "no checkpoint is saved"
        cluster.kill("ray-worker-2")
        cluster.wait_for_restart("ray-worker-2", started)
    wait_and_check(user, "stored", 16, before)
    assert user.bucket_keys() == [], "a trial that has ended leaves no checkpoint"
    assert not (user.folder("stored") / "checkpoints").exists()
