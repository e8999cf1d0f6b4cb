"""The best score so far, by trial: a series of the sweep's run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Metric

from searchlab.runs.events import TrialFinished

POINTS_PER_CALL = 1000  # what MLflow takes


class BestSoFar:
    """The best score of the complete trials up to each trial, in the order of their numbers.

    The order is not that in which trials end, so a resumed sweep repeats the same points. A point is known once all
    trials before it have ended.

    Args:
        goal: Direction of the metric, "max" or "min".
    """

    def __init__(self, goal: str) -> None:
        self._sign = 1.0 if goal == "max" else -1.0
        self._ended: dict[int, TrialFinished] = {}
        self._next = 0  # the first trial without a point
        self._best: float | None = None

    def add(self, event: TrialFinished) -> None:
        """Add a trial that has ended."""
        self._ended.setdefault(event.trial, event)

    def new_points(self, *, at_end: bool = False) -> Iterator[tuple[int, float, float]]:
        """Yield the points that are known now and were not yielded before: trial, best score so far, time of the end.

        Args:
            at_end: Whether no other trial will end, so that gaps are skipped; default False.
        """
        while self._ended:
            if at_end:
                self._next = min(self._ended)
            event = self._ended.pop(self._next, None)
            if event is None:
                return
            self._next += 1
            if event.state == "COMPLETE" and event.value is not None:
                better = self._best is None or self._sign * (event.value - self._best) > 0
                self._best = event.value if better else self._best
            if self._best is not None:
                yield event.trial, self._best, event.time


class SweepSeries:
    """Writes the best score so far to the sweep's run, each point once.

    Args:
        client: The client of the store.
        run_id: Id of the sweep's run.
        key: Name of the series.
        goal: Direction of the metric, "max" or "min".
    """

    def __init__(self, client: MlflowClient, run_id: str, key: str, goal: str) -> None:
        self.key = key
        self._client, self._run_id, self._best = client, run_id, BestSoFar(goal)
        self._steps: set[int] | None = None  # of the points in the store; None until they are looked up
        self._pending: list[Metric] = []

    def add(self, event: TrialFinished) -> None:
        """Add a trial that has ended."""
        self._best.add(event)

    def write(self, *, at_end: bool = False) -> None:
        """Write the points that are known by now; what the store did not take is written by the next call.

        Args:
            at_end: Whether no other trial will end; default False.
        """
        self._pending += [
            Metric(self.key, value, int(time * 1000), trial)
            for trial, value, time in self._best.new_points(at_end=at_end)
            if math.isfinite(value)
        ]
        if not self._pending:
            return
        if self._steps is None:
            history = self._client.get_metric_history(self._run_id, self.key)
            self._steps = {metric.step for metric in history}
        self._pending = [metric for metric in self._pending if metric.step not in self._steps]
        while batch := self._pending[:POINTS_PER_CALL]:
            self._client.log_batch(self._run_id, batch)
            self._steps |= {metric.step for metric in batch}
            del self._pending[:POINTS_PER_CALL]
