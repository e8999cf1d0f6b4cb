"""The lines of Optuna's journal: the one place that knows the format, which Optuna does not document.

A journal holds one operation a line: a JSON object without spaces that begins with its op code. Trials have no id in
the lines that create them: the n-th such line, from 0, is that of trial n, and later lines give that `trial_id`.
This module reads trials without Optuna, which takes a second to import, and decodes only the lines that matter.
tests/test_private_names.py compares it with what Optuna writes.

Example:
    >>> read_trial_line(b'{"op_code":6,"worker_id":"w","trial_id":3,"state":1,"values":[0.5]}')
    TrialEnd(trial_id=3, state='COMPLETE', value=0.5, ended_at=None)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias

from searchlab.study.storage.attributes import END, INFEASIBLE

if TYPE_CHECKING:
    from searchlab.runs.trials import State


class Operation(IntEnum):
    """The op codes of the lines that matter here; `optuna.storages.journal._storage.JournalOperation` has them all."""

    CREATE_STUDY = 0
    DELETE_STUDY = 1
    CREATE_TRIAL = 4
    SET_TRIAL_PARAM = 5
    SET_TRIAL_STATE_VALUES = 6
    SET_TRIAL_INTERMEDIATE_VALUE = 7
    SET_TRIAL_USER_ATTR = 8
    SET_TRIAL_SYSTEM_ATTR = 9


FINISHED_STATES: Mapping[int, State] = {1: "COMPLETE", 2: "PRUNED", 3: "FAIL"}  # by optuna.trial.TrialState
CREATE_PREFIX = b'{"op_code":%d,' % Operation.CREATE_TRIAL
PARAMETER_PREFIX = b'{"op_code":%d,' % Operation.SET_TRIAL_PARAM
END_PREFIX = b'{"op_code":%d,' % Operation.SET_TRIAL_STATE_VALUES
DETAIL = re.compile(
    rb'\{"op_code":(?:%d|%d),"worker_id":"[^"]*","trial_id":(\d+),(?:"param_name"|"user_attr":\{"%s":)'
    % (Operation.SET_TRIAL_PARAM, Operation.SET_TRIAL_USER_ATTR, END.encode())
)
INFEASIBILITY = re.compile(
    rb'\{"op_code":%d,"worker_id":"[^"]*","trial_id":(\d+),"user_attr":\{"%s":'
    % (Operation.SET_TRIAL_USER_ATTR, INFEASIBLE.encode())
)


class TrialStart(NamedTuple):
    """The line that creates a trial; its id is the number of such lines before it."""

    line: bytes
    is_prior: bool  # created in its final state: a trial of an earlier sweep, copied in front of those of this one

    @property
    def started_at(self) -> float:
        """When the trial started, in seconds since 1970; raises ValueError when the line is damaged."""
        return _seconds(decode(self.line)["datetime_start"])


class TrialDetail(NamedTuple):
    """A line with a parameter of a trial or with its END attribute, for `read_details` to decode once it is needed."""

    trial_id: int
    line: bytes


class TrialInfeasible(NamedTuple):
    """The line that says that a trial violates the constraint; it stands before the trial's end."""

    trial_id: int


class TrialEnd(NamedTuple):
    """The line that ends a trial, with the value of the first metric where it has one."""

    trial_id: int
    state: State  # PRUNED for an infeasible trial
    value: float | None
    ended_at: float | None  # seconds since 1970


TrialLine: TypeAlias = TrialStart | TrialDetail | TrialInfeasible | TrialEnd


class TrialDetails(NamedTuple):
    """The parameters of a trial by path, and its END attribute, {} where it has none."""

    parameters: dict[str, Any]
    end: dict[str, Any]


def encode(operation: Mapping[str, Any]) -> str:
    """Return an operation as its line, without the line end."""
    return json.dumps(operation, separators=(",", ":"))


def decode(line: str | bytes) -> dict[str, Any]:
    """Return the operation of a line; raise ValueError when the line is damaged."""
    operation: dict[str, Any] = json.loads(line.decode() if isinstance(line, bytes) else line)
    return operation


def complete_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of an open journal; a last line without a line end, which is still being written, is left out."""
    for line in file:
        if not line.endswith(b"\n"):
            return
        yield line


def read_trial_line(line: bytes) -> TrialLine | None:
    """Return what a line says about a trial, None when it says nothing that is read here.

    Raises ValueError when the line ends a trial and is damaged.
    """
    if line.startswith(CREATE_PREFIX):
        return TrialStart(line, is_prior=b'"state":' in line)
    if line.startswith(END_PREFIX):
        return _read_end(decode(line))
    if found := DETAIL.match(line):
        return TrialDetail(int(found[1]), line)
    if found := INFEASIBILITY.match(line):
        return TrialInfeasible(int(found[1]))
    return None


def read_details(lines: Iterable[bytes]) -> TrialDetails:
    """Return what the TrialDetail lines of one trial hold; raise ValueError when one of them is damaged."""
    parameters: dict[str, Any] = {}
    end: dict[str, Any] = {}
    for operation in map(decode, lines):
        if "param_name" in operation:
            parameters[operation["param_name"]] = _parameter_value(operation)
        else:
            end = operation["user_attr"][END]
    return TrialDetails(parameters, end)


def _read_end(operation: Mapping[str, Any]) -> TrialEnd | None:
    """Return the end of a trial; None when the line gives it a state that is not final."""
    state = FINISHED_STATES.get(operation["state"])
    if state is None:
        return None
    value = (operation["values"] or [None])[0]
    ended = operation.get("datetime_complete")
    return TrialEnd(operation["trial_id"], state, value, _seconds(ended) if ended else None)


def _parameter_value(operation: Mapping[str, Any]) -> Any:
    """Return a parameter's value: Optuna stores a choice as the index of its option, and an integer as a float."""
    distribution, internal = json.loads(operation["distribution"]), operation["param_value_internal"]
    if distribution["name"] == "CategoricalDistribution":
        return distribution["attributes"]["choices"][int(internal)]
    return int(internal) if distribution["name"] == "IntDistribution" else internal


def _seconds(moment: str) -> float:
    """Return an ISO 8601 moment in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
