"""Survivors that wait: of groups that pruning made thin, until enough of one structure and epoch can train fused."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from searchlab.fusion.groups import Group
from searchlab.space.domains import Scalar
from searchlab.space.structure import structural
from searchlab.space.sweep import Sweep

PATIENCE = 4  # groups a worker takes in the meantime, at most: those that wait are the best so far


def structure_of(sweep: Sweep, parameters: Mapping[str, Scalar]) -> Hashable:
    """What tells a structure from others."""
    return frozenset(structural(sweep, parameters).items())


@dataclass
class SurvivorQueue:
    """Thin groups by structure and the epochs they have trained."""

    sweep: Sweep
    groups: dict[Hashable, list[Group]] = field(default_factory=dict)
    ages: dict[Hashable, int] = field(default_factory=dict)  # groups handed out since the first of these came

    def add(self, group: Group, epoch: int) -> None:
        """These survivors wait after this epoch."""
        key = (structure_of(self.sweep, group.parameters[0]), epoch)
        self.groups.setdefault(key, []).append(group)
        self.ages.setdefault(key, 0)

    def joins(self, group: Group, epoch: int) -> bool:
        """Whether others of this structure and epoch wait."""
        return (structure_of(self.sweep, group.parameters[0]), epoch) in self.groups

    def ready(self, enough: Mapping[Hashable, int], workers: int) -> Group | None:
        """A group of which enough wait to train as fast as a structure can, or that has waited for long."""
        for key, groups in self.groups.items():
            size = sum(len(group.trials) for group in groups)
            if size >= enough.get(key[0], 2) or self.ages[key] >= PATIENCE * workers:  # type: ignore[index]
                return self._take(key)
        self.ages = {key: age + 1 for key, age in self.ages.items()}
        return None

    def rest(self) -> Group | None:
        """Any group, the largest first; None when nobody waits."""
        sizes = {key: sum(len(group.trials) for group in groups) for key, groups in self.groups.items()}
        return self._take(max(sizes, key=lambda key: sizes[key])) if sizes else None

    def drop(self, numbers: Iterable[int]) -> None:
        """These trials have ended."""
        ended = set(numbers)
        for key, groups in list(self.groups.items()):
            left = [group.of([number for number in group.trials if number not in ended]) for group in groups]
            self.groups[key] = [group for group in left if group.trials]
            if not self.groups[key]:
                del self.groups[key], self.ages[key]

    def __bool__(self) -> bool:
        return bool(self.groups)

    def _take(self, key: Hashable) -> Group:
        """Those that wait under this key, as one group."""
        groups = self.groups.pop(key)
        del self.ages[key]
        return groups[0] if len(groups) == 1 else merged(groups)


def merged(groups: list[Group]) -> Group:
    """One group of several that have trained as many epochs; its id is new, for its checkpoint is."""
    trials = tuple(number for group in groups for number in group.trials)
    parameters = tuple(given for group in groups for given in group.parameters)
    parts = tuple(group.id for group in groups)
    return replace(
        groups[0], id=f"{parts[0]}-{len(parts)}-{trials[-1]}", trials=trials, parameters=parameters, parts=parts
    )
