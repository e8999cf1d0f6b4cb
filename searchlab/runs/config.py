"""The options of a run, declared once for `Sweep.run`, the commands `run`, `submit` and `plan`, and the workers."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from searchlab.errors import UserMistake
from searchlab.numeric_types import as_python, is_number, is_whole_number

if TYPE_CHECKING:  # `searchlab list` reads configurations, and NumPy takes half a second to import
    from searchlab.fusion.groups import FuseOption
    from searchlab.space.resources import DeviceOption

EngineName: TypeAlias = Literal["auto", "tune", "local"]
DEVICE_OPTIONS = ("cpu", "cuda", "either")
TEXTS = ("address", "tracking_uri", "storage", "checkpoints", "warm_start")
MAX_NAME = 64  # letters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}")


def _flag(kind: type, **details: Any) -> dict[str, Any]:
    """Return what the command line needs of an option: its kind, and its metavar, choices or environment variable."""
    return {"kind": kind, **details}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The options of a run; `Sweep.run` takes them as keywords, and the command line as flags of the same names.

    Args:
        name: Name of the sweep; default: the name in the sweep file, with a number where it is taken.
        trials: Number of trials; default: the number in the sweep file. Of a grid, the first points are tried.
        values: Arguments to fix by path, such as {"model.hidden": 64}; default: none.
        seed: Random seed for the sampler, the folds and the initial weights, at least 0; default: 0.
        workers: Number of workers that train at the same time; default: one per core, on a cluster its fair share.
        device: Where groups train: "cpu", "cuda", or "either", which prefers GPUs; default: "cpu".
        fuse: Number of trials that train fused in a group, or "auto", which measures what is fastest; default: "auto".
        engine: "tune" trains on Ray Tune, "local" in this process, "auto" first here, then on Ray; default: "auto".
        address: Address of a Ray cluster, such as "auto" or "ray://HEAD:10001"; default: a Ray of this machine.
        home: Folder of studies, checkpoints, artifacts and the MLflow store; default: ".searchlab".
        tracking: "mlflow" keeps a record in MLflow, None keeps none; default: "mlflow".
        tracking_uri: URL of an MLflow server; default: a store in the home folder.
        storage: URL of a PostgreSQL database for the study; default: a journal file in the home folder.
        checkpoints: Folder that every node of a cluster sees, or s3://BUCKET/PREFIX; default: in the home folder.
        ship_data: Send the training rows to the nodes of a cluster; default: each node reads them.
        memory: Memory that each worker may take, in GB; default: its share of what is free.
        reproducible: Give the same trials and scores with any number of workers, which is slower; default: no.
        warm_start: Name of an earlier sweep whose trials the sampler learns from; default: none.
        look_again: Test the winner even on test rows that were opened before, by any sweep of the home; default: no.
        ray_dashboard: Start the dashboard of the Ray of this machine, and print its URL; default: no.
        register: Name in MLflow's model registry to register the winner by, "" for that of the sweep; default: none.
        progress: Show the run from Python: a board in a terminal, one line in a notebook; default: yes.

    Raises:
        UserMistake: When a value has the wrong type or is out of range.

    Example:
        >>> from searchlab.runs.config import RunConfig
        >>> RunConfig(workers=2, fuse=4).engine
        'auto'
        >>> RunConfig(device="gpu")
        Traceback (most recent call last):
        searchlab.errors.UserMistake: device is 'cpu', 'cuda' or 'either', got 'gpu'.
    """

    name: str | None = field(default=None, metadata=_flag(str, metavar="NAME"))
    trials: int | None = field(default=None, metadata=_flag(int))
    values: Mapping[str, Any] = field(default_factory=dict)
    seed: int = field(default=0, metadata=_flag(int))
    workers: int | None = field(default=None, metadata=_flag(int))
    device: DeviceOption = field(default="cpu", metadata=_flag(str, choices=DEVICE_OPTIONS))
    fuse: FuseOption = field(default="auto", metadata=_flag(str, metavar="auto|N"))
    engine: EngineName = field(default="auto", metadata=_flag(str, choices=get_args(EngineName)))
    address: str | None = field(default=None, metadata=_flag(str, metavar="ADDRESS", env="RAY_ADDRESS"))
    home: str | os.PathLike[str] = field(
        default=".searchlab", metadata=_flag(str, metavar="FOLDER", env="SEARCHLAB_HOME")
    )
    tracking: Literal["mlflow"] | None = field(default="mlflow")
    tracking_uri: str | None = field(default=None, metadata=_flag(str, metavar="URL", env="MLFLOW_TRACKING_URI"))
    storage: str | None = field(default=None, metadata=_flag(str, metavar="URL", env="SEARCHLAB_STORAGE"))
    checkpoints: str | None = field(default=None, metadata=_flag(str, metavar="PLACE", env="SEARCHLAB_CHECKPOINTS"))
    ship_data: bool = field(default=False, metadata=_flag(bool))
    memory: float | None = field(default=None, metadata=_flag(float, metavar="GB"))
    reproducible: bool = field(default=False, metadata=_flag(bool))
    warm_start: str | None = field(default=None, metadata=_flag(str, metavar="NAME"))
    look_again: bool = field(default=False, metadata=_flag(bool))
    ray_dashboard: bool = field(default=False, metadata=_flag(bool))
    register: str | None = field(default=None, metadata=_flag(str, metavar="[NAME]", value_if_omitted=""))
    progress: bool = True  # of Python alone: the command line has a display of its own

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, as_python(getattr(self, each.name)))
        validate_name(self.name)
        for option in ("trials", "workers"):
            _validate_count(option, getattr(self, option))
        _validate_choice("device", self.device, DEVICE_OPTIONS)
        _validate_choice("engine", self.engine, get_args(EngineName))
        _validate_choice("tracking", self.tracking, ("mlflow", None))
        if not is_whole_number(self.seed) or self.seed < 0:
            raise UserMistake(f"seed is a whole number of at least 0, got {self.seed!r}.")
        if self.fuse != "auto" and (not is_whole_number(self.fuse) or self.fuse < 1):
            raise UserMistake(f"fuse is 'auto' or a number of trials of at least 1, got {self.fuse!r}.")
        if self.memory is not None and not (is_number(self.memory) and 0.0 < self.memory < float("inf")):
            raise UserMistake(f"memory is a number of GB above 0, got {self.memory!r}.")
        validate_home(self.home)
        for each in fields(self):
            _validate_kind(each.name, each.metadata.get("kind", bool), getattr(self, each.name))
        validate_name(self.register or None, "a registered model's name")
        if self.register is not None and self.tracking is None:
            raise UserMistake("register needs a record in MLflow, and this run keeps none.")
        if self.ray_dashboard and self.engine == "local":
            raise UserMistake("ray_dashboard starts Ray, and engine='local' uses none; use engine='auto' or 'tune'.")
        if not isinstance(self.values, Mapping):
            raise UserMistake(f"values is a dict of values by path, got {self.values!r}.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> RunConfig:
        """Return the configuration with these options; raise UserMistake for an option that does not exist."""
        known = [option.name for option in fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"the options are: {', '.join(known)}."
                raise UserMistake(f"there is no option {name!r}; {hint}")
        return cls(**options)

    @property
    def processes(self) -> int | None:
        """How many processes train at the same time at most; None for as many as a cluster has."""
        return 1 if self.engine == "local" else self.workers

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, by name."""
        default = RunConfig()
        return {o.name: value for o in fields(self) if (value := getattr(self, o.name)) != getattr(default, o.name)}


def validate_name(name: str | None, what: str = "a sweep's name") -> None:
    """Raise UserMistake for a name that no sweep, and no registered model, can have; None is fine."""
    if name is not None and not (isinstance(name, str) and NAME.fullmatch(name)):
        raise UserMistake(f"{what} is up to {MAX_NAME} letters, digits, '.', '_' and '-', got {name!r}.")


def validate_home(home: object) -> None:
    """Raise UserMistake for a home folder that is no path."""
    if not isinstance(home, (str, os.PathLike)):
        raise UserMistake(f"home is the path of a folder, got {home!r}.")


def numbered(name: str, number: int) -> str:
    """Return a sweep's name with a number, shortened where it would be too long."""
    suffix = f"-{number}"
    return f"{name[: MAX_NAME - len(suffix)]}{suffix}"


def _validate_count(option: str, count: int | None) -> None:
    if count is not None and (not is_whole_number(count) or count < 1):
        raise UserMistake(f"{option} is a whole number of at least 1, got {count!r}.")


def _validate_kind(option: str, kind: type, given: object) -> None:
    """Raise UserMistake where an option that is a text or a flag has a value of another kind."""
    if option in TEXTS and not isinstance(given, str | None):
        raise UserMistake(f"{option} is a text, got {given!r}.")
    if kind is bool and option not in ("values", "tracking") and not isinstance(given, bool):
        raise UserMistake(f"{option} is True or False, got {given!r}.")


def _validate_choice(option: str, given: object, choices: Sequence[object]) -> None:
    if given not in choices:
        *others, last = map(repr, choices)
        raise UserMistake(f"{option} is {', '.join(others)} or {last}, got {given!r}.")
