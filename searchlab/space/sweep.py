"""The sweep: what is searched, on what data, judged how, for how long."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from searchlab.data.dataset import Dataset
from searchlab.data.splits import Validation
from searchlab.errors import UserMistake
from searchlab.metrics import Metric
from searchlab.pruning.halving import Halving
from searchlab.pruning.optuna import OptunaPruner, is_optuna_pruner
from searchlab.pruning.pruner import NoPruning, Pruner
from searchlab.space.budget import Budget
from searchlab.space.domains import Choice, Domain, Scalar, label
from searchlab.space.early_stopping import EarlyStopping
from searchlab.space.fingerprint import plain
from searchlab.space.grid import Plan
from searchlab.space.initial_points import enqueued
from searchlab.space.overrides import fix, option, tuples
from searchlab.space.resources import Resources
from searchlab.space.samplers import TPE, OptunaSampler, Sampler, is_optuna
from searchlab.space.space import Ask, Drawn, Space, ask_for, walk_options
from searchlab.space.validation import (
    check_metrics,
    check_parts,
    check_points,
    check_pruner,
    check_resources,
    check_search,
)

if TYPE_CHECKING:
    from searchlab.results.result import Result
    from searchlab.space.constraints import Constraint


@dataclass(frozen=True)
class Configuration:
    """One point of a sweep's space: model, optimizer and training with every argument settled."""

    model: Drawn
    optimizer: Drawn
    training: Drawn


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What is searched (model, optimizer, training), on which data, judged how, by which sampler, for how many trials.

    A grid may leave `trials` out: it tries all it has. Raises UserMistake when a part is missing or of the wrong kind.
    `metric` may be a tuple of several: the first is the primary one, by which a trial's best epoch and the winner are
    chosen; the others are told beside it, and the sampler looks for the best compromises.
    It knows no engine: `run` hands it to one.
    """

    parts: ClassVar[tuple[str, ...]] = ("model", "optimizer", "training")

    name: str
    data: Dataset
    validation: Validation
    metric: Metric | tuple[Metric, ...]
    model: Space | Choice
    optimizer: Space | Choice
    training: Space
    trials: int | None = None
    sampler: Sampler = field(default_factory=TPE)
    early_stopping: EarlyStopping | None = None
    pruner: Pruner | None = None
    budget: Budget = field(default_factory=Budget)
    constraint: Constraint | None = None
    enqueue: Sequence[Mapping[str, Any]] = ()
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        if is_optuna(self.sampler):
            object.__setattr__(self, "sampler", OptunaSampler(self.sampler))
        if is_optuna_pruner(self.pruner):
            object.__setattr__(self, "pruner", OptunaPruner(self.pruner))
        for check in (check_search, check_metrics, check_parts, check_pruner, check_points, check_resources):
            check(self)
        self.sampler.refuse(self)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics, the primary one first."""
        return self.metric if isinstance(self.metric, tuple) else (self.metric,)

    @property
    def primary(self) -> Metric:
        """The metric that chooses a trial's best epoch and the winner."""
        return self.metrics[0]

    @property
    def chosen_pruner(self) -> Pruner:
        """The pruner; where none is given, Halving by one metric and none by several."""
        return self._default_pruner if self.pruner is None else self.pruner

    @property
    def _default_pruner(self) -> Pruner:
        return Halving() if len(self.metrics) == 1 else NoPruning()

    def plan(self) -> Plan | None:
        """The points to try, where the sampler knows them beforehand; raises UserMistake where it cannot list them."""
        return self.sampler.plan(self)

    def asked(self, trials: int | None = None) -> int:
        """How many trials are run: as many as asked for here, else in the sweep, else all that its grid has.

        Raises UserMistake when that is more than the grid has.
        """
        asked, plan = self.trials if trials is None else trials, self.plan()
        size = len(plan.points) if plan else None
        if size is not None and asked is not None and asked > size:
            raise UserMistake(f"the grid has {size:,} combinations; trials={asked} asks for more.")
        number = size if asked is None else asked
        assert number is not None, "a sweep without trials has a sampler with an end"
        return number

    def counts(self, state: str) -> bool:
        """Whether a trial that ended so is one of those asked for: one that breaks the constraint costs nothing.

        Where the sampler has an end of its own, it is one of its points.
        """
        return state != "INFEASIBLE" or self.sampler.exhaustive

    def draw(self, ask: Ask) -> Configuration:
        """Settle everything that is open by asking for it under its path: model.hidden, optimizer.SGD.lr."""
        return Configuration(**{part: self.draw_part(part, ask) for part in self.parts})

    def draw_part(self, part: str, ask: Ask) -> Any:
        """Settle what is open in one of the parts; what they ask for does not depend on each other."""
        space = getattr(self, part)
        return space.draw(ask, part) if isinstance(space, Space) else ask_for(ask, part, space)

    def settle(self, parameters: Mapping[str, Scalar]) -> Configuration:
        """The configuration with these values by path, as an earlier `draw` asked for them."""
        return self.draw(lambda path, domain: parameters[path])

    def with_values(self, values: Mapping[str, Any]) -> Sweep:
        """The same sweep with arguments fixed by path: model.hidden, optimizer.SGD.lr, data.seed, trials.

        An option of a choice may go by its name. A list is the tuple that it stands for in JSON. Raises UserMistake for
        a path that is not there, naming those that are, and for a value that its part does not take.
        """
        sweep = self
        for path, value in values.items():
            part, _, rest = path.partition(".")
            if part not in {f.name for f in fields(self)}:
                raise UserMistake(
                    f"{path!r} is not part of a sweep; the parts are: {', '.join(f.name for f in fields(self))}."
                )
            given, value = sweep.chosen_pruner if part == "pruner" else getattr(sweep, part), tuples(value)
            try:
                sweep = replace(sweep, **{part: fix(given, rest, value, path) if rest else option(given, value)})
            except TypeError as error:
                raise UserMistake(f"{path} cannot be {value!r} ({error}).") from error
        return sweep

    def walk(self) -> Iterator[tuple[str, Domain | Scalar, bool]]:
        """Every argument of every space: its path, its domain or fixed value, and whether it is per replica."""
        for part, space in self._spaces():
            if isinstance(space, Space):
                yield from space.walk(part)
            else:
                yield part, space, False
                yield from walk_options(space, part)

    def describe(self) -> dict[str, Any]:
        """What the sweep is, in plain values: two sweeps with the same description search the same space."""
        open_and_fixed = {path: plain(value) for path, value, _ in self.walk()}
        targets = {part: label(space) if isinstance(space, Space) else str(space) for part, space in self._spaces()}
        parts = {"data": plain(self.data), "validation": plain(self.validation), "metric": plain(self.primary)}
        # what is not the default alone: a sweep begun before there was a choice keeps its fingerprint
        search: dict[str, Any] = {"sampler": self.sampler} if self.sampler != TPE() else {}
        search |= {"early_stopping": self.early_stopping} if self.early_stopping else {}
        search |= {"pruner": self.chosen_pruner} if self.chosen_pruner != self._default_pruner else {}
        search |= {"constraint": self.constraint} if self.constraint else {}
        search |= {"enqueue": [sorted(given.items()) for given in enqueued(self)]} if self.enqueue else {}
        search |= {"other_metrics": self.metrics[1:]} if len(self.metrics) > 1 else {}
        return {**parts, **targets, "arguments": open_and_fixed, **{k: plain(v) for k, v in search.items()}}

    def fingerprint(self) -> str:
        """SHA-256 of the description: the number of trials and the name are not part of it."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    def run(self, **options: Any) -> Result:
        """Search, choose, export, as `searchlab run` does; options are those of `searchlab.runner.run.run`.

        The one place that looks up at the service: imported here, so that a sweep file itself stays light.
        """
        result: Result = importlib.import_module("searchlab.runner.run").run(self, **options)
        return result

    def _spaces(self) -> list[tuple[str, Space | Choice]]:
        return [(part, getattr(self, part)) for part in self.parts]
