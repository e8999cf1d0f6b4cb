"""Data sets, the splits that folds are cut by, and the batches that a model is given."""

from searchlab.data.batch import Batch
from searchlab.data.dataset import Dataset
from searchlab.data.digits import Digits
from searchlab.data.examples import Examples, Table
from searchlab.data.mnist import Mnist
from searchlab.data.spiral import Spiral
from searchlab.data.splits import EveryRow, Holdout, KFold, Rows, Split, Validation

__all__ = [
    "Batch",
    "Dataset",
    "Digits",
    "EveryRow",
    "Examples",
    "Holdout",
    "KFold",
    "Mnist",
    "Rows",
    "Spiral",
    "Split",
    "Table",
    "Validation",
]
