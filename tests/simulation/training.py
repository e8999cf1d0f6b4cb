"""Training that takes microseconds: the scores of a trial follow from its parameters, and from nothing else."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import numpy as np

from searchlab.training import EpochReport

DIVERGED, BROKEN = "the stub diverged", "the stub is broken"
MODULUS = 2**32


class StubTrainer:
    """A trainer whose state is a number per replica that each epoch replaces by the next one.

    Args:
        starts: The state (R,) before the first epoch.
        epochs: Number of epochs.
        train: Called for each epoch; it returns its seconds and the time at its end, or raises what training may raise.
        rates: Of how many replicas one diverges, and of how many one raises an exception, in an epoch; 0 for none.
        metrics: Number of metrics; the scores of those after the first are what the first one lacks to 1.
    """

    def __init__(self, starts, epochs, train, rates, metrics=1):
        self.epoch, self.epochs, self._train, self._rates = 0, epochs, train, rates
        self._metrics, self._starts = metrics, np.array(starts, np.int64)
        self._values = self._starts

    def advance(self):
        seconds, time = self._train()
        values = np.array([next_value(value) for value in self._values], np.int64)
        if _any_of(self._rates[1], values + 1).any():
            raise ValueError(BROKEN)
        self._values, self.epoch = values, self.epoch + 1
        scores, diverged = scores_of(self._starts, values, self.epoch), _any_of(self._rates[0], values)
        scores[diverged] = np.nan
        failures = tuple(DIVERGED if failed else None for failed in diverged)
        losses = 1.0 - scores
        others = np.repeat(losses[:, None], self._metrics - 1, axis=1)
        return EpochReport(self.epoch, losses, scores, failures, seconds, time, others, held_out_loss=losses)

    def select_replicas(self, rows):
        self._starts, self._values = self._starts[rows], self._values[rows]

    def state(self):
        return {"starts": self._starts, "values": self._values}

    def restore(self, epoch, state):
        if state["starts"].tolist() != self._starts.tolist():
            raise AssertionError("a checkpoint holds other replicas, or in another order")
        self.epoch, self._values = epoch, state["values"]


def start_values(parameters, folds):
    """Return the state of a trial before its first epoch, one number per fold."""
    quality = zlib.crc32(repr(sorted(parameters.items())).encode())
    return [quality // folds * folds + fold for fold in range(folds)]


def next_value(value):
    return zlib.crc32(int(value).to_bytes(8, "little"))


def scores_of(starts, values, epoch):
    """Return scores (R,) that rise, differ by replica, and have noise: pruners stop some trials early, others late."""
    return 0.8 * starts / MODULUS * (1.0 - 0.7**epoch) + 0.2 * values / MODULUS


def expected_scores(parameters, folds, epochs, diverging):
    """Return the scores (epochs, folds) of a trial; NaN where a replica diverges."""
    starts = np.array(start_values(parameters, folds), np.int64)
    values, rows = starts, []
    for epoch in range(1, epochs + 1):
        values = np.array([next_value(value) for value in values], np.int64)
        rows.append(np.where(_any_of(diverging, values), np.nan, scores_of(starts, values, epoch)))
    return np.array(rows)


def _any_of(rate, values):
    """Return which (R,) of these values are chosen, one of `rate`."""
    return values % rate == 0 if rate else np.zeros(len(values), bool)


class StubMemory:
    """A memory model of which `fitting(parameters)` trials fit side by side."""

    data_bytes = 0

    def __init__(self, folds, fitting):
        self.folds, self._fitting = folds, fitting

    def max_trials(self, trials, limit):
        return min(len(trials), self._fitting(trials[0]))

    def measure(self, parameters):
        return SimpleNamespace(replica_bytes=1000, total_bytes=lambda replicas: 1000 * replicas)

    def structure_name(self, parameters):
        return str(parameters.get("model.hidden", 8))

    def shortage_message(self, parameters, limit):
        return "no trial fits"
