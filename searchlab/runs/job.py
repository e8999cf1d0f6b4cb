"""A job, which an engine is given, and what the search returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from searchlab.data.training_rows import TrainingRows
from searchlab.runs.config import RunConfig
from searchlab.runs.trials import TrialRecord
from searchlab.space.domains import Scalar
from searchlab.space.sweep import Sweep


@dataclass(frozen=True)
class PriorTrial:
    """A trial of an earlier sweep.

    Attributes:
        parameters: Its parameters by path.
        values: Its value by each metric, the primary one first.
        pruned_epoch: The epoch after which it was pruned; None where it is complete.
    """

    parameters: Mapping[str, Scalar]
    values: Sequence[float]
    pruned_epoch: int | None = None


@dataclass(frozen=True)
class Job:
    """A sweep for an engine to search, with everything that follows from its configuration and its workspace.

    Attributes:
        sweep: The sweep, with the configuration's values fixed.
        name: Name of the sweep.
        storage: Path of the study's journal file, or the URL of a PostgreSQL database.
        checkpoints: Folder that every worker sees, or the URL of a store.
        trials: Number of trials.
        config: The options of the run, with the number of workers resolved (None: as many as the cluster has).
        root: Folder of the user's project, put on the workers' import path.
        memory: Bytes that a worker may take for the data and its group; None where each worker finds out.
        generation: Number of trials drawn at a time, where the search is reproducible; 0 draws when a worker asks.
        prior_trials: Trials of an earlier sweep, for the sampler to learn from.
        initial_points: Parameters to try before all others, by path.
        id: Distinguishes this sweep's study from another's of the same name in a database.
        lock: File that the study's owner locks; None for one beside the journal.
        study: Name of the study, where it is not that of the sweep.
        tune_folder: Folder of Ray Tune's results; None for a temporary one.
        rows: The training rows, shared by all that read them in this process.
    """

    sweep: Sweep
    name: str
    storage: Path | str
    checkpoints: Path | str
    trials: int
    config: RunConfig = field(default_factory=lambda: RunConfig(workers=1))
    root: Path | None = None
    memory: int | None = None
    generation: int = 0
    prior_trials: Sequence[PriorTrial] = ()
    initial_points: Sequence[Mapping[str, Scalar]] = ()
    id: str = ""
    lock: Path | None = None
    study: str = ""
    tune_folder: Path | None = None
    rows: TrainingRows = None  # type: ignore[assignment]  # set below; never None afterwards

    def __post_init__(self) -> None:
        if self.rows is None:
            object.__setattr__(self, "rows", TrainingRows(self.sweep.data))
        object.__setattr__(self, "study", self.study or self.name)

    @property
    def owner_lock(self) -> Path | None:
        """The file that the study's owner locks: beside its journal unless given; None where there is none."""
        beside = self.storage.with_suffix(".lock") if isinstance(self.storage, Path) else None
        return self.lock or beside

    def for_workers(self) -> Job:
        """Return the job without what workers must not know: the URLs of servers, and what only the study uses."""
        config = replace(self.config, storage=None, tracking_uri=None)
        return replace(self, config=config, storage="", lock=None, prior_trials=(), initial_points=(), tune_folder=None)


@dataclass(frozen=True)
class SearchResult:
    """What a search returns.

    Attributes:
        trials: Every trial of the study.
        over: Which limit of the budget ended the search early; None otherwise.
        paused: Whether the search was stopped, and trials are left to be continued.
        follow_up: The result of the search that followed; None where there was none.
    """

    trials: list[TrialRecord]
    over: str | None = None
    paused: bool = False
    follow_up: SearchResult | None = None
