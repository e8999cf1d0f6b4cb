"""Commands about the sweeps of a cluster, with a double of its job client."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from searchlab.cli import searchlab
from searchlab.cluster import jobs
from searchlab.cluster.jobs import JobFailed, RayJob, parse_json_line
from searchlab.errors import UserMistake
from searchlab.monitor.snapshot import Snapshot
from searchlab.monitor.status import SweepStatus

URL = "http://head:8265"
STATUS = SweepStatus("old", "finished", 2, 2, 0, 0, 0, 0.75, 1, 1000.0)
RUNNING = Snapshot("new", "running", 7, 3)


def ray_job(name, status, verb="run"):
    return RayJob(name, status, "", {"searchlab.sweep": name, "searchlab.verb": verb}, 2000.0)


@pytest.fixture
def head(monkeypatch):
    """The head of a cluster: what its commands print, their exit code, its jobs and their logs."""

    class FakeClient:
        printed, code, job_list, log, calls, stopped = [], 0, [], [], [], []

        def __init__(self, address):
            assert address == URL

        def output_lines(self, arguments):
            self.calls.append(list(arguments))
            yield from self.printed
            if self.code:
                raise JobFailed(self.code)

        def json_objects(self, arguments):
            try:
                yield from filter(None, map(parse_json_line, self.output_lines([*arguments, "--json"])))
            except JobFailed as error:
                raise error.as_error("searchlab: it failed") from error

        def list_jobs(self):
            return self.job_list

        def status(self, id):
            return next(job.status for job in self.job_list if job.id == id)

        def log_lines(self, id):
            return self.log

        def stop(self, id):
            self.stopped.append(id)

    monkeypatch.setattr(jobs, "JobClient", FakeClient)
    return FakeClient


def call(*arguments):
    return CliRunner().invoke(searchlab, [*arguments, "--address", URL], standalone_mode=False)


def last_object(done):
    return json.loads(done.stdout.splitlines()[-1])


def test_list_shows_the_sweeps_of_the_head_and_the_submitted_ones(head):
    head.printed = [json.dumps({"home": "/head", "sweeps": [STATUS.to_json()]})]
    head.job_list = [ray_job("old", "SUCCEEDED"), ray_job("new", "PENDING"), ray_job("bad", "FAILED")]
    listed = last_object(call("list", "--json"))
    assert listed["home"] == URL
    assert listed["sweeps"][0] == STATUS.to_json()
    assert [(row["sweep"], row["state"]) for row in listed["sweeps"][1:]] == [("new", "starting"), ("bad", "failed")]


def test_watch_shows_the_snapshots_of_the_head(head):
    finished = Snapshot("new", "finished", 7, 7)
    head.printed = [json.dumps(snapshot.to_json()) for snapshot in (RUNNING, finished)]
    head.job_list = [ray_job("new", "RUNNING")]
    done = call("watch", "new", "--json")
    assert done.return_value == 0
    assert list(map(Snapshot.from_json, map(json.loads, done.stdout.splitlines()))) == [RUNNING, finished]
    assert head.calls == [["watch", "new", "--interval", "1.0", "--wait", "60.0", "--json"]], "its driver has to start"


@pytest.mark.parametrize("log", [["a line", "searchlab: no such data"], []])
def test_watch_says_why_a_job_failed_before_its_sweep_was_created(head, log):
    head.code, head.log, head.job_list = 2, log, [ray_job("new", "FAILED")]
    done = call("watch", "new")
    assert isinstance(done.exception, UserMistake)
    assert str(done.exception) == ("no such data" if log else "it failed")


def test_watch_ends_quietly_when_the_head_reports_a_failed_sweep(head):
    failed = Snapshot("new", "failed", 7, 0, 0, 7)
    head.printed, head.code = [json.dumps(failed.to_json())], 1
    done = call("watch", "new", "--json")
    assert done.return_value == 1
    assert "`searchlab resume new --trials N`" in last_object(done)["error"]


def test_stop_runs_on_the_head(head):
    head.printed = ["waiting", json.dumps({"sweeps": ["new"], "state": "interrupted"})]
    head.job_list = [ray_job("new", "RUNNING")]
    done = call("stop", "new", "--json")
    assert done.return_value == 0
    assert last_object(done)["state"] == "interrupted"
    assert head.calls[-1] == ["stop", "new", "--timeout", "300.0", "--json"]
    assert not head.stopped


def test_stop_ends_the_job_of_a_sweep_that_has_not_started(head):
    head.printed, head.job_list = [json.dumps({"sweeps": []})], [ray_job("new", "PENDING")]
    assert last_object(call("stop", "new", "--json")) == {
        "sweep": "new", "state": "interrupted", "ended": 0, "asked": 0,
    }  # fmt: skip
    assert head.stopped == ["new"]


def test_a_failed_command_has_the_exit_code_and_the_sentence_of_the_head(head):
    head.printed, head.code = ["searchlab: no such sweep", json.dumps({"error": "no such sweep", "exit_code": 2})], 2
    done = call("replay", "new", "--pruner", "none", "--json")
    assert done.return_value == 2
    assert last_object(done)["exit_code"] == 2
    assert "searchlab: no such sweep" in done.stderr


def test_report_saves_the_page_of_the_head(head, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head.printed = ["a warning", "<!doctype html>", "<p>page</p>"]
    done = call("report", "new", "--json")
    assert last_object(done)["report"] == str(tmp_path / "new.html")
    assert (tmp_path / "new.html").read_text() == "<!doctype html>\n<p>page</p>"


def test_report_of_an_unknown_sweep_raises_the_error_of_the_head(head):
    head.printed, head.code = ["searchlab: no such sweep"], 2
    done = call("report", "new")
    assert isinstance(done.exception, UserMistake)
    assert str(done.exception) == "no such sweep"
