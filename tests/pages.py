"""Pages of the documentation as tests read them: their fenced blocks, and the project that such blocks write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.waiting import DEADLINE

DOCS = ROOT / "docs"
FENCE = re.compile(r"(?:^`([\w/]+\.py)`[^\n]*\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")  # a code span
OWN_VARIABLES = (
    "SEARCHLAB_",
    "MLFLOW_",
    "RAY_",
    "PYTEST_",
    "PYTHONPATH",
)  # prefixes; a reader's shell has none of them


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the file that the line above it names."""

    language: str
    text: str
    file: str | None


def page(name):
    """Return the text of a page."""
    return (DOCS / name).read_text()


def section(text, heading):
    """Return a section of a page, from its heading to the next one of the same level."""
    level = heading.split(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^{level} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[1]


def code_names(text):
    """Return all words in code spans and code blocks, such as `Adam` and lr of `Adam(lr=0.1)`."""
    code = "\n".join([*CODE.findall(text), *re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)])
    return set(re.findall(r"[A-Za-z_][\w]*", code))


def blocks_of(name):
    """Return the fenced blocks of a page, in order."""
    text = page(name)
    blocks = [Block(language, text, file or None) for file, language, text in FENCE.findall(text)]
    assert len(blocks) * 2 == len(re.findall(r"^ *```", text, re.MULTILINE)), f"{name} has a fence that is not read"
    return blocks


def write_files(blocks, folder):
    """Write the blocks that name a file into a folder; a file that is named twice is continued."""
    for block in blocks:
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(block.text)


def run_shell(commands, folder, *, code=0, variables=None):
    """Return what the commands print, run in the folder with this environment's programs, if the exit code is right."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= {"COLUMNS": "120", "PYTEST_ADDOPTS": "-W error -p no:cacheprovider"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins that a page does not use take a second to load
    done = subprocess.run(
        ["sh", "-ec", commands],
        cwd=folder,
        env=environment | (variables or {}),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
