"""The names of runs in MLflow's list: a trial's number, its score and its first parameters."""

from __future__ import annotations

from collections.abc import Mapping

from searchlab.runs.events import Scalar

MAX_LETTERS = 60  # of the parameters in a name
RATES = ("lr", "learning_rate")  # these come right after the first parameter of the space


def parameters_text(parameters: Mapping[str, Scalar]) -> str:
    """Return the parameters of a trial as a part of its run's name: "hidden 128 lr 0.031 dropout 0.2".

    Only whole parameters are part of it, as many as fit. A parameter is named by the last part of its path.

    Args:
        parameters: Suggested values by path, in the order of the space.
    """
    first, rest = list(parameters)[:1], list(parameters)[1:]
    rest.sort(key=lambda path: _short(path) not in RATES)  # a stable order otherwise
    text = ""
    for path in first + rest:
        value = parameters[path]
        added = f" {_short(path).replace('_', ' ')} {f'{value:.3g}' if isinstance(value, float) else value}"
        if len(text + added) > MAX_LETTERS:
            break
        text += added
    return text.strip()


def trial_name(trial: int, parameters: str, score: float | None = None) -> str:
    """Return the name of a trial's run, such as "#22 0.9784 hidden 128 lr 0.031", or without the score while it runs.

    Args:
        trial: Number of the trial.
        parameters: What `parameters_text` returns for it.
        score: Its score; None where it has none.
    """
    words = (f"#{trial}", "" if score is None else f"{score:.4f}" if abs(score) < 100 else f"{score:.6g}", parameters)
    return " ".join(word for word in words if word)


def _short(path: str) -> str:
    return path.rpartition(".")[2]
