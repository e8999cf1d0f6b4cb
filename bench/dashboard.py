"""How long Chromium takes to open MLflow's page of a sweep and its report, and what the report costs.

python -m bench.dashboard [--trials N] [--home FOLDER] [--name NAME]

Without --home, a sweep of so many trials, by default 500, is run first: the digits, for five epochs each.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

from bench import mlflow_page
from searchlab.reporting.report import create_report
from searchlab.reporting.search_figures import save_search_figures
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import Workspace
from searchlab.space.loader import load
from searchlab.study.reading import read_trials

ROOT = Path(__file__).parents[1]
ROUNDS = 3
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom")
CLOCK = "<script>addEventListener('load', () => { document.title = 'loaded ' + performance.now(); })</script>"


def run_sweep(trials: int, home: Path) -> str:
    """Run a sweep of so many trials, and return its name."""
    sweep = load(ROOT / "search_spaces" / "digits_mlp.py").sweep.with_values({"training.epochs": 5})
    return replace(sweep, trials=trials).run(home=home, engine="local").sweep


def opening_seconds(report: Path, folder: Path) -> float:
    """Return the seconds from the first byte of a report to the end of its loading in Chromium, scripts included.

    A script of the measurement is added, and the policy that would not let it run is taken out.
    """
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report.read_text(encoding="utf-8"))
    timed = folder / "timed.html"
    timed.write_text(page.replace("<title>", f"{CLOCK}<title>", 1), encoding="utf-8")
    command = ["chromium", *FLAGS, f"--user-data-dir={folder / 'profile'}", timed.as_uri()]
    html = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    found = re.search(r"<title>loaded ([\d.]+)</title>", html)
    if found is None:
        raise RuntimeError(f"{report} did not load within 300 s")
    return float(found[1]) / 1000.0


def measure(name: str, home: Path, scratch: Path) -> None:
    """Print the seconds and bytes of a sweep's report."""
    workspace = Workspace.at(home)
    folder = workspace.sweep(name)
    manifest = SweepManifest.load(folder)
    trials = read_trials(manifest.study_storage(folder), name)
    begin = time.perf_counter()
    save_search_figures(trials, manifest.metric, manifest.goal, scratch / "figures")
    drawn = time.perf_counter()
    report = create_report(name, workspace).path
    written = time.perf_counter()
    size = report.stat().st_size / 1e6
    print(f"{len(trials):,} trials: figures of the search {drawn - begin:.1f} s")
    print(f"report written in {written - drawn:.1f} s, {size:.2f} MB")
    if shutil.which("chromium") is None:
        print("Chromium is not installed: not opened")
        return
    seconds = [opening_seconds(report, scratch) for _ in range(ROUNDS)]
    print(f"opened in Chromium in {statistics.median(seconds):.2f} s, the median of {ROUNDS}", flush=True)
    if workspace.path.joinpath("mlflow.db").exists():
        with mlflow_page.served_link(workspace.path, name) as link:
            seconds = [mlflow_page.opening_seconds(link, scratch / "page") for _ in range(ROUNDS)]
        print(f"MLflow's page lists trials after {statistics.median(seconds):.2f} s, the median of {ROUNDS}")


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--name", default="digits-mlp")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        home = options.home or scratch / "home"
        name = options.name if options.home else run_sweep(options.trials, home)
        measure(name, home, scratch)


if __name__ == "__main__":
    main()
