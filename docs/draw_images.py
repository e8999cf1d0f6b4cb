"""Draw the images of README.md and of the documentation: `python docs/draw_images.py`, about two minutes.

The pictures of the report and of MLflow's page are taken in Chromium; without it, they stay as they are.

`python -m bench.reference spiral` draws spiral-boundary.png; CONTRIBUTING.md has the commands for own-model-moons.png.
All images of the folder are reduced to a palette, which makes them a third as large.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COLORS = 192  # of a palette
REPORT_OF = "digits_mlp"  # the sweep whose report is photographed
CHROMIUM_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
CHROMIUM_FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
CHROMIUM_FLAGS += ("--hide-scrollbars", "--window-size=1100,795")
DRAWN = {  # by sweep: its figures, and the names of the images
    "digits_mlp": {
        "learning-curves": "learning-curves",
        "fold-boxes": "fold-boxes",
        "optimization-history": "optimization-history",
        "parameter-scatter": "parameter-scatter",
        "ranking": "ranking",
    },
    "grid_168": {"by-optimizer": "boxes-by-optimizer"},
}


def draw(sweep_name: str, figures: dict[str, str]) -> None:
    """Run a sweep of the project in this process, in a folder of its own, and copy its figures."""
    from bench import mlflow_page
    from searchlab.space.loader import load

    sweep = load(ROOT / "search_spaces" / f"{sweep_name}.py").sweep
    fuse = "auto" if sweep.sampler.exhaustive else 1  # one by one, so that every run draws the same trials
    with tempfile.TemporaryDirectory() as home:
        result = sweep.run(home=home, engine="local", fuse=fuse)
        if sweep_name == REPORT_OF and shutil.which("chromium"):
            photograph(result.report, IMAGES / "report.png")
            with mlflow_page.served_link(Path(home), result.sweep) as link, tempfile.TemporaryDirectory() as profile:
                mlflow_page.opening_seconds(link, Path(profile), IMAGES / "mlflow-runs.png")
        for path in result.figures:
            if path.stem in figures:
                shutil.copy(path, IMAGES / f"{figures[path.stem]}.png")


def photograph(report: Path, image: Path) -> None:
    """Store a picture of the top of a report, as Chromium shows it."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", *CHROMIUM_FLAGS, f"--user-data-dir={profile}", f"--screenshot={image}", report.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=300)


def reduce_palette(path: Path) -> None:
    """Store an image with few colors; one that has a palette already is left alone."""
    with Image.open(path) as image:
        if image.mode == "P":
            return
        reduced = image.convert("RGB").quantize(COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for name, figures in DRAWN.items():
        draw(name, figures)
    for image in IMAGES.glob("*.png"):
        reduce_palette(image)
