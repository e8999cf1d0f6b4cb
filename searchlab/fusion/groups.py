"""Groups: trials of equal structure that train fused, each with all its folds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from searchlab.backend import Device
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.replicas import Replicas, fold_seeds
from searchlab.space.domains import Scalar
from searchlab.space.structure import fuse
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

Fuse: TypeAlias = int | Literal["auto"]

LARGEST = 16  # trials in a group; how many of a structure pay is measured (sweep/speed.py)


@dataclass(frozen=True)
class Group:
    """Trials of equal structure: their numbers, their parameters by path, and the seed their folds share.

    `room` is how many more trials may join it, once it is measured how many pay. `parts` are the groups whose
    survivors it brings together, all after the same epoch. `most` is how many may train side by side, where more have
    killed their worker.
    """

    id: str
    trials: tuple[int, ...]
    parameters: tuple[Mapping[str, Scalar], ...]
    seed: int
    room: int = 0
    parts: tuple[str, ...] = ()
    most: int | None = None

    def of(self, numbers: Sequence[int]) -> Group:
        """The group with these of its trials only."""
        left = [at for at, number in enumerate(self.trials) if number in numbers]
        return replace(
            self, trials=tuple(self.trials[at] for at in left), parameters=tuple(self.parameters[at] for at in left)
        )


@dataclass(frozen=True)
class Later:
    """Instead of a group: there is none to train now, and there may be one when those at work have ended."""


def group_size(
    fuse: Fuse, *, trials: int, begun: int, workers: int, start_up: int = 0, alike: int | None = None
) -> int:
    """How many trials the next group may hold at most, when `begun` of `trials` have been drawn.

    "auto" draws the `start_up` trials alone; then at most a tenth of all trials go into one group, so that the sampler
    learns between groups and many structures are tried, and no more than leave every worker something to do. Where the
    points are known beforehand there is nothing to learn: `alike` of them, from the next one on, are of one structure.
    """
    left = max(0, trials - begun)
    for_each = max(1, -(-left // workers))
    left = left if alike is None else min(left, alike)
    if fuse != "auto":
        return min(fuse, left)
    if begun < start_up:
        return min(1, left)
    share = max(1, trials // 10) if alike is None else LARGEST
    return min(left, LARGEST, share, for_each)


def build(
    sweep: Sweep,
    parameters: Iterable[Mapping[str, Scalar]],
    table: LoadedDataset,
    split: Split,
    seed: int,
    device: Device,
) -> Trainer:
    """The trainer of these trials: replica r is fold r % K of trial r // K."""
    configurations = [sweep.settle(one) for one in parameters]
    folds = np.tile(np.arange(split.folds), len(configurations))  # (R,)
    replicas = Replicas(np.array(fold_seeds(seed, split.folds), dtype=np.uint64)[folds].tolist(), device=device)
    fused = fuse(configurations, split.folds)
    trainer: Trainer = fused.training.build(
        replicas, table, split[folds], sweep.metrics, fused.model.build, fused.optimizer.build
    )
    return trainer
