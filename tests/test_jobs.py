"""Jobs of a cluster: what is submitted, what comes back, and how failures are raised; Ray's client is replaced."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import ray.job_submission
from ray.exceptions import AuthenticationError

from searchlab.cluster import jobs
from searchlab.cluster.jobs import ENTRYPOINT_LINE, JobClient, JobFailed, parse_json_line
from searchlab.cluster.submit import resume_on_cluster, sweep_names
from searchlab.errors import UserMistake, WorldFault

PREAMBLE = f"2026-01-01 INFO\n{ENTRYPOINT_LINE} x: searchlab\n"


class FakeRay:
    """Ray's client for jobs that print this log and have these statuses, one after the other."""

    def __init__(self):
        self.log, self.statuses, self.message, self.submitted = [], ["SUCCEEDED"], "", []
        self.stopped, self.error = [], None

    def __call__(self, address):
        return self

    def submit_job(self, **options):
        if self.error:
            raise self.error
        self.submitted.append(options)
        return options["submission_id"] or "raysubmit_1"

    async def tail_job_logs(self, id):
        for chunk in self.log:
            yield chunk

    def get_job_logs(self, id):
        return "".join(self.log)

    def get_job_info(self, id):
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return self.details(id, status)

    def details(self, id, status="SUCCEEDED", metadata=None, started=1000):
        return SimpleNamespace(
            submission_id=id, job_id="", start_time=started, metadata=metadata or {}, message=self.message,
            status=SimpleNamespace(value=status),
        )  # fmt: skip

    def list_jobs(self):
        sweep = {"searchlab.sweep": "b"}
        return [
            self.details("b", metadata=sweep, started=2000),
            self.details("other"),
            self.details("a", metadata=sweep),
        ]

    def stop_job(self, id):
        self.stopped.append(id)


@pytest.fixture
def fake(monkeypatch):
    client = FakeRay()
    monkeypatch.setattr(ray.job_submission, "JobSubmissionClient", client)
    monkeypatch.setattr(jobs, "POLL_INTERVAL", 0.0)
    monkeypatch.setattr(jobs, "require_web_server", lambda address: None)
    return client


@pytest.fixture
def client(fake):
    return JobClient("http://head:8265")


def test_a_submitted_job_runs_the_command_in_its_package_or_folder(fake, client, tmp_path):
    package = tmp_path / "project.zip"
    assert client.submit(["run", "a b.py"], id="sweep", package=package, sweep="sweep") == "sweep"
    assert client.submit(["resume", "sweep"], folder="sweeps/x y") == "raysubmit_1"
    first, second = fake.submitted
    assert first["entrypoint"].startswith("searchlab run 'a b.py' --home ")
    assert first["runtime_env"]["working_dir"] == str(package)
    assert first["metadata"] == {"searchlab.sweep": "sweep", "searchlab.verb": "run"}
    assert "/'sweeps/x y' && searchlab resume sweep" in second["entrypoint"]
    assert "working_dir" not in second["runtime_env"]


def test_the_output_of_a_command_is_yielded_line_by_line(fake, client):
    fake.log = [PREAMBLE[:30], f"{PREAMBLE[30:]}one\ntw", "o\nsearchlab ended with 0\n"]
    assert list(client.output_lines(["list"])) == ["one", "two"]
    assert not fake.stopped


def test_a_command_that_fails_raises_its_exit_code(fake, client):
    fake.log = [f"{PREAMBLE}searchlab: no such sweep\nsearchlab ended with 2\n"]
    with pytest.raises(JobFailed, match="exit code 2"):
        list(client.output_lines(["list"]))


def test_a_command_that_is_killed_raises_the_exit_code_of_its_job(fake, client):
    fake.log, fake.statuses, fake.message = [f"{PREAMBLE}one\n"], ["RUNNING", "FAILED"], "failed with exit code 137"
    with pytest.raises(JobFailed, match="exit code 137"):
        list(client.output_lines(["list"]))


def test_a_reader_that_leaves_stops_the_job(fake, client):
    fake.log = [f"{PREAMBLE}one\ntwo\n"]
    lines = client.output_lines(["watch", "x"])
    assert next(lines) == "one"
    lines.close()
    assert fake.stopped == ["raysubmit_1"]


@pytest.mark.parametrize(("code", "kind"), [(2, UserMistake), (1, WorldFault)])
def test_the_sentence_of_a_failed_command_is_raised(fake, client, code, kind):
    fake.log = [f'{PREAMBLE}{{"a": 1}}\n{{"error": "no space left"}}\nsearchlab ended with {code}\n']
    found = []
    with pytest.raises(kind, match=r"^no space left$"):
        found.extend(client.json_objects(["list"]))
    assert found == [{"a": 1}, {"error": "no space left"}]
    assert fake.submitted[0]["entrypoint"].startswith("searchlab list --json")


def test_json_lines_are_told_apart_from_lines_for_people():
    assert parse_json_line('{"a": 1}') == {"a": 1}
    assert parse_json_line("{not json") is None
    assert parse_json_line("a line") is None


def test_a_job_that_prints_a_line_has_started(fake, client):
    fake.log, fake.statuses = [f"{PREAMBLE}training\n"], ["RUNNING"]
    client.validate_started("x")


def test_a_job_that_ends_without_output_has_started(fake, client):
    fake.log, fake.statuses = [PREAMBLE], ["PENDING", "RUNNING", "SUCCEEDED"]
    client.validate_started("x")


def test_a_job_that_is_slow_to_start_is_not_waited_for(fake, client, monkeypatch):
    monkeypatch.setattr(jobs, "START_TIMEOUT", 0.05)
    fake.statuses = ["PENDING"]
    client.validate_started("x")


def test_a_job_that_rejects_its_arguments_is_a_mistake(fake, client):
    fake.log, fake.message = [f"{PREAMBLE}searchlab: no such option\n"], "failed with exit code 2"
    fake.statuses = ["FAILED"]
    with pytest.raises(UserMistake, match=r"^no such option$"):
        client.validate_started("x")


def test_the_jobs_of_sweeps_are_listed_by_start(client):
    assert [job.id for job in client.list_jobs()] == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (AuthenticationError("no"), WorldFault, "RAY_AUTH_TOKEN"),
        (ConnectionError("refused\nmore"), WorldFault, r"\(refused\)"),
        (RuntimeError("Job with submission_id x already exists."), UserMistake, "already has a job"),
    ],
)
def test_what_the_cluster_refuses_is_one_sentence(fake, client, error, kind, reason):
    fake.error = error
    with pytest.raises(kind, match=reason) as caught:
        client.submit(["list"])
    assert "\n" not in str(caught.value)
    assert "http://head:8265" in str(caught.value)


def test_a_sweep_is_resumed_by_its_name(fake, client):
    fake.log = [f'{PREAMBLE}{{"sweeps": ["mine"]}}\nsearchlab ended with 0\n']
    assert sweep_names(client) == ["mine"]
    assert resume_on_cluster("mine", client, ["--trials", "8"]).startswith("mine-resumed-")
    assert "sweeps/mine/project && searchlab resume mine --address auto --trials 8" in fake.submitted[-1]["entrypoint"]
    with pytest.raises(UserMistake, match="there is no sweep called 'other'"):
        resume_on_cluster("other", client, [])
