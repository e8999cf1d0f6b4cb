"""The winner of a sweep, measured on data of one's own or once more on the test rows."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchlab import artifact
from searchlab.errors import UserMistake
from searchlab.metrics import (
    F1,
    R2,
    Accuracy,
    AveragePrecision,
    BalancedAccuracy,
    BitsPerCharacter,
    LogLoss,
    MeanAbsoluteError,
    Metric,
    Perplexity,
    RocAuc,
    RootMeanSquaredError,
)
from searchlab.metrics.decisions import with_threshold
from searchlab.project import import_first_from
from searchlab.results.evaluation import measure
from searchlab.results.new_data import load_new_data
from searchlab.runner.stored_sweep import StoredSweep
from searchlab.runs.look_ledger import Look, LookLedger
from searchlab.space.sweep import Sweep

METRICS: tuple[Metric, ...] = (
    Accuracy(),
    BalancedAccuracy(),
    F1(),
    RocAuc(),
    AveragePrecision(),
    LogLoss(),
    RootMeanSquaredError(),
    MeanAbsoluteError(),
    R2(),
    Perplexity(),
    BitsPerCharacter(),
)


@dataclass(frozen=True)
class Evaluation:
    """What the winner of a sweep scores on some data.

    Attributes:
        sweep: Name of the sweep.
        trial: Number of the trial.
        data: The file; None for the test rows.
        rows: Number of rows, of sequences, or of tokens.
        scores: The score of the artifact by every metric of the sweep.
        look: Number of this look at the test rows; None for a file.
    """

    sweep: str
    trial: int
    data: str | None
    rows: int
    scores: Mapping[str, float]
    look: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return {
            "sweep": self.sweep,
            "trial": self.trial,
            "data": self.data,
            "rows": self.rows,
            "scores": dict(self.scores),
            "look": self.look,
        }


def evaluate(
    name: str,
    *,
    data: str | os.PathLike[str] | None = None,
    look_again: bool = False,
    home: str | os.PathLike[str] = ".searchlab",
    storage: str | None = None,
    sweep: Sweep | None = None,
) -> Evaluation:
    """Measure the artifact of a sweep's winner by the metrics of the sweep.

    Args:
        name: Name of the sweep.
        data: A file with new data: .csv or .tsv with the columns of the sweep's, .npz with x and y, or .txt for a
            language model; default: the test rows of the sweep.
        look_again: Measure on test rows that were opened before, other than for this winner; default: no.
        home: Folder of studies, checkpoints, artifacts and the MLflow store; default: ".searchlab".
        storage: URL of the study's database with its password; default: without a password.
        sweep: The sweep, where it was started from Python; default: it is loaded from its file.

    Raises:
        UserMistake: When there is no such sweep, it has no winner, the file does not fit its network, or the test rows
            were opened before.
        WorldFault: When the file cannot be read.

    Example:
        >>> import tempfile
        >>> from searchlab.runner.evaluate import evaluate
        >>> evaluate("no-such-sweep", home=tempfile.mkdtemp())
        Traceback (most recent call last):
        searchlab.errors.UserMistake: there is no sweep called 'no-such-sweep' in ...; there are: none yet.
    """
    stored = StoredSweep.load(name, home=home, storage=storage, sweep=sweep)
    if not (stored.folder.artifact / "manifest.json").is_file():
        raise UserMistake(f"the sweep {name!r} has no winner yet; `searchlab resume {name}` continues it.")
    import_first_from(stored.manifest.project_root(stored.folder))
    saved = artifact.load(stored.folder.artifact)
    trial, look, table = int(saved.manifest["trial"]), None, stored.job.sweep.data
    rows = load_new_data(saved, Path(data)) if data is not None else table.testing()
    if data is None:
        look = _record_look(stored, trial, rows.checksum(), again=look_again)
    metrics = with_threshold(stored.job.sweep.metrics, saved.threshold)
    scores = measure(saved.model, metrics, rows, saved.scaling, saved.target_scaling)
    return Evaluation(name, trial, None if data is None else str(data), len(rows), scores, look)


def evaluate_artifact(folder: str | os.PathLike[str], data: str | os.PathLike[str]) -> Evaluation:
    """Measure an artifact in a folder of its own, whose sweep need not be here, on new data.

    Args:
        folder: The folder.
        data: A file with new data, as for `evaluate`.

    Raises:
        UserMistake: When the folder holds no artifact, the file does not fit it, or its metric is one of the project.
        WorldFault: When the file cannot be read.

    Example:
        >>> import tempfile
        >>> from searchlab.runner.evaluate import evaluate_artifact
        >>> evaluate_artifact(tempfile.mkdtemp(), "new.csv")
        Traceback (most recent call last):
        searchlab.errors.UserMistake: ... does not hold an artifact that can be read (...
    """
    saved = artifact.load(Path(folder))
    name = saved.manifest["metric"]["name"]
    metrics: Sequence[Metric] = [metric for metric in METRICS if metric.name == name]
    if not metrics:
        known = ", ".join(metric.name for metric in METRICS)
        raise UserMistake(f"{name!r} is a metric of the project; evaluate the sweep by its name. Known are {known}.")
    rows = load_new_data(saved, Path(data))
    metrics = with_threshold(metrics, saved.threshold)
    scores = measure(saved.model, metrics, rows, saved.scaling, saved.target_scaling)
    return Evaluation(saved.manifest["sweep"], int(saved.manifest["trial"]), str(data), len(rows), scores, None)


def _record_look(stored: StoredSweep, trial: int, checksum: str, *, again: bool) -> int:
    """Record the look at the test rows, and return its number; raise UserMistake where it may not be taken."""
    look = Look(checksum, stored.job.name, stored.job.id, trial, time.time())
    is_allowed, earlier = LookLedger(stored.folder.test_looks).record(look, again=again)
    if not is_allowed:
        before = f"trial {earlier[-1].trial} of {earlier[-1].sweep!r}"
        raise UserMistake(
            f"the test rows were opened before, for {before}, and are not opened again: each look makes the score more "
            "optimistic; --look-again measures all the same, and --data FILE measures on other rows."
        )
    return len(earlier) + 1
