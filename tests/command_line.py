"""The command line for tests, called in this process or in a process of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from searchlab.cli import execute
from tests.conftest import ROOT
from tests.waiting import DEADLINE


def run_cli(*arguments, cwd=ROOT, home=None):
    """Run the command line in this process, as `main` does, in this folder and with this home folder."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in _variables(home).items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        patch.setattr(sys, "path", [*sys.path])
        code = execute([*map(str, arguments)])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def run_cli_process(*arguments, cwd=ROOT, home=None):
    """Run the command line in a process of its own, and wait for its end."""
    command = [sys.executable, "-m", "searchlab.cli", *map(str, arguments)]
    environment = os.environ | _variables(home)
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=DEADLINE)


def error_message(finished, code):
    """Check that a command ended with this exit code and one error message, and return the message."""
    assert finished.returncode == code, finished.stderr
    lines = [line for line in finished.stderr.splitlines() if line.startswith("searchlab: ")]
    assert len(lines) == 1, finished.stderr
    assert "Traceback" not in finished.stderr + finished.stdout
    return lines[0]


def write_sweep_file(folder, text, name="mine.py"):
    """Write a sweep file into a folder that has the project's models, and return its path."""
    path = folder / name
    path.write_text(text)
    (folder / "models").symlink_to(ROOT / "models")
    return path


def _variables(home):
    return {"COLUMNS": "120"} | ({"SEARCHLAB_HOME": str(home)} if home else {})
