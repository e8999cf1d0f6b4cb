"""The states of all sweeps of a workspace, while they run and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from searchlab.errors import WorldFault
from searchlab.monitor.snapshot import SweepState
from searchlab.monitor.study_reader import open_study
from searchlab.runs.file_lock import lock_holder_pid
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import SweepFolder, Workspace


@dataclass(frozen=True)
class SweepStatus:
    """The state of one sweep.

    Attributes:
        sweep: Name of the sweep.
        state: Whether it is running, finished, failed (without a winner), interrupted, or unreadable.
        requested: Number of trials requested.
        complete: Number of complete trials; `pruned`, `failed` and `infeasible` count the others that have ended.
        best: The best score so far, None before a trial is complete.
        trial: Number of the trial with that score.
        created: When the sweep was created, in seconds since 1970.
        error: Why it is unreadable; None otherwise.
        link: Its trials in MLflow, best first, while `searchlab ui` serves them; None where this is not known.
    """

    sweep: str
    state: SweepState
    requested: int
    complete: int
    pruned: int
    failed: int
    infeasible: int
    best: float | None
    trial: int | None
    created: float
    error: str | None = None
    link: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON values; the number of requested trials is called "asked", as by every command."""
        values = asdict(self)
        return {"asked" if name == "requested" else name: value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SweepStatus:
        """Return the status with these JSON values."""
        return cls(**{"requested" if name == "asked" else name: value for name, value in values.items()})


def all_statuses(workspace: Workspace) -> list[SweepStatus]:
    """Return the status of every sweep of the workspace, the oldest first; one that is damaged hides no other."""
    statuses = []
    for folder in workspace.sweeps():
        try:
            statuses.append(status_of(folder))
        except WorldFault as fault:
            created = (folder.path / "sweep.json").stat().st_mtime
            statuses.append(SweepStatus(folder.name, "unreadable", 0, 0, 0, 0, 0, None, None, created, str(fault)))
    return statuses


def status_of(folder: SweepFolder) -> SweepStatus:
    """Return the status of the sweep in this folder.

    Raises UserMistake when there is none, and WorldFault when one of its files is damaged.
    """
    manifest = SweepManifest.load(folder)
    is_running = lock_holder_pid(folder.lock) is not None  # read before the study, so that this is final
    storage = manifest.study_storage(folder)
    board = open_study(storage, manifest.name, manifest.goal, with_parameters=False).read()
    return SweepStatus(
        sweep=manifest.name,
        state="running" if is_running else final_state(folder, manifest.trials, board.ended),
        requested=manifest.trials,
        complete=board.count("COMPLETE"),
        pruned=board.count("PRUNED"),
        failed=board.count("FAIL"),
        infeasible=board.count("INFEASIBLE"),
        best=board.best.score if board.best else None,
        trial=board.best.trial if board.best else None,
        created=manifest.created,
    )


def final_state(folder: SweepFolder, requested: int, ended: int) -> SweepState:
    """Return the state of a sweep that no process is running, of whose requested trials so many have ended.

    A result for other numbers of trials is out of date: the sweep was resumed after the result was written.
    """
    result = folder.read("result")
    try:
        if result is None or (requested, ended) != _trial_numbers(result["trials"]):
            return "interrupted"
        return "finished" if result["state"] == "FINISHED" else "failed"
    except (KeyError, TypeError, AttributeError) as error:
        raise folder.damaged("result", f"damaged: no entry {error}") from error


def _trial_numbers(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many trials a result was to have, and how many had ended."""
    return counts["asked"], sum(count for name, count in counts.items() if name != "asked")
