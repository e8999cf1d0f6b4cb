"""Secrets of the environment, which are in no file of a run and not on its terminal."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass

import pytest

from searchlab import Accuracy
from searchlab.cli.output import Output, print_traceback
from searchlab.runner.resume import _here
from searchlab.runs.events import Message, TrialFinished, masked
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.secrets import mask, mask_all
from searchlab.runs.workspace import Workspace
from searchlab.tracking import patience, recorder
from searchlab.tracking.probe import authorization
from searchlab.tracking.writer_process import environment
from tests.command_line import run_cli
from tests.jobs import make_manifest, run
from tests.mlflow_faults import answering_server, hanging_server, refusing_server, vanishing_server
from tests.sweeps import spiral_sweep

USER, PASSWORD = "us3rt0ken", "pa$$&w0rd/+"
QUOTED = "pa%24%24%26w0rd%2F%2B"
SPELLINGS = (PASSWORD, QUOTED, "pa$$&amp;w0rd/+", base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())


@pytest.mark.parametrize(
    "name", ["MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "openai_api_key"]
)
@pytest.mark.parametrize("spelling", [PASSWORD, QUOTED, "pa$$&amp;w0rd/+"])
def test_the_values_of_secret_variables_are_masked_however_they_are_spelled(monkeypatch, name, spelling):
    monkeypatch.setenv(name, PASSWORD)
    assert mask(f"before {spelling} after") == "before *** after"
    assert mask_all({"a": [spelling, 1], "b": None}) == {"a": ["***", 1], "b": None}


@pytest.mark.parametrize(
    "name", ["RAY_AUTH_MODE", "PGPASSFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "TOKENIZERS_PARALLELISM"]
)
def test_other_variables_are_not_masked(monkeypatch, name):
    monkeypatch.setenv(name, "a-harmless-value")
    assert mask("a-harmless-value") == "a-harmless-value"
    assert mask(os.getcwd()) == os.getcwd()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@host:5000/a", "http://***@host:5000/a"),
        ("http://token@[::1]/a", "http://***@[::1]/a"),
        ("postgresql://me:se@cret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("http://host/a@b:c", "http://host/a@b:c"),
    ],
)
def test_credentials_in_urls_are_masked_wherever_they_come_from(url, shown):
    assert mask(f"cannot reach {url}, sorry") == f"cannot reach {shown}, sorry"


@pytest.mark.parametrize(
    "url", [f"http://{USER}:{QUOTED}@host", f"postgresql://{USER}:{PASSWORD}@host/db", f"x://h/db?password={QUOTED}"]
)
def test_the_password_of_a_url_of_the_environment_is_masked_alone_too(monkeypatch, url):
    monkeypatch.setenv("SOME_ADDRESS", url)
    assert mask(f"refused for {PASSWORD}, {QUOTED}") == "refused for ***, ***"


def test_events_errors_and_tracebacks_are_masked(monkeypatch, capsys):
    monkeypatch.setenv("MY_TOKEN", PASSWORD)
    assert masked(Message(f"a {PASSWORD}")) == Message("a ***")
    assert masked(TrialFinished(0, "FAIL", None, None, f"a {PASSWORD}", 1.0, 1.0)).reason == "a ***"
    Output(as_json=True).error(f"a {PASSWORD}", 1)
    try:
        raise ValueError(PASSWORD)
    except ValueError as error:
        print_traceback(ValueError, error, error.__traceback__)
    printed = capsys.readouterr()
    assert PASSWORD not in printed.out + printed.err
    assert "ValueError: ***" in printed.err


CALLS = []  # of a metric


@dataclass(frozen=True)
class Telling(Accuracy):
    """A metric whose error names a secret, after the check that comes before the search."""

    def measure(self, model, batches):
        CALLS.append(model)
        if len(CALLS) > 8:
            raise RuntimeError(f"no access with {os.environ['MY_TOKEN']}")
        return super().measure(model, batches)


def test_the_reason_of_a_failed_trial_is_stored_without_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_TOKEN", PASSWORD)
    CALLS.clear()
    result = run(spiral_sweep(1, epochs=20, metric=Telling()), engine="local", home=tmp_path, fuse=1)
    assert "no access with ***" in result.trials[0].reason
    assert "no access with ***" in result.trials[0].traceback
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or PASSWORD.encode() not in file.read_bytes(), file


def saved_and_loaded(tmp_path, **options):
    folder = Workspace.at(tmp_path).sweep("s")
    make_manifest(spiral_sweep(name="s"), **options).save(folder)
    return folder, SweepManifest.load(folder)


def test_the_user_of_the_mlflow_server_is_not_stored_and_resume_takes_it_from_the_environment(tmp_path):
    folder, manifest = saved_and_loaded(tmp_path, tracking_uri=f"http://{USER}@host:5000")
    assert USER not in (folder.path / "sweep.json").read_text()
    complete = f"http://{USER}:{QUOTED}@host:5000"
    assert _here(manifest.config, {}, None, complete).tracking_uri == complete
    assert _here(manifest.config, {}, None, None).tracking_uri == "http://host:5000"
    assert _here(manifest.config, {}, None, complete.replace("host", "other")).tracking_uri == "http://host:5000"


def test_a_manifest_that_has_the_user_is_still_resumed(tmp_path):
    folder, _ = saved_and_loaded(tmp_path, tracking_uri="http://host:5000")
    stored = folder.read("sweep")
    folder.write("sweep", stored | {"config": stored["config"] | {"tracking_uri": "http://me@host:5000"}})
    config = SweepManifest.load(folder).config
    assert _here(config, {}, None, None).tracking_uri == "http://me@host:5000"
    for given in ("http://me:secret@host:5000", "http://other:secret@host:5000"):
        assert _here(config, {}, None, given).tracking_uri == given


@pytest.mark.parametrize(
    ("uri", "variables", "sent"),
    [
        (f"http://{USER}:{QUOTED}@host", {}, f"{USER}:{PASSWORD}"),
        (f"http://{USER}@host", {}, f"{USER}:"),
        (f"http://{USER}@host", {"MLFLOW_TRACKING_PASSWORD": "word"}, f"{USER}:word"),
        (f"http://{USER}@host", {"MLFLOW_TRACKING_TOKEN": "token"}, f"{USER}:"),
        ("http://host", {"MLFLOW_TRACKING_USERNAME": "a", "MLFLOW_TRACKING_PASSWORD": "b"}, "a:b"),
        ("http://host", {"MLFLOW_TRACKING_USERNAME": "a"}, None),
        ("http://host", {}, None),
    ],
)
def test_mlflow_gets_the_credentials_by_its_own_variables(monkeypatch, uri, variables, sent):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = {"Authorization": f"Basic {base64.b64encode(sent.encode()).decode()}"} if sent else {}
    assert authorization(environment(uri)) == expected


def test_a_token_of_the_environment_is_sent_as_such(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    assert authorization(environment("http://host")) == {"Authorization": "Bearer token"}


SERVERS = {
    "refuses": refusing_server,
    "hangs": hanging_server,
    "answers late": lambda: answering_server(500, seconds=1.0, echo=True),
    "answers 401": lambda: answering_server(401, echo=True),
    "vanishes": vanishing_server,
}


@pytest.mark.slow
@pytest.mark.parametrize("credentials", [f"{USER}:{QUOTED}", f"{USER}{QUOTED}"])
@pytest.mark.parametrize("kind", SERVERS)
def test_no_file_of_a_run_and_no_line_of_its_terminal_has_the_secret(tmp_path, monkeypatch, capfd, kind, credentials):
    """Among them what the recording process prints, which inherits the descriptors of this one."""
    home = tmp_path / "home"
    arguments = ["search_spaces/spiral_mlp.py", "--engine", "local", "--trials", "2", "--epochs", "2", "--json"]
    monkeypatch.setattr(recorder, "FINAL_SECONDS", 1.0)
    monkeypatch.setattr(patience, "IDLE_SECONDS", 3.0)
    with SERVERS[kind]() as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{credentials}@{address}")
        finished = run_cli("run", *arguments, home=home)
    assert finished.returncode == 0, finished.stderr
    assert f"http://{address} is not complete" in json.loads(finished.stdout.splitlines()[-1])["record_fault"]
    files = [file for file in home.rglob("*") if file.is_file()]
    assert {"mlflow.log", "sweep.json", "result.json", "report.html"} <= {file.name for file in files}
    texts = {file: file.read_bytes() for file in files} | {
        "terminal": "".join((finished.stdout, finished.stderr, *capfd.readouterr())).encode()
    }
    token = base64.b64encode(f"{USER}{PASSWORD}:".encode()).decode()
    for place, text in texts.items():
        for spelling in (USER, token, *SPELLINGS):
            assert spelling.encode() not in text, f"{spelling} is in {place}"
