"""Distributed hyperparameter search that trains folds and trials fused on one replica axis.

The names of a sweep file, each imported when it is first used: `import searchlab` itself loads nothing else.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from searchlab import artifact as artifact
    from searchlab.data import Addition as Addition
    from searchlab.data import Arrays as Arrays
    from searchlab.data import Blocked as Blocked
    from searchlab.data import ContextWindows as ContextWindows
    from searchlab.data import Dates as Dates
    from searchlab.data import Digits as Digits
    from searchlab.data import FashionMnist as FashionMnist
    from searchlab.data import GaussianNoise as GaussianNoise
    from searchlab.data import GroupKFold as GroupKFold
    from searchlab.data import Holdout as Holdout
    from searchlab.data import Images as Images
    from searchlab.data import KFold as KFold
    from searchlab.data import Mnist as Mnist
    from searchlab.data import Npz as Npz
    from searchlab.data import Pairs as Pairs
    from searchlab.data import PennTreebank as PennTreebank
    from searchlab.data import Predefined as Predefined
    from searchlab.data import RandomAffine as RandomAffine
    from searchlab.data import Shift as Shift
    from searchlab.data import Spiral as Spiral
    from searchlab.data import StratifiedGroupKFold as StratifiedGroupKFold
    from searchlab.data import StratifiedKFold as StratifiedKFold
    from searchlab.data import Text as Text
    from searchlab.data import TimeSeriesSplit as TimeSeriesSplit
    from searchlab.errors import SearchFailed as SearchFailed
    from searchlab.errors import UserMistake as UserMistake
    from searchlab.errors import WorldFault as WorldFault
    from searchlab.fit import Fit as Fit
    from searchlab.metrics import F1 as F1
    from searchlab.metrics import R2 as R2
    from searchlab.metrics import Accuracy as Accuracy
    from searchlab.metrics import AveragePrecision as AveragePrecision
    from searchlab.metrics import BalancedAccuracy as BalancedAccuracy
    from searchlab.metrics import BitsPerCharacter as BitsPerCharacter
    from searchlab.metrics import ExactMatch as ExactMatch
    from searchlab.metrics import LogLoss as LogLoss
    from searchlab.metrics import LossPerTarget as LossPerTarget
    from searchlab.metrics import MeanAbsoluteError as MeanAbsoluteError
    from searchlab.metrics import ParameterCount as ParameterCount
    from searchlab.metrics import Perplexity as Perplexity
    from searchlab.metrics import RocAuc as RocAuc
    from searchlab.metrics import RootMeanSquaredError as RootMeanSquaredError
    from searchlab.metrics import TokenAccuracy as TokenAccuracy
    from searchlab.nn import AbsoluteError as AbsoluteError
    from searchlab.nn import BatchNorm as BatchNorm
    from searchlab.nn import Gelu as Gelu
    from searchlab.nn import Huber as Huber
    from searchlab.nn import LayerNorm as LayerNorm
    from searchlab.nn import LeakyRelu as LeakyRelu
    from searchlab.nn import MeanSquaredError as MeanSquaredError
    from searchlab.nn import Relu as Relu
    from searchlab.nn import Sigmoid as Sigmoid
    from searchlab.nn import SigmoidCrossEntropy as SigmoidCrossEntropy
    from searchlab.nn import SoftmaxCrossEntropy as SoftmaxCrossEntropy
    from searchlab.nn import Tanh as Tanh
    from searchlab.nn import glorot_normal as glorot_normal
    from searchlab.nn import glorot_uniform as glorot_uniform
    from searchlab.nn import he_normal as he_normal
    from searchlab.nn import he_uniform as he_uniform
    from searchlab.nn import lecun_normal as lecun_normal
    from searchlab.nn import lecun_uniform as lecun_uniform
    from searchlab.nn import random_normal as random_normal
    from searchlab.nn import random_uniform as random_uniform
    from searchlab.optim import SGD as SGD
    from searchlab.optim import AdaGrad as AdaGrad
    from searchlab.optim import Adam as Adam
    from searchlab.optim import AdamW as AdamW
    from searchlab.optim import Momentum as Momentum
    from searchlab.optim import Nesterov as Nesterov
    from searchlab.optim import RMSprop as RMSprop
    from searchlab.optim.schedules import Constant as Constant
    from searchlab.optim.schedules import CosineDecay as CosineDecay
    from searchlab.optim.schedules import ExponentialDecay as ExponentialDecay
    from searchlab.optim.schedules import Plateau as Plateau
    from searchlab.optim.schedules import StepDecay as StepDecay
    from searchlab.project import use_project as use_project
    from searchlab.pruning import Halving as Halving
    from searchlab.pruning import Median as Median
    from searchlab.pruning import NoPruning as NoPruning
    from searchlab.pruning import OptunaPruner as OptunaPruner
    from searchlab.pruning import Race as Race
    from searchlab.results.result import Result as Result
    from searchlab.results.stored_result import open as open
    from searchlab.runner.resume import resume as resume
    from searchlab.space import TPE as TPE
    from searchlab.space import BruteForce as BruteForce
    from searchlab.space import Budget as Budget
    from searchlab.space import Candidate as Candidate
    from searchlab.space import Choice as Choice
    from searchlab.space import CmaEs as CmaEs
    from searchlab.space import EarlyStopping as EarlyStopping
    from searchlab.space import Float as Float
    from searchlab.space import FoldEnsemble as FoldEnsemble
    from searchlab.space import Grid as Grid
    from searchlab.space import Int as Int
    from searchlab.space import OptunaSampler as OptunaSampler
    from searchlab.space import QuasiRandom as QuasiRandom
    from searchlab.space import Random as Random
    from searchlab.space import Refit as Refit
    from searchlab.space import Resources as Resources
    from searchlab.space import SizeLimit as SizeLimit
    from searchlab.space import Space as Space
    from searchlab.space import Sweep as Sweep
    from searchlab.tables import Csv as Csv
    from searchlab.tables import Frame as Frame
    from searchlab.training import Trainer as Trainer
    from searchlab.word_classes import WordClassShare as WordClassShare

__version__ = "0.1.0"

_NAMES_BY_MODULE = {
    "data": (
        "Addition",
        "Arrays",
        "Blocked",
        "ContextWindows",
        "Dates",
        "Digits",
        "FashionMnist",
        "GaussianNoise",
        "GroupKFold",
        "Holdout",
        "Images",
        "KFold",
        "Mnist",
        "Npz",
        "Pairs",
        "PennTreebank",
        "Predefined",
        "RandomAffine",
        "Shift",
        "Spiral",
        "StratifiedGroupKFold",
        "StratifiedKFold",
        "Text",
        "TimeSeriesSplit",
    ),
    "fit": ("Fit",),
    "metrics": (
        "F1",
        "R2",
        "Accuracy",
        "AveragePrecision",
        "BalancedAccuracy",
        "BitsPerCharacter",
        "ExactMatch",
        "LogLoss",
        "LossPerTarget",
        "MeanAbsoluteError",
        "ParameterCount",
        "Perplexity",
        "RocAuc",
        "RootMeanSquaredError",
        "TokenAccuracy",
    ),
    "nn": (
        "AbsoluteError",
        "BatchNorm",
        "Gelu",
        "Huber",
        "LayerNorm",
        "LeakyRelu",
        "MeanSquaredError",
        "Relu",
        "Sigmoid",
        "SigmoidCrossEntropy",
        "SoftmaxCrossEntropy",
        "Tanh",
        "glorot_normal",
        "glorot_uniform",
        "he_normal",
        "he_uniform",
        "lecun_normal",
        "lecun_uniform",
        "random_normal",
        "random_uniform",
    ),
    "optim": ("SGD", "AdaGrad", "Adam", "AdamW", "Momentum", "Nesterov", "RMSprop"),
    "optim.schedules": ("Constant", "CosineDecay", "ExponentialDecay", "Plateau", "StepDecay"),
    "pruning": ("Halving", "Median", "NoPruning", "OptunaPruner", "Race"),
    "space": (
        "BruteForce",
        "Budget",
        "Candidate",
        "Choice",
        "CmaEs",
        "EarlyStopping",
        "Float",
        "Grid",
        "Int",
        "OptunaSampler",
        "QuasiRandom",
        "Random",
        "FoldEnsemble",
        "Refit",
        "Resources",
        "SizeLimit",
        "Space",
        "Sweep",
        "TPE",
    ),
    "errors": ("SearchFailed", "UserMistake", "WorldFault"),
    "project": ("use_project",),
    "results.result": ("Result",),
    "results.stored_result": ("open",),
    "runner.resume": ("resume",),
    "tables": ("Csv", "Frame"),
    "training": ("Trainer",),
    "word_classes": ("WordClassShare",),
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}
__all__ = sorted({*_MODULE_OF, "artifact"} - {"open"})  # `from searchlab import *` must not hide the builtin


def __getattr__(name: str) -> Any:
    if name == "artifact":
        return importlib.import_module("searchlab.artifact")
    if name not in _MODULE_OF:
        near = difflib.get_close_matches(name, __all__, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has: {', '.join(__all__)}"
        raise AttributeError(f"searchlab has no {name!r}; {hint}")
    return getattr(importlib.import_module(f"searchlab.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "open"})
