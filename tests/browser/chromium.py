"""Headless Chromium for tests of pages: Debian's `chromium` and `chromium-driver`; nothing is downloaded."""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import contextmanager

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm of a container is too small for it
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1800,1400",
)


def missing():
    """Return what a browser test lacks, as a reason to skip it; an empty text where nothing is missing."""
    found = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    found["the package selenium"] = importlib.util.find_spec("selenium")
    lacking = [name for name, place in found.items() if not place]
    return f"{' and '.join(lacking)} missing" if lacking else ""


@contextmanager
def browser(profile):
    """Run a browser with a fresh profile in this folder, and end it with the block."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
