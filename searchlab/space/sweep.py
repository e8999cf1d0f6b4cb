"""The sweep: what is searched, on which data, by which metric, and for how many trials."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from searchlab.data.dataset import Dataset
from searchlab.data.splits import Validation
from searchlab.metrics import Metric
from searchlab.numeric_types import as_python
from searchlab.optim.no_optimizer import NoOptimizer
from searchlab.pruning.default_pruner import default_pruner
from searchlab.pruning.optuna_pruner import OptunaPruner, is_optuna_pruner
from searchlab.pruning.pruner import Pruner
from searchlab.space.budget import Budget
from searchlab.space.callbacks import TuneCallback
from searchlab.space.configuration import Configuration
from searchlab.space.description import describe_sweep
from searchlab.space.domains import Choice, Domain, ParameterValues, Scalar
from searchlab.space.early_stopping import EarlyStopping
from searchlab.space.grid import GridPoints
from searchlab.space.overrides import override_arguments
from searchlab.space.own_loop import OwnLoop
from searchlab.space.resources import Resources
from searchlab.space.samplers import TPE, OptunaSampler, Sampler, is_optuna_sampler
from searchlab.space.space import Space, Suggest, iter_option_arguments, suggest_argument
from searchlab.space.trial_count import trial_count
from searchlab.space.validation import VALIDATIONS
from searchlab.space.winner_rule import Refit, WinnerRule

if TYPE_CHECKING:
    from searchlab.results.result import Result
    from searchlab.runner.ask_tell import AskTellStudy
    from searchlab.runs.config import RunConfig
    from searchlab.space.constraints import Constraint
    from searchlab.space.run_signature import takes_options_of


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A hyperparameter search: the search space, the data, the metric, the sampler and the limits.

    A sweep is frozen and describes only what is searched; `run` searches it. Open arguments of `model`, `optimizer` and
    `training` are searched together.

    Args:
        name: Name of the sweep, up to 64 letters, digits, ".", "_" and "-"; its results are stored under it.
        data: Data set, such as `Digits()` or `Csv(...)`. The search sees its training rows only.
        validation: Scheme that splits the training rows, such as `KFold(5)` or `Holdout(0.2)`. All folds of a trial
            train side by side.
        metric: Metric of a trial, or a tuple of metrics. The first is the primary one: it chooses the best epoch of a
            trial and the winner. With several metrics the sampler searches for the Pareto front.
        model: Space of the model's constructor, or a Choice of such spaces.
        optimizer: Space of the optimizer's constructor, or a Choice of such spaces; leave it out with `Space(Fit)`.
        training: Space of `Trainer`: batch size, epochs, gradient clipping and so on; or `Space(Fit)`, for models that
            are fitted in one pass. Default: a loop of one's own, which `study` proposes trials to.
        trials: Number of trials; a sweep with `Grid` or `BruteForce` may leave it out and tries every combination.
        sampler: Sampler that draws the points, or a sampler object of Optuna; default `TPE()`.
        early_stopping: Rule that ends a trial whose score has stopped improving; default None, no rule.
        pruner: Pruner that stops trials which are behind others, or a pruner object of Optuna; default None, which
            means `Halving()` with one metric and no pruning with several.
        budget: Limits of the search besides `trials`; default `Budget()`, no limits.
        constraint: `SizeLimit(...)` or a function that receives a `Candidate` and returns by how much it violates the
            constraint, 0 or less where it is feasible. A trial that violates the constraint is reported to the sampler
            as infeasible, is not trained, and does not count towards `trials`. Default None.
        enqueue: Points to try first, each a dict of values by path such as `{"model.hidden": 64}`; the sampler chooses
            what a point leaves out. Default none.
        resources: What each group of trials takes of a machine; default `Resources()`, one CPU core.
        winner: Rule by which the winner is chosen and trained; default `Refit()`: the best trials are run again with
            fresh seeds, and the best of them is trained on all training rows. With `FoldEnsemble()`, the winner is the
            ensemble of the networks of its folds.
        callbacks: Callbacks of Ray Tune, objects of subclasses of `ray.tune.Callback`, such as
            `ray.tune.logger.JsonLoggerCallback()`. They are called in the driver after each group that a worker has
            trained; a search that has any begins on Ray. Default none.

    Raises:
        UserMistake: When an argument is missing, has the wrong type, or does not fit the others.

    Example:
        >>> from models.mlp import MLP
        >>> from searchlab import SGD, Accuracy, Choice, Float, KFold, Space, Spiral, Sweep, Trainer
        >>> sweep = Sweep(
        ...     name="spiral",
        ...     data=Spiral(),
        ...     validation=KFold(5),
        ...     metric=Accuracy(),
        ...     model=Space(MLP, hidden=Choice(8, 16, 32)),
        ...     optimizer=Space(SGD, lr=Float(0.01, 1.0, log=True)),
        ...     training=Space(Trainer, batch_size=30, epochs=10),
        ...     trials=20,
        ... )
        >>> [path for path, value, _ in sweep.iter_arguments() if not isinstance(value, int)]
        ['model.hidden', 'optimizer.lr']
        >>> sweep.with_values({"model.hidden": 16}).model
        Space(MLP, hidden=16)
    """

    parts: ClassVar[tuple[str, ...]] = ("model", "optimizer", "training")

    name: str
    data: Dataset
    validation: Validation
    metric: Metric | tuple[Metric, ...]
    model: Space | Choice
    optimizer: Space | Choice = field(default_factory=lambda: Space(NoOptimizer))
    training: Space = field(default_factory=lambda: Space(OwnLoop))
    trials: int | None = None
    sampler: Sampler = field(default_factory=TPE)
    early_stopping: EarlyStopping | None = None
    pruner: Pruner | None = None
    budget: Budget = field(default_factory=Budget)
    constraint: Constraint | None = None
    enqueue: Sequence[Mapping[str, Any]] = ()
    resources: Resources = field(default_factory=Resources)
    winner: WinnerRule = field(default_factory=Refit)
    callbacks: Sequence[TuneCallback] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if is_optuna_sampler(self.sampler):
            object.__setattr__(self, "sampler", OptunaSampler(self.sampler))
        if is_optuna_pruner(self.pruner):
            object.__setattr__(self, "pruner", OptunaPruner(self.pruner))
        object.__setattr__(self, "trials", as_python(self.trials))
        for validate in VALIDATIONS:
            validate(self)
        self.sampler.validate(self)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics, the primary one first."""
        return self.metric if isinstance(self.metric, tuple) else (self.metric,)

    @property
    def primary_metric(self) -> Metric:
        """The metric that chooses the best epoch of a trial and the winner."""
        return self.metrics[0]

    @property
    def effective_pruner(self) -> Pruner:
        """The pruner of the search; by default Halving with one metric, and no pruning with several."""
        return default_pruner(len(self.metrics)) if self.pruner is None else self.pruner

    def grid_points(self) -> GridPoints | None:
        """Return the points to try, where the sampler knows them in advance; None where it does not.

        Raises:
            UserMistake: When the sampler cannot list the points.
        """
        return self.sampler.grid_points(self)

    def resolve_trials(self, trials: int | None = None) -> int:
        """Return the number of trials to run.

        Args:
            trials: Number of trials that overrides the sweep's own; default None.

        Returns:
            `trials`, otherwise the sweep's own number, otherwise the number of points of its grid.

        Raises:
            UserMistake: When that is more than the grid has, or when there is no number.
        """
        return trial_count(self.trials if trials is None else trials, self.grid_points())

    def counts_towards_trials(self, state: str) -> bool:
        """Return whether a trial that ended in this state counts towards `trials`.

        A trial that violates the constraint does not count, except where the points are those of a grid.

        Args:
            state: Final state of the trial, such as "COMPLETE" or "INFEASIBLE".
        """
        return state != "INFEASIBLE" or self.sampler.exhaustive

    def suggest_configuration(self, suggest: Suggest) -> Configuration:
        """Return a configuration with a suggested value for every open argument.

        Args:
            suggest: Callback that receives the path of each open argument, such as "model.hidden" or
                "optimizer.SGD.lr", and its domain.
        """
        return Configuration(**{part: self.suggest_part(part, suggest) for part in self.parts})

    def suggest_part(self, part: str, suggest: Suggest) -> Any:
        """Return one part of a configuration; the parts do not depend on each other.

        Args:
            part: "model", "optimizer" or "training".
            suggest: Callback that suggests a value for each open argument of the part.
        """
        space = getattr(self, part)
        return space.bind(suggest, part) if isinstance(space, Space) else suggest_argument(suggest, part, space)

    def configuration(self, parameters: ParameterValues) -> Configuration:
        """Return the configuration with these values of the open arguments.

        Args:
            parameters: Value of each open argument by path, as `suggest_configuration` asks for them.

        Raises:
            KeyError: When a value is missing.
        """
        return self.suggest_configuration(lambda path, domain: parameters[path])

    def with_values(self, values: Mapping[str, Any]) -> Sweep:
        """Return a copy of the sweep with some arguments set, as by `--set`.

        Args:
            values: New values by path, such as `{"model.hidden": 64, "data.seed": 1, "trials": 10}`. An option of a
                choice may be given by its label, and a tuple as a list.

        Raises:
            UserMistake: When a path does not exist, or an argument does not accept its value.
        """
        return override_arguments(self, values)

    def iter_arguments(self) -> Iterator[tuple[str, Domain | Scalar, bool]]:
        """Yield every argument of every space: its path, its domain or fixed value, and whether it is per replica."""
        for part in self.parts:
            space = getattr(self, part)
            if isinstance(space, Space):
                yield from space.iter_arguments(part)
            else:
                yield part, space, False
                yield from iter_option_arguments(space, part)

    def describe(self) -> dict[str, Any]:
        """Return what is searched, as JSON values: sweeps with equal descriptions search the same space.

        Name, number of trials, budget, resources, the rule of the winner and callbacks are not part of the description.
        """
        return describe_sweep(self)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the description, 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    if TYPE_CHECKING:

        @takes_options_of(RunConfig)
        def run(self, **options: Any) -> Result: ...

    else:

        def run(self, **options: Any) -> Result:
            """Search, select the winner and export it, as `searchlab run` does.

            Args:
                **options: The options of `searchlab.runs.config.RunConfig`, such as `trials=20, workers=2, seed=1`.

            Returns:
                The result: every trial, the winner, and where everything is stored.

            Raises:
                UserMistake: When the options or the sweep make no sense; nothing is written then.
                WorldFault: When the search had to stop early; `searchlab.resume` continues it. Also when no cluster
                    answers at `address`; nothing is written then.
                SearchFailed: When no trial could be trained; the message gives the reasons, and `searchlab.open` the
                    result.
            """
            # imported here, so that a sweep file itself loads no engine: the one import that points up
            return importlib.import_module("searchlab.runner.run").run_with_options(self, options)

    def study(
        self,
        *,
        name: str | None = None,
        trials: int | None = None,
        values: Mapping[str, Any] | None = None,
        seed: int = 0,
        home: str | os.PathLike[str] = ".searchlab",
        storage: str | None = None,
    ) -> AskTellStudy:
        """Open a study for a training loop of one's own: it proposes trials, and is told their scores by fold.

        The sampler, the pruner, the early stopping and the budget are those of the sweep. Nothing is trained: there is
        no winner, no artifact and no record in MLflow. A study that was closed or killed is continued by the same call.

        Args:
            name: Name of the study; default: that of the sweep.
            trials: Number of trials; more than before extends a study. Default: the sweep's own, or as before.
            values: Arguments to fix by path, such as `{"model.hidden": 64}`; default none.
            seed: Random seed of the sampler; default 0.
            home: Folder that holds the study; default ".searchlab".
            storage: URL of a PostgreSQL database for the study; default: a journal file in the home folder.

        Raises:
            UserMistake: When the name is that of another sweep, the data have changed, or another process has the study
                open; nothing is written then.
        """
        ask_tell = importlib.import_module("searchlab.runner.ask_tell")
        opened: AskTellStudy = ask_tell.AskTellStudy.open(
            self, name=name, trials=trials, values=values or {}, seed=seed, home=home, storage=storage
        )
        return opened
