"""The trials of a result as pandas frames; pandas, which MLflow needs, is imported only when a frame is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.space.domains import Scalar

if TYPE_CHECKING:
    import pandas as pd

    from searchlab.study.importance import ParameterImportance

CURVE_COLUMNS = ("trial", "epoch", "fold", "score", "loss", "held_out_loss", "training_score")


def trial_frame(trials: Sequence[TrialRecord], ranks: Mapping[int, int], others: Sequence[str]) -> pd.DataFrame:
    """Return one row per trial: those with a rank first, best first, then the others by their numbers.

    Args:
        trials: The trials.
        ranks: Rank of each trial that has one, from 1, by its number.
        others: Names of the metrics after the primary one.
    """
    pandas = import_pandas()
    rows = sorted(trials, key=lambda trial: (ranks.get(trial.number, len(trials) + 1), trial.number))
    columns: dict[str, Any] = {
        "rank": pandas.array([ranks.get(trial.number) for trial in rows], dtype="Int64"),
        "trial": np.array([trial.number for trial in rows], dtype=np.int64),
        "state": pandas.array([trial.state for trial in rows], dtype="string"),
    }
    for path in dict.fromkeys(path for trial in trials for path in trial.parameters):
        columns[path] = _parameter_column(pandas, [trial.parameters.get(path, pandas.NA) for trial in rows])
    columns |= {
        "mean": _floats([trial.value for trial in rows]),
        "std": _floats([trial.std for trial in rows]),
        "folds": pandas.Series([list(trial.folds) for trial in rows], dtype=object),
    }
    for position, name in enumerate(others, start=1):
        columns[name] = _floats([trial.values[position] if trial.values else None for trial in rows])
    columns |= {
        "epoch": pandas.array([trial.epoch for trial in rows], dtype="Int64"),
        "seconds": _floats([trial.curve.seconds for trial in rows]),
        "reason": pandas.array([trial.reason for trial in rows], dtype="string"),
    }
    return pandas.DataFrame(columns)


def curve_frame(trials: Sequence[TrialRecord], others: Sequence[str]) -> pd.DataFrame:
    """Return one row per trial, epoch and fold: the scores and losses of its learning curve, and the other metrics.

    What was not measured in an epoch is NaN.

    Args:
        trials: The trials; one that has not finished an epoch has no rows.
        others: Names of the metrics after the primary one.
    """
    pandas = import_pandas()
    names = (*CURVE_COLUMNS, *others)
    parts = [_curve_columns(trial.number, trial.curve, others) for trial in trials if trial.curve.scores]
    empty = {name: np.zeros(0, np.int64 if name in ("trial", "epoch", "fold") else np.float64) for name in names}
    return pandas.DataFrame(
        {name: np.concatenate([part[name] for part in parts]) for name in names} if parts else empty
    )


def import_pandas() -> ModuleType:
    """Return pandas; raise UserMistake where it is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise UserMistake("a frame needs pandas, which is not installed; `pip install pandas` installs it.") from error
    return pandas  # type: ignore[no-any-return]


def _curve_columns(number: int, curve: LearningCurve, others: Sequence[str]) -> dict[str, Array]:
    """Return the columns of one trial, each (E * F,), the folds of an epoch side by side."""
    scores = np.array(curve.scores, dtype=np.float64)  # (E, F)
    epochs, folds = scores.shape
    columns: dict[str, Array] = {
        "trial": np.full(epochs * folds, number, dtype=np.int64),
        "epoch": np.repeat(np.arange(1, epochs + 1), folds),
        "fold": np.tile(np.arange(folds), epochs),
        "score": scores.reshape(-1),
        "loss": np.array(curve.losses, dtype=np.float64).reshape(-1),
        "held_out_loss": _measured(curve.held_out_losses, epochs, folds),
        "training_score": _measured(curve.training_scores, epochs, folds),
    }
    for position, name in enumerate(others):
        columns[name] = np.array([epoch[position] for epoch in curve.others], dtype=np.float64).reshape(-1)
    return columns


def _measured(rows: Sequence[Sequence[float]], epochs: int, folds: int) -> Array:
    """Return the values (E * F,) of what is measured in some epochs only; NaN in the others."""
    values = np.full((epochs, folds), np.nan)
    for epoch, row in enumerate(rows[:epochs]):
        values[epoch] = row or np.nan
    return values.reshape(-1)


def importance_series(importance: ParameterImportance) -> pd.Series:
    """Return the importance of each parameter by its path, the most important first.

    The attributes of the series name the evaluator, the epoch at which trials are compared, how many there are and how
    many count as the best, and the reason where there is no importance.
    """
    shares = importance.shares
    series = import_pandas().Series(
        np.array([*shares.values()], dtype=np.float64), index=[*shares], name="importance", dtype=np.float64
    )
    series.attrs = {key: value for key, value in vars(importance).items() if key != "shares"}
    return series


def _parameter_column(pandas: ModuleType, values: Sequence[Scalar]) -> Any:
    """Return the column of a parameter with its type: missing is NA, also among integers, texts and booleans."""
    kinds = {type(value) for value in values if value is not pandas.NA}
    if kinds == {bool}:
        return pandas.array(values, dtype="boolean")
    if kinds == {int}:
        return pandas.array(values, dtype="Int64")
    if kinds == {str}:
        return pandas.array(values, dtype="string")
    if kinds and kinds <= {int, float}:
        return pandas.array(values, dtype="Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    return pandas.Series(values, dtype=object)


def _floats(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
