"""Several hosts, as docker-compose.yml starts them: a client submits sweeps, and failures of hosts lose no trial."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

from tests.waiting import DEADLINE

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

EPOCHS = 12


def check_complete(user, name, trials):
    """Check that every trial is complete and every epoch is stored once, in the study and in MLflow."""
    stored = user.trials(name)
    assert [trial.number for trial in stored] == list(range(trials))
    assert {trial.state for trial in stored} == {"COMPLETE"}
    assert all(len(trial.scores) == EPOCHS for trial in stored)
    assert all(trial.times == sorted(trial.times) for trial in stored)
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


def test_a_submitted_sweep_trains_on_every_worker_and_is_recorded_completely(user):
    started = time.time()
    assert user.submit("submitted", "--fuse", "2") == "submitted"
    user.wait_until_finished("submitted")
    check_complete(user, "submitted", 20)
    assert user.hosts_that_trained(started) >= {"ray-worker-1", "ray-worker-2"}
    assert "ray-head-1" not in user.hosts_that_trained(started), "the head must not train"
    row = user.list_row("submitted")
    assert (row["state"], row["complete"], row["asked"]) == ("finished", 20, 20)


def test_submit_numbers_a_default_name_that_is_taken_and_rejects_a_given_one(user):
    first, second = (user.result("submit", "search_spaces/slow.py", "--trials", "2")["sweep"] for _ in range(2))
    assert (first, second) == ("slow", "slow-2")
    rejected = user.run("submit", "search_spaces/slow.py", "--name", "submitted")
    assert rejected.returncode == 2
    assert "the name 'submitted' is taken" in rejected.stderr
    for name in (first, second):
        user.wait_until_finished(name)


def test_a_client_can_download_the_winner_report_and_replay(user):
    assert user.download_winner("submitted") == [2, 3], "two inputs, three classes"
    result = user.result("report", "submitted")
    page = (user.project / "submitted.html").read_text()
    assert result["report"].endswith("submitted.html")
    assert page.startswith("<!")
    assert page.rstrip().endswith("</html>")
    replayed = user.result("replay", "submitted", "--pruner", "median", "--orders", "0")
    assert replayed["trials"] == 20


def test_no_trial_is_lost_when_a_worker_host_is_killed(cluster, user, print_line):
    with user.running("host-killed", 40, fuse=2) as before:
        started = time.time()
        cluster.kill("ray-worker-2")
        seconds = cluster.wait_for_restart("ray-worker-2", started)
        print_line(f"a killed worker host is healthy again after {seconds:.0f} s")
    wait_and_check(user, "host-killed", 40, before)


def test_no_trial_is_lost_when_a_worker_process_and_the_driver_are_killed(cluster, user, print_line):
    with user.running("process-killed", 40, fuse=2) as before:
        user.wait_until_trained({"ray-worker-1"}, time.time())
        (worker,) = cluster.hosts["ray-worker-1"].pids(".train")
        os.kill(worker, signal.SIGKILL)
        seconds = user.wait_until_trained({"ray-worker-1"}, time.time())
        print_line(f"a worker whose process was killed trains again after {seconds:.0f} s")
        (driver,) = cluster.hosts["ray-head-1"].pids("/searchlab run search_spaces/slow.py")
        os.kill(driver, signal.SIGKILL)
        started = time.time()
        while (row := user.list_row("process-killed"))["state"] == "running":
            assert time.time() - started < DEADLINE, row
        assert row["state"] == "interrupted"
        check_unchanged(user, "process-killed", before)
        resumed = time.time()  # its workers ended long before
        user.result("resume", "process-killed")
        user.wait_until_trained({"ray-worker-1", "ray-worker-2"}, resumed)
        print_line(f"a sweep whose driver was killed trains again {time.time() - resumed:.0f} s after `resume`")
    wait_and_check(user, "process-killed", 40, before)


def test_no_trial_is_lost_when_a_worker_host_has_no_network_for_a_minute(cluster, user, print_line):
    with user.running("disconnected", 30, fuse=1) as before:
        started = time.time()
        cluster.set_link("ray-worker-2", up=False)
        time.sleep(60)
        cluster.set_link("ray-worker-2", up=True)
        assert user.hosts_that_trained(started + 30) >= {"ray-worker-1"}, "the other worker continues"
        cluster.wait_for_restart("ray-worker-2", started)  # Ray has declared it dead: it restarts on reconnecting
        user.wait_until_trained({"ray-worker-2"}, cluster.restart_times["ray-worker-2"])
        seconds = time.time() - started - 60
        print_line(f"a worker without network for 60 s trains again {seconds:.0f} s after it has its network back")
    wait_and_check(user, "disconnected", 30, before)


def test_a_worker_host_added_during_a_sweep_trains(cluster, user, print_line):
    with user.running("host-added", 20, fuse=1) as before:
        started = time.time()
        cluster.add("ray-worker", 3)
        seconds = user.wait_until_trained({"ray-worker-3"}, started)
        print_line(f"a new worker host trains {seconds:.0f} s after it was started")
    wait_and_check(user, "host-added", 20, before)


def test_no_trial_is_lost_when_mlflow_and_the_database_restart(cluster, user, print_line):
    with user.running("services-restarted", 20, fuse=1) as before:
        for name in ("mlflow-auth-1", "postgres-1"):
            started = time.monotonic()
            cluster.restart(name)
            print_line(f"{name} is healthy again after {time.monotonic() - started:.0f} s")
        assert len(user.ended("services-restarted")) < 20
    wait_and_check(user, "services-restarted", 20, before)


def test_a_sweep_can_be_resumed_after_the_head_was_killed(cluster, user, print_line):
    with user.running("head-killed", 40, fuse=2) as before:
        started = time.time()
        cluster.kill("ray-head-1")
        seconds = cluster.wait_for_restart("ray-head-1", started)
        print_line(f"a killed head is healthy again after {seconds:.0f} s")
        assert user.list_row("head-killed")["state"] == "interrupted"
        check_unchanged(user, "head-killed", before)
    user.result("resume", "head-killed")
    user.wait_until_trained({"ray-worker-1", "ray-worker-2", "ray-worker-3"}, started + seconds)
    print_line(f"the sweep of a killed head trains again after {time.time() - started:.0f} s in total")
    wait_and_check(user, "head-killed", 40, before)


def test_a_stopped_sweep_can_be_resumed_from_another_client(cluster, user):
    with user.running("stopped", 24, fuse=2):
        stopped = user.result("stop", "stopped")
    assert stopped["state"] == "interrupted"
    before = user.ended("stopped")
    assert len(before) == stopped["ended"] < 24
    assert list((user.folder("stopped") / "checkpoints").glob("*.npz")), "groups in training are saved"
    assert user.result("stop", "stopped")["state"] == "interrupted", "a second stop changes nothing"
    other_user = type(user)(cluster, user.environment, cluster.start_client("client-2").name)
    other_user.result("resume", "stopped")
    wait_and_check(other_user, "stopped", 24, before)


def test_two_sweeps_share_the_workers(user):
    """The first sweep has every worker until the second starts; then neither waits for the end of the other."""
    with user.epoch_pause(1.0):  # far longer than a second submission takes
        user.submit("first", "--trials", "60", "--fuse", "2")
        user.wait_until("first", lambda ended: len(ended) >= 6)
        user.submit("second", "--trials", "12", "--fuse", "2")
        user.wait_until("second", lambda ended: len(ended) >= 2)
        assert len(user.ended("first")) < 60, "the second does not wait for the end of the first"
        user.wait_until_finished("second")
    user.wait_until_finished("first")
    second = user.trials("second")
    during = [t for trial in user.trials("first") for t in trial.times if t > min(x.times[0] for x in second)]
    assert during, "the first does not pause either"
    check_complete(user, "first", 60)
    check_complete(user, "second", 12)


def test_the_workers_option_limits_a_sweep(user):
    """With --workers 1, no two trials train at the same time, even though other workers are free."""
    user.submit("limited", "--trials", "8", "--fuse", "1", "--workers", "1")
    wait_and_check(user, "limited", 8)
    times = sorted((trial.times[0], trial.times[-1]) for trial in user.trials("limited"))
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))


def test_checkpoints_can_be_stored_in_a_bucket(cluster, user):
    """The bucket holds a group's checkpoint while the group trains, and no folder does."""
    assert user.bucket_keys() == []
    with user.running("in-bucket", 20, 1, "--checkpoints", "s3://checkpoints/sweeps") as before:
        started = time.time()
        while not user.bucket_keys():
            assert time.time() - started < DEADLINE, "no checkpoint is saved"
        cluster.kill("ray-worker-2")
        cluster.wait_for_restart("ray-worker-2", started)
    wait_and_check(user, "in-bucket", 20, before)
    assert user.bucket_keys() == [], "a trial that has ended leaves no checkpoint"
    assert not (user.folder("in-bucket") / "checkpoints").exists()
