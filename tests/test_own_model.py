"""docs/own_model.md: every block of it is written to a project of its own and run, and prints what the page says."""

from __future__ import annotations

import re

import pytest

from tests.pages import DOCS, blocks_of, run_shell, write_files

PAGE = "own_model.md"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
BLOCKS = blocks_of(PAGE)
SET_UP, CHECK, SHOW, SEARCH, CLASSIFY = [block.text for block in BLOCKS if block.language == "sh"]
CHECK_OUTPUT, ERRORS, SHOW_OUTPUT, SEARCH_OUTPUT, CLASSES = [block.text for block in BLOCKS if not block.language]
(DIFF,) = [block.text for block in BLOCKS if block.language == "diff"]


@pytest.fixture
def project(tmp_path):
    """A folder with every file that the page writes."""
    folder = tmp_path / "project"
    folder.mkdir()
    run_shell(SET_UP, folder)
    write_files(BLOCKS, folder)
    return folder


def without_numbers(text):
    """Return the lines with each number replaced by #, one space between words, and no abbreviations."""
    lines = (" ".join(NUMBER.sub("#", line).split()) for line in text.splitlines())
    return [line for line in lines if line not in ("", "...")]


def test_every_block_of_the_page_is_used():
    """Python goes into a named file; shell, diff and output blocks are unpacked above, and each is used below."""
    assert {block.language for block in BLOCKS} == {"python", "sh", "diff", ""}
    assert all(bool(block.file) == (block.language == "python") for block in BLOCKS)
    assert len({block.file for block in BLOCKS} - {None}) == 5
    images = re.findall(r"!\[.*?\]\((.*?)\)", (DOCS / PAGE).read_text())
    assert images
    assert all((DOCS / image).exists() for image in images)


def test_the_parts_of_the_page_pass_their_contracts(project):
    assert without_numbers(run_shell(CHECK, project)) == without_numbers(CHECK_OUTPUT)


def test_a_broken_backward_pass_gives_the_errors_on_the_page(project):
    """The line that the page breaks is in its layer, and the two sentences are those that pytest then prints."""
    right, wrong = (line[1:] + "\n" for line in DIFF.splitlines())
    path = project / "models" / "residual.py"
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    printed = run_shell(f"{CHECK.strip()} -k 'layer or gradients'", project, code=1)
    errors = "\n".join(re.findall(r"^E +(AssertionError: .*)$", printed, re.MULTILINE))
    assert without_numbers(errors) == without_numbers(ERRORS)
    values = [[float(number) for number in NUMBER.findall(text)] for text in (errors, ERRORS)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_show_prints_what_is_on_the_page(project):
    """Exactly, except for the memory: its numbers and its line breaks are this machine's own."""
    printed, expected = (text.strip().split("memory:") for text in (run_shell(SHOW, project), SHOW_OUTPUT))
    assert [line.rstrip() for line in printed[0].splitlines()] == expected[0].splitlines()
    memory = [" ".join(text[1].replace(",", "").replace(" MB", " GB").split()) for text in (printed, expected)]
    assert NUMBER.sub("#", memory[0]) == NUMBER.sub("#", memory[1])


@pytest.mark.slow
def test_the_search_ends_as_on_the_page_and_its_winner_classifies(project, home):
    """The page's command, in one process: every line on the page is printed, and the artifact separates the moons."""
    home.rename(project / ".searchlab")
    printed = without_numbers(run_shell(f"{SEARCH.strip()} --engine local", project))
    assert [line for line in without_numbers(SEARCH_OUTPUT) if line not in printed] == []
    assert run_shell(CLASSIFY, project) == CLASSES
