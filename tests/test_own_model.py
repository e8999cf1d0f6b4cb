"""docs/own_model.md: every block of it is written to a project of its own and run, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "own_model.md").read_text()
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the file that the line above it names."""

    language: str
    text: str
    file: str | None


FENCED = re.compile(r"(?:^`([\w/]+\.py)`[^\n]*\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [Block(language, text, file or None) for file, language, text in FENCED.findall(PAGE)]
SET_UP, CHECK, SHOW, SEARCH, CLASSIFY = [block.text for block in BLOCKS if block.language == "sh"]
CHECKED, BROKEN, SHOWN, FOUND, CLASSIFIED = [block.text for block in BLOCKS if not block.language]
(BREAK,) = [block.text for block in BLOCKS if block.language == "diff"]


@pytest.fixture
def project(tmp_path):
    """A folder with everything that the page writes."""
    folder = tmp_path / "project"
    folder.mkdir()
    shell(SET_UP, folder)
    for block in BLOCKS:
        if block.file:
            with (folder / block.file).open("a") as file:
                file.write(block.text)
    return folder


def shell(commands, folder, *, code=0):
    """What these commands print, run in the folder by this environment's programs."""
    private = ("SEARCHLAB_", "MLFLOW_", "RAY_", "PYTEST_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= {"COLUMNS": "120", "PYTEST_ADDOPTS": "-W error -p no:cacheprovider"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins that this page does not use take a second to load
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def loosened(text):
    """The lines without their numbers and spacing, abbreviations left out."""
    lines = (" ".join(NUMBER.sub("#", line).split()) for line in text.splitlines())
    return [line for line in lines if line not in ("", "...")]


def test_no_block_of_the_page_is_left_unrun():
    """Python is in a file by name; shell, diff and what is printed are unpacked above, each run below."""
    assert len(BLOCKS) * 2 == len(re.findall(r"^ *```", PAGE, re.MULTILINE))
    assert {block.language for block in BLOCKS} == {"python", "sh", "diff", ""}
    assert all(bool(block.file) == (block.language == "python") for block in BLOCKS)
    assert len({block.file for block in BLOCKS} - {None}) == 5
    assert all((ROOT / "docs" / image).exists() for image in re.findall(r"!\[.*?\]\((.*?)\)", PAGE))


def test_what_the_page_writes_passes_its_contracts(project):
    assert loosened(CHECKED) == loosened(shell(CHECK, project))


def test_a_broken_backward_pass_is_told_as_the_page_says(project):
    """The line that the page breaks is in its layer, and the two sentences are those that pytest then prints."""
    right, wrong = (line[1:] + "\n" for line in BREAK.splitlines())
    path = project / "models" / "residual.py"
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    printed = shell(f"{CHECK.strip()} -k 'layer or gradients'", project, code=1)
    told = "\n".join(re.findall(r"^E +(AssertionError: .*)$", printed, re.MULTILINE))
    assert loosened(told) == loosened(BROKEN)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (told, BROKEN)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-3)


def test_show_prints_what_the_page_shows(project):
    """To the letter, but for the bytes, which are this machine's own, and where the lines break that tell them."""
    (printed, memory), (shown, told) = (text.strip().split("memory:") for text in (shell(SHOW, project), SHOWN))
    assert [line.rstrip() for line in printed.splitlines()] == shown.splitlines()
    plain = [" ".join(text.replace(",", "").replace(" MB", " GB").split()) for text in (memory, told)]
    assert NUMBER.sub("#", plain[0]) == NUMBER.sub("#", plain[1])


@pytest.mark.slow
def test_the_search_ends_as_the_page_shows_and_its_winner_classifies(project, home):
    """The page's command, in one process: all its lines are printed, and the artifact knows the moons apart."""
    home.rename(project / ".searchlab")
    printed = loosened(shell(f"{SEARCH.strip()} --engine local", project))
    assert [line for line in loosened(FOUND) if line not in printed] == []
    assert shell(CLASSIFY, project) == CLASSIFIED
