"""A study for a training loop of one's own: it proposes trials, and is told their scores by fold after each epoch."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.data.training_rows import TrainingRows
from searchlab.errors import UserMistake
from searchlab.fusion.groups import Group
from searchlab.results.result import Result
from searchlab.runner.pipeline import SweepPipeline
from searchlab.runner.sweep_lock import sweep_locked
from searchlab.runs.config import RunConfig
from searchlab.runs.events import NullHandler
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.trials import TrialRecord
from searchlab.runs.urls import validate_storage
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.space.domains import Scalar
from searchlab.space.space import BoundConstructor
from searchlab.space.sweep import Sweep
from searchlab.study.study import Study
from searchlab.training import EpochReport
from searchlab.wording import count


@dataclass(frozen=True)
class AskedTrial:
    """A trial that a loop of one's own trains.

    Attributes:
        number: Number of the trial, from 0.
        parameters: Suggested values by path, such as {"model.hidden": 64}.
        model: The constructor of the model with its arguments; `model.build()` calls it, `model.keywords` holds them.
        optimizer: The same for the optimizer.
        training: The same for the training.
    """

    number: int
    parameters: Mapping[str, Scalar]
    model: BoundConstructor = field(repr=False)
    optimizer: BoundConstructor = field(repr=False)
    training: BoundConstructor = field(repr=False)


class AskTellStudy:
    """A study that is asked for trials and told their scores; `Sweep.study` opens it, and a `with` block closes it.

    One process at a time has it open. A trial that was open when the process was killed is proposed again, and is
    trained from its first epoch.

    Attributes:
        name: Name of the study.
        data: The training rows, which `folds` refers to.
        folds: For each fold, the numbers of the rows to train on (n,) and of the rows held out (m,).

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from searchlab import Arrays, Float, KFold, RootMeanSquaredError, Space, Sweep
        >>> def ridge(*, strength: float):
        ...     return strength
        >>> x = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
        >>> sweep = Sweep(name="ridge", data=Arrays(x, x @ [1.0, 2.0, 3.0]), validation=KFold(3), trials=4,
        ...     metric=RootMeanSquaredError(), model=Space(ridge, strength=Float(0.01, 100.0, log=True)))
        >>> def error(rows, strength, train, held_out):
        ...     a = rows.x[train].T @ rows.x[train] + strength * np.eye(3)
        ...     weights = np.linalg.solve(a, rows.x[train].T @ rows.y[train])
        ...     return np.sqrt(np.mean((rows.x[held_out] @ weights - rows.y[held_out]) ** 2))
        >>> with sweep.study(home=tempfile.mkdtemp()) as study:
        ...     for trial in study:
        ...         strength = trial.model.build()
        ...         errors = [error(study.data, strength, train, held_out) for train, held_out in study.folds]
        ...         done = study.tell(trial, errors, last=True)
        ...     print(len(study.result().trials))
        4
    """

    def __init__(self, manifest: SweepManifest, pipeline: SweepPipeline, study: Study, stack: ExitStack) -> None:
        self.name, self.data = manifest.name, pipeline.rows.load()
        split = pipeline.sweep.validation.split(self.data)
        self.folds: list[tuple[Array, Array]] = [
            (split.train.index[k, : split.train.counts[k]], split.held_out.index[k, : split.held_out.counts[k]])
            for k in range(split.folds)
        ]
        self._manifest, self._pipeline, self._study, self._stack = manifest, pipeline, study, stack
        self._sweep, self._told_at, self._last = pipeline.sweep, dict[int, float](), dict[int, EpochReport]()

    @classmethod
    def open(
        cls,
        sweep: Sweep,
        *,
        name: str | None,
        trials: int | None,
        values: Mapping[str, Any],
        seed: int,
        home: str | os.PathLike[str],
        storage: str | None,
    ) -> AskTellStudy:
        """Open a study, new or as it was left; see `Sweep.study`."""
        config = RunConfig(
            name=name, trials=trials, values=values, seed=seed, home=home, storage=storage,
            workers=1, fuse=1, engine="local", tracking=None,
        )  # fmt: skip
        validate_storage(storage)
        sweep, workspace = sweep.with_values(values), Workspace.at(home, storage)
        folder = workspace.sweep(name or sweep.name)
        manifest = _manifest(sweep, config, folder)
        pipeline = SweepPipeline(sweep, manifest, workspace, TrainingRows(sweep.data))
        with ExitStack() as stack:
            stack.enter_context(sweep_locked(folder))
            pipeline.validate_data()
            manifest.save(folder)
            study = Study(pipeline.job(), NullHandler())
            stack.callback(study.close)
            return cls(manifest, pipeline, study, stack.pop_all())

    def __enter__(self) -> AskTellStudy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[AskedTrial]:
        """Yield trials until there is none left."""
        while trial := self.ask():
            yield trial

    def ask(self) -> AskedTrial | None:
        """Return the next trial to train; None when all have been proposed, or a limit of the budget is reached.

        Raises:
            UserMistake: When the sampler has no other trial before an open one has ended.
        """
        group = self._study.ask()
        if group is None:
            return None
        if not isinstance(group, Group):
            raise UserMistake(f"the sampler of {self.name!r} proposes nothing more before the open trials have ended.")
        number, parameters = group.trials[0], group.parameters[0]
        self._told_at[number] = time.monotonic()
        configuration = self._sweep.configuration(parameters)
        return AskedTrial(number, parameters, configuration.model, configuration.optimizer, configuration.training)

    def tell(
        self,
        trial: AskedTrial,
        scores: Sequence[float] | Sequence[Sequence[float]],
        losses: Sequence[float] = (),
        *,
        last: bool = False,
    ) -> bool:
        """Report the next epoch of a trial, and return whether it continues.

        It does not after its last epoch, where the pruner or the early stopping has ended it, and where a score is not
        finite: it has failed then.

        Args:
            trial: The trial.
            scores: Score of each fold on its held-out rows, (K,); with M metrics one sequence for each, (M, K).
            losses: Mean training loss of each fold, (K,); default: not known.
            last: Whether this is the last epoch, which completes the trial: nothing is pruned then. Default False.

        Raises:
            UserMistake: When the trial is not open, or there is not one number per fold.
        """
        values = self._by_metric("scores", scores, len(self._sweep.metrics))  # (M, K)
        loss = self._by_metric("losses", losses, 1)[0] if len(losses) else np.full(len(self.folds), np.nan)
        self._require_open(trial)
        report = self._epoch_report(trial.number, values, loss)
        if last:
            self._study.finish([trial.number], report)
            return False
        self._last[trial.number] = report
        return trial.number in self._study.report([trial.number], report).trials

    def finish(self, trial: AskedTrial) -> None:
        """Complete a trial after the epochs that were told of it; its score is that of the best one.

        It is for loops that do not know their last epoch beforehand; others tell it as the last one.

        Raises:
            UserMistake: When the trial is not open, or no epoch of it was told.
        """
        self._require_open(trial)
        if trial.number not in self._last:
            raise UserMistake(f"trial {trial.number} cannot be finished before an epoch of it is told.")
        self._study.finish([trial.number], self._last[trial.number])

    def fail(self, trial: AskedTrial, reason: str) -> None:
        """End a trial without a score.

        Args:
            trial: The trial.
            reason: Why it failed, in one sentence.

        Raises:
            UserMistake: When the trial is not open.
        """
        self._require_open(trial)
        self._study.fail([trial.number], reason)

    def result(self) -> Result:
        """Return the result so far: every trial, without a winner, an artifact and a report."""
        metric, manifest, trials = self._sweep.primary_metric, self._manifest, tuple(self._study.records())
        has_score = any(trial.value is not None for trial in trials)
        return Result(
            sweep=self.name,
            state="RUNNING" if not self._study.is_done() else "FINISHED" if has_score else "FAILED",
            trials=trials,
            requested=manifest.trials,
            winner=None,
            metric=metric.name,
            goal=metric.goal,
            seconds=_seconds(trials),
            others={other.name: other.goal for other in self._sweep.metrics[1:]},
            over=self._study.end_reason,
            home=self._pipeline.workspace.path,
            definition=self._sweep,
        )

    def close(self) -> None:
        """Close the study, so that another process can open it; where every trial has ended, write its result."""
        with self._stack:
            if self._study.is_done():
                self._pipeline.folder.write("result", self.result().to_json())

    def _epoch_report(self, number: int, values: Array, loss: Array) -> EpochReport:
        """Return the report of a trial's next epoch with scores (M, K) and training losses (K,)."""
        now, before = time.monotonic(), self._told_at[number]
        self._told_at[number] = now
        return EpochReport(
            epoch=1 + len(self._study.store.open_curves[number].scores),
            loss=loss,
            score=values[0],
            failures=tuple(None if math.isfinite(score) else f"the score is {score}" for score in values[0].tolist()),
            seconds=now - before,
            time=time.time(),
            others=values[1:].T,
        )

    def _by_metric(self, name: str, values: Any, metrics: int) -> Array:
        """Return numbers as an array (M, K); raise UserMistake where they have another shape."""
        folds, array = len(self.folds), np.asarray(values, dtype=np.float64)
        array = array[None] if array.ndim == 1 else array
        if array.shape != (metrics, folds):
            shape = count(folds, "number") if metrics == 1 else f"{metrics} times {count(folds, 'number')}"
            raise UserMistake(f"{name} are {shape}, one per fold of {self.name!r}; got the shape {np.shape(values)}.")
        return array

    def _require_open(self, trial: AskedTrial) -> None:
        if trial.number not in self._study.store.open_trials:
            raise UserMistake(f"trial {trial.number} of {self.name!r} has ended, so there is nothing to tell of it.")


def _seconds(trials: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the seconds from the start of the first trial to the end of the last one; nothing before one has ended."""
    ends = [trial.ended for trial in trials if trial.ended is not None]
    if not ends:
        return {}
    seconds = max(ends) - min(trial.started for trial in trials)
    return {"search": seconds, "total": seconds}


def _manifest(sweep: Sweep, config: RunConfig, folder: SweepFolder) -> SweepManifest:
    """Return the manifest of a study, new or stored; raise UserMistake where the name is that of another sweep."""
    if folder.read("sweep") is None:
        trials = sweep.resolve_trials(config.trials)
        return SweepManifest.of(sweep, name=folder.name, trials=trials, config=config, own_loop=True)
    stored = SweepManifest.load(folder)
    if not stored.own_loop or not stored.describes(sweep):
        raise UserMistake(f"{folder.name!r} is the name of another sweep in this home; give another name=...")
    if config.trials is not None and config.trials < stored.trials:
        raise UserMistake(
            f"{folder.name!r} was started with {count(stored.trials, 'trial')}; it can be extended, not reduced to "
            f"{config.trials}."
        )
    return replace(stored, trials=sweep.resolve_trials(config.trials or stored.trials))
