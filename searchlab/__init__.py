"""Distributed hyperparameter search that trains folds and trials fused on one replica axis.

The words of a sweep file, each imported when it is first used: `import searchlab` itself costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from searchlab.data import Digits as Digits
    from searchlab.data import Holdout as Holdout
    from searchlab.data import KFold as KFold
    from searchlab.data import Mnist as Mnist
    from searchlab.data import Spiral as Spiral
    from searchlab.metrics import Accuracy as Accuracy
    from searchlab.nn import Relu as Relu
    from searchlab.nn import Sigmoid as Sigmoid
    from searchlab.nn import Tanh as Tanh
    from searchlab.optim import SGD as SGD
    from searchlab.optim import Adam as Adam
    from searchlab.optim import Momentum as Momentum
    from searchlab.sweep import Choice as Choice
    from searchlab.sweep import Float as Float
    from searchlab.sweep import Int as Int
    from searchlab.sweep import Space as Space
    from searchlab.sweep import Sweep as Sweep
    from searchlab.training import Trainer as Trainer

__version__ = "0.1.0"

_HOMES = {
    "data": ("Digits", "Holdout", "KFold", "Mnist", "Spiral"),
    "metrics": ("Accuracy",),
    "nn": ("Relu", "Sigmoid", "Tanh"),
    "optim": ("SGD", "Adam", "Momentum"),
    "sweep": ("Choice", "Float", "Int", "Space", "Sweep"),
    "training": ("Trainer",),
}
_HOME_OF = {word: home for home, words in _HOMES.items() for word in words}
__all__ = ["Accuracy", "Adam", "Choice", "Digits", "Float", "Holdout", "Int", "KFold", "Mnist", "Momentum"]
__all__ += ["SGD", "Relu", "Sigmoid", "Space", "Spiral", "Sweep", "Tanh", "Trainer"]


def __getattr__(word: str) -> Any:
    if word not in _HOME_OF:
        raise AttributeError(f"searchlab has no {word!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"searchlab.{_HOME_OF[word]}"), word)
