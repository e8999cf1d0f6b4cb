"""MLflow's page of a sweep in headless Chromium, as `searchlab ui NAME` opens it: timed, and as a picture."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.chromium import browser
from tests.mlflow_server import is_healthy
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]
ROWS = "return document.querySelectorAll('.ag-center-cols-container .ag-row').length"
WINDOW = (1700, 800)
SETTLE_SECONDS = 3.0  # until the columns have their widths
CLOSE_PANEL = (
    "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')"  # opens in a fresh profile, over the runs
)


@contextmanager
def served_link(home: Path, name: str) -> Iterator[str]:
    """Serve a home folder with `searchlab ui`, and yield the link to the trials of a sweep."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["ui", name, "--no-browser", "--port", str(port), "--home", str(home), "--json"]
    command = [sys.executable, "-m", "searchlab.cli", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            told = json.loads(server.stdout.readline())
            wait_for(lambda: is_healthy(port))
            yield told["link"]
        finally:
            server.terminate()


def opening_seconds(link: str, profile: Path, picture: Path | None = None) -> float:
    """Return the seconds from opening a link in a fresh profile until trials are listed, and store a picture of it."""
    shutil.rmtree(profile, ignore_errors=True)
    with browser(profile) as driver:
        driver.set_window_size(*WINDOW)
        started = time.perf_counter()
        driver.get(link)
        wait_for(lambda: driver.execute_script(ROWS) > 1)
        seconds = time.perf_counter() - started
        if picture:
            driver.execute_script(CLOSE_PANEL)
            driver.get("about:blank")  # the page reads its address and its storage only when it is loaded
            driver.get(link)
            wait_for(lambda: driver.execute_script(ROWS) > 1)
            time.sleep(SETTLE_SECONDS)
            driver.save_screenshot(str(picture))
    return seconds
