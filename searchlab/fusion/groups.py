"""Groups: trials of equal structure that train fused, each with all its folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from searchlab.backend import Device
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.kernels import use_kernels
from searchlab.replicas import Replicas, fold_seeds
from searchlab.space.domains import ParameterValues
from searchlab.space.kernel_choice import kernels_of
from searchlab.space.structure import fuse_configurations
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

FuseOption: TypeAlias = int | Literal["auto"]
"""The values of `--fuse`: the largest number of trials in a group, or "auto" for as many as train fastest."""

MAX_GROUP_TRIALS = 16  # with "auto"; how many of them speed up training is measured by structure (fusion/speed.py)


@dataclass(frozen=True)
class Group:
    """Trials of equal structure that train fused.

    Attributes:
        id: Name of the group, unique in its study.
        trials: Numbers of the trials.
        parameters: Parameters of each trial by path.
        seed: Seed that the folds of all trials share.
        max_followers: Number of trials that may still join, once it is measured how many train fastest side by side.
        merged_groups: Ids of the groups whose survivors this group brings together, all of them after the same epoch.
        max_side_by_side: Number of trials that may train side by side, where more have crashed their worker; None for
            no limit.
    """

    id: str
    trials: tuple[int, ...]
    parameters: tuple[ParameterValues, ...]
    seed: int
    max_followers: int = 0
    merged_groups: tuple[str, ...] = ()
    max_side_by_side: int | None = None

    def subset(self, numbers: Sequence[int]) -> Group:
        """Return the group with only those of its trials that have these numbers."""
        rows = [row for row, number in enumerate(self.trials) if number in numbers]
        return replace(
            self,
            trials=tuple(self.trials[row] for row in rows),
            parameters=tuple(self.parameters[row] for row in rows),
        )


@dataclass(frozen=True)
class NoGroupYet:
    """The reply to a worker that has to wait: no group is ready, and one may be when the running groups have ended."""


def group_size(
    fuse: FuseOption,
    *,
    trials: int,
    started: int,
    workers: int,
    startup_trials: int = 0,
    same_structure: int | None = None,
) -> int:
    """Return the largest number of trials that the next group may hold.

    With "auto", the first `startup_trials` train alone. After them, a group holds at most a tenth of all trials, so
    that the sampler learns between groups and many structures are tried, and at most its share of the remaining trials,
    so that every worker has something to do. Where the points are known in advance, the sampler has nothing to learn.

    Args:
        fuse: Largest number of trials in a group, or "auto".
        trials: Number of all trials of the search.
        started: Number of trials that are already in groups.
        workers: Number of workers that train groups.
        startup_trials: Number of trials that the sampler draws one by one at first.
        same_structure: Where the points are known in advance, how many of them from the next one on have one structure.
    """
    remaining = max(0, trials - started)
    share_of_worker = max(1, -(-remaining // workers))
    limit = remaining if same_structure is None else min(remaining, same_structure)
    if fuse != "auto":
        return min(fuse, limit)
    if started < startup_trials:
        return min(1, limit)
    tenth_of_trials = max(1, trials // 10) if same_structure is None else MAX_GROUP_TRIALS
    return min(limit, MAX_GROUP_TRIALS, tenth_of_trials, share_of_worker)


def build_trainer(
    sweep: Sweep,
    parameters: Iterable[ParameterValues],
    data: LoadedDataset,
    split: Split,
    seed: int,
    device: Device,
) -> Trainer:
    """Return the trainer of these trials with K folds each: replica r is fold r % K of trial r // K."""
    use_kernels(kernels_of(sweep))
    configurations = [sweep.configuration(values) for values in parameters]
    folds = np.tile(np.arange(split.folds), len(configurations))  # (R,)
    replicas = Replicas(np.array(fold_seeds(seed, split.folds), dtype=np.uint64)[folds].tolist(), device=device)
    fused = fuse_configurations(configurations, split.folds)
    trainer: Trainer = fused.training.build(
        replicas, data, split[folds], sweep.metrics, fused.model.build, fused.optimizer.build
    )
    return trainer
