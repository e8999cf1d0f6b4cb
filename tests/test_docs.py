"""The documentation site builds strictly and loads nothing from outside; the files beside it lead where they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zlib

import pytest

import searchlab
from searchlab import data, nn, optim, pruning, space, testing
from searchlab.space.loader import load
from tests.conftest import ROOT
from tests.pages import CODE, DOCS, section
from tests.test_layout import RANKS
from tests.waiting import DEADLINE

README = (ROOT / "README.md").read_text()
LOADED = re.compile(r"""(?:\bsrc=|@import\s+(?:url\()?|\burl\()\s*["']?(?:https?:)?//[^"')\s]+""", re.IGNORECASE)
LINKED = re.compile(r"""<link\b[^>]*\bhref=["']?(?:https?:)?//[^>]+>""", re.IGNORECASE)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The documentation site, built once."""
    folder = tmp_path_factory.mktemp("site")
    code, printed = build(ROOT / "mkdocs.yml", folder)
    assert code == 0, printed
    assert "WARNING" not in printed
    return folder


def build(config, folder):
    """Build a site; return the exit code and what was printed."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", config, "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_site_has_every_page(site):
    names = {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")}
    assert len(names) > 20
    for name in names:
        page = site / name.parent / "index.html" if name.name == "index" else site / name / "index.html"
        assert page.exists(), name
    assert not list(site.rglob("*.py"))


@pytest.mark.slow
def test_the_site_loads_nothing_from_outside(site):
    files = [path for kind in ("html", "css", "js") for path in site.rglob(f"*.{kind}")]
    assert len(files) > 20
    found = {path.name: outside(path.read_text()) for path in files}
    assert not {name: links for name, links in found.items() if links}


def outside(text):
    """Return what a browser would load from another host for this text; links for people are not loaded."""
    return LOADED.findall(text) + LINKED.findall(text)


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        "<img src=//example.org/a.png>",
        "@import 'https://fonts.example.org/css';",
        '@import url("https://fonts.example.org/css");',
        "body { background: url(http://example.org/a.png) }",
        '<link rel="stylesheet" href="https://fonts.example.org/css">',
    ],
)
def test_what_is_loaded_from_outside_is_found(text):
    assert outside(text)


@pytest.mark.parametrize("text", ['<a href="https://example.org">', "<img src=../a.png>", "url(data:image/svg+xml,x)"])
def test_links_and_own_files_are_not_loaded_from_outside(text):
    assert not outside(text)


@pytest.mark.slow
def test_every_broken_link_is_a_warning_and_warnings_fail_the_build(tmp_path):
    broken = {  # a name that the warning has, by the text of the page
        "[a page](lost_page.md)": "lost_page.md",
        "[an anchor](#lost_anchor)": "#lost_anchor",
        "[another page's anchor](other.md#lost_heading)": "#lost_heading",
        "![an image](lost_image.png)": "lost_image.png",
        "[a reference][searchlab.LostName]": "searchlab.LostName",
    }
    code, printed = build_page(tmp_path, "\n\n".join(broken))
    assert code == 1
    warnings = [line for line in printed.splitlines() if "WARNING" in line]
    assert {name for name in broken.values() if any(name in line for line in warnings)} == {*broken.values()}, printed
    assert f"Aborted with {len(warnings)} warnings" in printed


@pytest.mark.slow
@pytest.mark.parametrize("text", ["::: searchlab.Missing", '--8<-- "MISSING.md"'])
def test_what_cannot_be_included_fails_the_build(tmp_path, text):
    code, printed = build_page(tmp_path, text)
    assert code == 1
    assert re.search("missing", printed, re.IGNORECASE), printed


@pytest.mark.slow
def test_a_page_without_broken_links_builds(tmp_path):
    text = "[a page](other.md), [an anchor](other.md#heading), [a reference][searchlab.Float]"
    code, printed = build_page(tmp_path, text)
    assert code == 0, printed


def build_page(folder, text):
    """Build a site of three pages with the settings of the project."""
    (folder / "docs").mkdir()
    shutil.copy(DOCS / "docstring_examples.py", folder / "docs")
    (folder / "docs" / "index.md").write_text(f"# Page\n\n{text}\n")
    (folder / "docs" / "other.md").write_text("# Other\n\n## Heading\n")
    (folder / "docs" / "api.md").write_text("# API\n\n::: searchlab.Float\n")
    nav = "nav: [index.md, other.md, api.md]"
    (folder / "mkdocs.yml").write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: {folder / 'docs'}\n{nav}\n")
    return build(folder / "mkdocs.yml", folder / "site")


@pytest.mark.slow
def test_every_public_name_has_an_entry_in_the_reference(site):
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    documented = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    missing = sorted(name for name in public_paths() if name not in documented)
    assert not missing


def public_paths():
    """Yield every public name by one of the paths under which it can be imported."""
    for name in searchlab.__all__:
        if name != "artifact":
            yield f"searchlab.{name}"
    for package in (data, nn, optim, pruning, space, testing):
        for name in package.__all__:
            yield f"{package.__name__}.{name}"
    yield from ("searchlab.open", "searchlab.artifact.Artifact", "searchlab.artifact.load", "searchlab.artifact.save")
    yield from ("searchlab.training.EpochReport", "searchlab.metrics.Metric", "searchlab.optim.schedules.Schedule")
    yield from ("searchlab.runs.config.RunConfig", "searchlab.runs.trials.TrialRecord")


def test_the_front_door_is_short():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/RESULTS.md"])
def test_links_of_files_outside_the_site_lead_to_files(name):
    file = ROOT / name
    text = file.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[\w+\]: (\S+)$", text, re.MULTILINE)
    local = [link.partition("#")[0] for link in links if not link.startswith("http")]
    assert local or name == "CHANGELOG.md"
    assert not [link for link in local if not (file.parent / link).exists()]


def test_images_are_small():
    images = list((DOCS / "images").glob("*.png"))
    assert len(images) > 4
    assert not [image.name for image in images if image.stat().st_size > 80_000]


def test_the_sweep_of_the_front_door_can_be_read(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "front_door.py").write_text(code)
    assert load(tmp_path / "front_door.py").sweep.trials == 40


def test_the_table_of_packages_has_the_ranks_of_the_layout():
    table = section((ROOT / "CONTRIBUTING.md").read_text(), "## The packages of the library")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` ", table, re.MULTILINE)
    assert {package: int(rank) for rank, package in rows} == RANKS
    assert [int(rank) for rank, _ in rows] == sorted(RANKS.values())


def test_files_named_for_contributors_exist():
    text = section((ROOT / "CONTRIBUTING.md").read_text(), "## Adding things")
    files = {name for name in CODE.findall(text) if "/" in name and "NAME" not in name}
    assert len(files) > 10
    assert not [name for name in files if not (ROOT / name).exists()]


def test_markers_named_for_contributors_are_those_of_pyproject(pytestconfig):
    text = section((ROOT / "CONTRIBUTING.md").read_text(), "## Tests")
    own = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    named = set(re.findall(r"^\| `(\w+)` ", text, re.MULTILINE))
    assert named == own & {"slow", "cluster", "gpu", "figures", "browser"}
