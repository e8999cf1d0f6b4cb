"""Data sets, the splits that folds are cut by, and the batches that a model is given."""

from searchlab.data.arrays import Arrays
from searchlab.data.augmentation import Augmentation, GaussianNoise, Shift
from searchlab.data.batch import Batch
from searchlab.data.dataset import Dataset
from searchlab.data.digits import Digits
from searchlab.data.examples import Examples
from searchlab.data.fashion_mnist import FashionMnist
from searchlab.data.files import Csv, Npz
from searchlab.data.mnist import Mnist
from searchlab.data.penn_treebank import PennTreebank
from searchlab.data.spiral import Spiral
from searchlab.data.splits import (
    Blocked,
    Divisible,
    EveryRow,
    GroupKFold,
    Holdout,
    KFold,
    Rows,
    Split,
    StratifiedKFold,
    Validation,
)
from searchlab.data.standardised import Standardised
from searchlab.data.table import Table
from searchlab.data.text import Text
from searchlab.data.tokens import Tokens
from searchlab.data.vocabulary import Vocabulary

__all__ = [
    "Arrays",
    "Augmentation",
    "Batch",
    "Blocked",
    "Csv",
    "Dataset",
    "Digits",
    "Divisible",
    "EveryRow",
    "Examples",
    "FashionMnist",
    "GaussianNoise",
    "GroupKFold",
    "Holdout",
    "KFold",
    "Mnist",
    "Npz",
    "PennTreebank",
    "Rows",
    "Shift",
    "Spiral",
    "Split",
    "Standardised",
    "StratifiedKFold",
    "Table",
    "Text",
    "Tokens",
    "Validation",
    "Vocabulary",
]
