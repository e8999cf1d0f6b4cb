"""MLflow's pages of a sweep in headless Chromium: what a person sees who follows the links of `ui` and `list`."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from searchlab.tracking.links import sorted_link
from tests.browser.chromium import browser, missing
from tests.conftest import ROOT
from tests.jobs import run
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.filterwarnings("ignore:.*Any type hint"),  # MLflow warns of its own code when it is imported
]
TRIALS, EPOCHS = 5, 3
PANEL = "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')"  # opens in a fresh profile, over the pages
CELLS = """
const cells = [...document.querySelectorAll('.ag-row [role="gridcell"]')].filter(
    cell => cell.getAttribute('col-id') === arguments[0] && !cell.closest('.ag-hidden'));
const row = cell => Number(cell.closest('.ag-row').getAttribute('row-index'));
return cells.sort((a, b) => row(a) - row(b)).map(cell => cell.innerText.trim());
"""  # in the DOM, rows are in any order


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the result of a small sweep with a record in MLflow."""
    home = tmp_path_factory.mktemp("home")
    result = run(spiral_sweep(TRIALS, EPOCHS), engine="local", workers=1, tracking="mlflow", home=str(home))
    assert result.record_fault is None
    return SimpleNamespace(result=result, home=home, client=MlflowClient(result.tracking_uri))


@contextmanager
def ui(home, port):
    """Serve a home folder with `searchlab ui`, and yield what the command says."""
    words = ["ui", "spiral", "--no-browser", "--port", str(port), "--home", str(home), "--json"]
    command = [sys.executable, "-m", "searchlab.cli", *words]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield json.loads(server.stdout.readline())
    finally:
        server.terminate()
        server.wait(DEADLINE)
        server.stdout.close()


@pytest.fixture(scope="module")
def pages(recorded, unused_port, tmp_path_factory):
    """Return a browser with a fresh profile on the dashboard of the sweep."""
    from tests.mlflow_server import is_healthy

    with ui(recorded.home, unused_port) as told, browser(tmp_path_factory.mktemp("profile")) as driver:
        wait_for(lambda: is_healthy(unused_port))
        yield SimpleNamespace(driver=driver, url=told["url"], link=told["link"], optuna=told["optuna"])


@pytest.fixture(scope="module")
def unused_port():
    """Return a port that is free, and so is the next one."""
    import socket

    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def open_page(pages, address):
    """Open a page as a fresh one: the dashboard reads its address only when it is loaded."""
    pages.driver.get("about:blank")
    pages.driver.get(address)


def column(pages, id):
    """Return the cells of a column of the list of runs, from top to bottom."""
    return pages.driver.execute_script(CELLS, id)


def count(pages, selector):
    """Return how many elements match the selector."""
    return len(pages.driver.find_elements("css selector", selector))


def text_of(pages):
    return pages.driver.execute_script("return document.body.innerText")


def best_first(recorded):
    """Return the scores of the trials as names of runs have them, the best first."""
    return [f"{value:.4f}" for value in sorted((trial.value for trial in recorded.result.trials), reverse=True)]


def scores_of(names):
    """Return the scores in the names of the trials' runs; the sweep's own run has none."""
    found = [re.search(r"#\d+ (\d\.\d{4})", name) for name in names]
    return [match[1] for match in found if match]


def test_the_link_lists_the_trials_best_first_with_scores_and_parameters(recorded, pages):
    open_page(pages, pages.link)
    wait_for(lambda: len(column(pages, "attributes.`Run Name`")) == TRIALS + 1)
    assert scores_of(column(pages, "attributes.`Run Name`")) == best_first(recorded)
    wait_for(lambda: sum(cell == "complete" for cell in column(pages, "tags.`state`")) == TRIALS)
    assert column(pages, "tags.`winner`").count("yes") == 1
    scores = [cell[:6] for cell in column(pages, "metrics.`best_accuracy`")]
    assert scores == sorted(scores, reverse=True)
    hidden = {str(trial.parameters["model.hidden"]) for trial in recorded.result.trials}
    assert {cell for cell in column(pages, "params.`model.hidden`") if cell != "-"} == hidden
    assert "Trials" in text_of(pages), "the saved view is in the list of views"


def test_a_sorted_link_lists_the_trials_best_first(recorded, pages):
    experiment = recorded.client.get_experiment_by_name("spiral").experiment_id
    open_page(pages, sorted_link(pages.url, experiment, "accuracy", "max"))
    wait_for(lambda: len(column(pages, "attributes.`Run Name`")) == TRIALS + 1)
    assert scores_of(column(pages, "attributes.`Run Name`")) == best_first(recorded)


def test_the_charts_of_the_view_draw_every_trial(pages):
    open_page(pages, f"{pages.link}&compareRunsMode=CHART")
    count = "return document.querySelectorAll('{}').length"
    wait_for(lambda: pages.driver.execute_script(count.format(".scatterlayer .points path")) >= TRIALS)
    wait_for(lambda: pages.driver.execute_script(count.format(".scatterlayer .js-line")) >= TRIALS)
    wait_for(
        lambda: pages.driver.execute_script(count.format(".parcoords, [data-testid*=parallel], .parcoords-wrapper"))
    )
    text = text_of(pages)
    for axis in ("model.hidden", "optimizer.lr", "best_accuracy", "accuracy", "loss"):
        assert axis in text or axis in pages.driver.page_source, axis


def test_trials_can_be_compared_with_the_default_selection(recorded, pages):
    runs = [run.info.run_id for run in trial_runs(recorded)]
    experiment = recorded.client.get_experiment_by_name("spiral").experiment_id
    open_page(pages, f'{pages.url}/#/compare-runs?runs={json.dumps(runs)}&experiments=["{experiment}"]')
    wait_for(lambda: f"Comparing {TRIALS} Runs" in text_of(pages))
    wait_for(lambda: count(pages, ".parcoords"))
    pages.driver.find_element("xpath", "//*[text()='Scatter Plot']").click()
    # its points are drawn by WebGL; the score is an axis without a choice of one's own
    wait_for(lambda: [title.text for title in pages.driver.find_elements("css selector", ".ytitle")] == ["accuracy"])


def test_the_report_is_shown_inline(recorded, pages):
    experiment = recorded.client.get_experiment_by_name("spiral").experiment_id
    address = f"{pages.url}/#/experiments/{experiment}/runs/{recorded.result.run_id}/artifacts/report/report.html"
    open_page(pages, address)
    pages.driver.execute_script(PANEL)
    wait_for(lambda: pages.driver.find_elements("css selector", "iframe.mlflow-html-iframe"))
    frame = pages.driver.find_element("css selector", "iframe.mlflow-html-iframe")
    pages.driver.switch_to.frame(frame)
    try:
        wait_for(lambda: f"trial {recorded.result.best.number}" in text_of(pages))
    finally:
        pages.driver.switch_to.default_content()


def test_the_run_of_the_sweep_describes_the_winner(recorded, pages):
    experiment = recorded.client.get_experiment_by_name("spiral").experiment_id
    open_page(pages, f"{pages.url}/#/experiments/{experiment}/runs/{recorded.result.run_id}")
    wait_for(lambda: f"Trial {recorded.result.best.number} won." in text_of(pages))
    wait_for(lambda: "Spiral" in text_of(pages))  # the data set


def test_the_model_is_in_the_models_tab(recorded, pages):
    experiment = recorded.client.get_experiment_by_name("spiral").experiment_id
    open_page(pages, f"{pages.url}/#/experiments/{experiment}/models?workflowType=machine_learning")
    wait_for(lambda: "Ready" in text_of(pages))
    assert "spiral" in text_of(pages)


def test_optunas_dashboard_shows_the_study(pages):
    pytest.importorskip("optuna_dashboard")
    open_page(pages, f"{pages.optuna}/dashboard")
    wait_for(lambda: "spiral" in text_of(pages))


def trial_runs(recorded):
    """Return the runs of the trials in MLflow."""
    experiment = recorded.client.get_experiment_by_name("spiral").experiment_id
    query = f"tags.`mlflow.parentRunId` = '{recorded.result.run_id}'"
    return recorded.client.search_runs([experiment], query)


def test_the_record_says_what_the_pages_show(recorded):
    parent = recorded.client.get_run(recorded.result.run_id)
    history = recorded.client.get_metric_history(parent.info.run_id, "best_accuracy")
    best = [max(trial.value for trial in recorded.result.trials[: n + 1]) for n in range(TRIALS)]
    assert [(point.step, point.value) for point in sorted(history, key=lambda p: p.step)] == list(enumerate(best))
    assert [each.dataset.name for each in parent.inputs.dataset_inputs] == ["Spiral"]
    winners = [run.data.tags["searchlab.trial"] for run in trial_runs(recorded) if "winner" in run.data.tags]
    assert winners == [str(recorded.result.best.number)]
