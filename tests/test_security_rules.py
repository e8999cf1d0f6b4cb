"""Ruff's security rules are on, every exception has a reason, and the audit of packages does not need a network."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("searchlab", "models", "search_spaces", "tests", "bench", "docs")
LINT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
EXCEPTION = re.compile(r"#\s*noqa:\s*(?P<codes>S\d+[\w, ]*?)(?P<reason>,\s+[a-z].{9,})?$", re.MULTILINE)


def exceptions_without_reason(source):
    """Return the exceptions from security rules that say no reason after the code."""
    return [match[0] for match in EXCEPTION.finditer(source) if not match["reason"]]


def test_the_rules_hold_for_the_library_and_what_users_write():
    assert "S" in LINT["select"]
    assert not {rule for rule in LINT["ignore"] if rule.startswith("S")} - {"S603"}
    ignored = {folder for folder, rules in LINT["per-file-ignores"].items() if any(rule[0] == "S" for rule in rules)}
    assert ignored == {"bench/*", "tests/*", "searchlab/testing/*"}
    assert LINT["per-file-ignores"]["searchlab/testing/*"] == ["S101"]


def test_every_exception_has_a_reason():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    sources = {path: path.read_text() for path in files}
    assert not {str(path): found for path, text in sources.items() if (found := exceptions_without_reason(text))}
    assert sum(len(EXCEPTION.findall(text)) for text in sources.values()) >= 4  # exceptions are found


@pytest.mark.parametrize("comment", ["S301", "S301 ", "S301, S302", "S301, ok"])
def test_an_exception_without_a_reason_is_found(comment):
    assert exceptions_without_reason(f"x = 1  # {'noqa'}: {comment}\n")
    assert not exceptions_without_reason(f"x = 1  # {'noqa'}: {comment.strip()}, written by this program itself\n")


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="`make install` has not been run")
def test_the_audit_without_a_network_says_that_nothing_was_checked():
    variables = {"SEARCHLAB_AUDIT_URL": "http://127.0.0.1:9/"}  # nothing listens there
    audit = subprocess.run([ROOT / ".ci/audit"], env={**os.environ, **variables}, capture_output=True, text=True)
    assert (audit.returncode, audit.stdout) == (0, "")
    assert "no vulnerability was looked for" in audit.stderr


def test_ci_needs_no_audit_and_checks_that_packages_fit_together():
    makefile = (ROOT / "Makefile").read_text()
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1]
    assert "pip check" in lint
    assert "audit" not in lint + (ROOT / ".ci/run").read_text()
