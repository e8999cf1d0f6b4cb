"""The script of the report, in headless Chromium: it runs under the page's policy, sorts, filters and copies."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.test_report import record, workspace, write_page  # noqa: F401, a fixture

CHROMIUM = shutil.which("chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom")
ACTIONS = """
var table = document.querySelector("table[data-trials]"), found = {};
function numbers() { return Array.from(table.tBodies[0].rows).filter(r => !r.hidden).map(r => r.cells[0].textContent); }
function click(name) { Array.from(table.querySelectorAll("th button")).find(b => b.textContent === name).click(); }
found.first = numbers();
click("accuracy"); found.ascending = numbers();
click("accuracy"); found.descending = numbers();
click("lr"); found.lr = numbers();
var search = document.querySelector(".controls input"), states = document.querySelector(".controls select");
search.value = "adam"; search.dispatchEvent(new Event("input")); found.adam = numbers();
search.value = ""; states.value = "pruned"; states.dispatchEvent(new Event("change")); found.pruned = numbers();
found.shown = document.querySelector(".controls span").textContent;
found.copy = Array.from(document.querySelectorAll("button[data-copy]")).filter(b => !b.hidden).length;
document.title = JSON.stringify(found);
"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


def dom_of(page, folder):
    """Return the elements of a page after its scripts, as HTML."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.fixture
def report(workspace):  # noqa: F811
    """The path of a report of four trials."""
    trials = [
        record(0, scores=[0.5], lr=0.5, optimizer="SGD"),
        record(1, scores=[0.25], lr=0.125, optimizer="Adam"),
        record(2, "FAIL", scores=[], reason="diverged", lr=10.0, optimizer="Adam"),
        record(10, "PRUNED", scores=[0.75], reason="behind", lr=1e-5, optimizer="SGD"),
    ]
    write_page(workspace, trials)
    return workspace.sweep("spiral").path / "report.html"


def test_the_script_runs_under_the_policy_of_the_page(report, tmp_path):
    assert 'class="controls"' in dom_of(report, tmp_path)
    changed = report.with_name("changed.html")
    changed.write_text(report.read_text().replace('"use strict";', '"use strict"; '))
    assert 'class="controls"' not in dom_of(changed, tmp_path), "another script does not run"


def test_the_table_is_sorted_and_filtered(report, tmp_path):
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report.read_text())
    report.write_text(free.replace("</body>", f"<script>{ACTIONS}</script></body>"))
    title = re.search(r"<title>(.*?)</title>", dom_of(report, tmp_path))[1]
    found = json.loads(title)
    assert found["first"] == ["0", "1", "2", "10"]
    assert found["ascending"] == ["1", "0", "10", "2"], "the trial without a score is last"
    assert found["descending"] == ["10", "0", "1", "2"]
    assert found["lr"] == ["10", "1", "0", "2"]
    assert found["adam"] == ["1", "2"]
    assert found["pruned"] == ["10"]
    assert found["shown"] == "1 of 4"
    assert found["copy"] == 8
