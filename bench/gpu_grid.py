"""The textbook's grid on the deep MLP as part of bench.gpu: a sample of every group, and whole groups while time lasts.

A group has the seven learning rates of an optimizer and a batch size, each with five folds: 35 networks side by side.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bench.gpu_parts import Result
from bench.gpu_sizes import Sizes
from bench.textbook_sample import Points, epoch_seconds, trainer_of
from bench.textbook_sweep import points_by_structure, textbook_sweep

import numpy as np  # isort: skip

from searchlab.space.sweep import Sweep
from searchlab.training import Trainer


class GridOnDevice:
    """The grid with its rows on the device, which are loaded when they are first needed."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.sweep: Sweep = textbook_sweep(
            "grid", hidden=sizes.mlp[1:-1], data=sizes.data, epochs=sizes.epochs, batch_sizes=sizes.batch_sizes
        )
        grid = self.sweep.grid_points()
        assert grid is not None
        self.groups: dict[str, Points] = points_by_structure(grid.points)
        self._data = None

    @property
    def data(self) -> Any:
        """The rows on the device."""
        if self._data is None:
            self._data = self.sizes.data.training().to(self.sizes.device)
        return self._data

    def sample(self, name: str) -> Result:
        """Return the seconds of an epoch of this group, from some steps."""
        with np.errstate(all="ignore"):
            seconds = epoch_seconds(self._trainer(name), self.sizes.sample_seconds)
        return {"lines": [], "epoch_seconds": seconds}

    def train(self, name: str) -> Result:
        """Train a group for all its epochs, and return its seconds and its best combination."""
        points, started = self.groups[name], time.perf_counter()
        trainer = self._trainer(name)
        scores = np.stack([trainer.advance().score for _ in range(self.sizes.epochs)])  # (epochs, R)
        means = scores.reshape(len(scores), len(points), -1).mean(axis=2)  # (epochs, combinations)
        means[~np.isfinite(means)] = 0.0  # of those that diverged
        best = int(means.max(axis=0).argmax())
        rate = next(value for path, value in points[best].items() if path.endswith(".lr"))
        seconds, score = time.perf_counter() - started, float(means[:, best].max())
        line = f"grid, {name}: {trainer.replicas.count} networks in {seconds:.1f} s, best {score:.4f} at rate {rate}"
        return {"lines": [line], "seconds": seconds, "score": score, "rate": rate, "combinations": len(points)}

    def _trainer(self, name: str) -> Trainer:
        return trainer_of(self.sweep, self.groups[name], self.data, self.sizes.device)

    def expected_seconds(self, name: str, results: Mapping[str, Result]) -> float:
        """Return how long the group is expected to train; 0 where it was not sampled."""
        sample = results.get(f"sample {name}")
        return sample["epoch_seconds"] * self.sizes.epochs if sample else 0.0

    def summary(self, results: Mapping[str, Result]) -> list[str]:
        """Return lines about the whole grid: what was trained, and what the rest would take."""
        sampled = [name for name in self.groups if f"sample {name}" in results]
        trained = {name: results[f"train {name}"] for name in self.groups if f"train {name}" in results}
        if len(sampled) < len(self.groups):
            return [f"grid: {len(sampled)} of {len(self.groups)} groups sampled"]
        spent = sum(result["seconds"] for result in trained.values())
        rest = sum(self.expected_seconds(name, results) for name in self.groups if name not in trained)
        done = sum(result["combinations"] for result in trained.values())
        count = sum(map(len, self.groups.values()))
        lines = [
            f"grid on the deep MLP: {done} of {count} combinations x 5 folds trained in {spent / 60.0:.1f} minutes; "
            f"the rest is expected to take {rest / 60.0:.1f}: together {(spent + rest) / 60.0:.1f} minutes"
        ]
        if trained:
            name = max(trained, key=lambda name: trained[name]["score"])
            lines.append(f"best so far: {trained[name]['score']:.4f} ({name}, learning rate {trained[name]['rate']})")
        return lines
