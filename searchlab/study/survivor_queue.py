"""Survivors of pruning that wait until enough of one structure and epoch can train fused."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from searchlab.fusion.groups import Group
from searchlab.space.structure import structure_key
from searchlab.space.sweep import Sweep

MAX_WAIT_GROUPS = 4  # groups that each worker trains while survivors wait, at most: they are the best trials so far


@dataclass
class SurvivorQueue:
    """Groups that pruning made small, by structure and number of epochs.

    Attributes:
        sweep: The sweep.
        groups: The groups that wait, by structure and number of epochs.
        ages: For each key, how many groups were handed out since its first group came.
    """

    sweep: Sweep
    groups: dict[tuple[Hashable, int], list[Group]] = field(default_factory=dict)
    ages: dict[tuple[Hashable, int], int] = field(default_factory=dict)

    def add(self, group: Group, epoch: int) -> None:
        """Add a group after this epoch, without trials that wait already.

        A process that counts as dead, behind a cut network, may have returned them too.
        """
        waiting = {number for groups in self.groups.values() for other in groups for number in other.trials}
        group = group.subset([number for number in group.trials if number not in waiting])
        if not group.trials:
            return
        key = (structure_key(self.sweep, group.parameters[0]), epoch)
        self.groups.setdefault(key, []).append(group)
        self.ages.setdefault(key, 0)

    def has_match(self, group: Group, epoch: int) -> bool:
        """Return whether another group of this structure waits after this epoch."""
        return (structure_key(self.sweep, group.parameters[0]), epoch) in self.groups

    def pop_ready(self, best_sizes: Mapping[Hashable, int], workers: int) -> Group | None:
        """Remove and return a group that has the best size for its structure, or has waited for long; None else.

        Args:
            best_sizes: By structure, how many trials train fastest side by side; 2 where it was not measured.
            workers: How many workers train.
        """
        for key, groups in self.groups.items():
            size = sum(len(group.trials) for group in groups)
            if size >= best_sizes.get(key[0], 2) or self.ages[key] >= MAX_WAIT_GROUPS * workers:
                return self._pop(key)
        self.ages = {key: age + 1 for key, age in self.ages.items()}
        return None

    def pop_largest(self) -> Group | None:
        """Remove and return the largest group; None when none waits."""
        sizes = {key: sum(len(group.trials) for group in groups) for key, groups in self.groups.items()}
        return self._pop(max(sizes, key=lambda key: sizes[key])) if sizes else None

    def __bool__(self) -> bool:
        return bool(self.groups)

    def _pop(self, key: tuple[Hashable, int]) -> Group:
        """Remove the groups of this key, and return them as one."""
        groups = self.groups.pop(key)
        del self.ages[key]
        return groups[0] if len(groups) == 1 else merge_groups(groups)


def merge_groups(groups: list[Group]) -> Group:
    """Return one group of several that have trained as many epochs; it has an id and a checkpoint of its own."""
    trials = tuple(number for group in groups for number in group.trials)
    parameters = tuple(values for group in groups for values in group.parameters)
    ids = tuple(group.id for group in groups)
    merged_id = f"{ids[0]}-{len(ids)}-{trials[-1]}"
    return replace(groups[0], id=merged_id, trials=trials, parameters=parameters, merged_groups=ids)
