"""Data sets, the splits that folds are cut by, and the batches that a model is given."""

from searchlab.data.arrays import Arrays
from searchlab.data.augmentation import Augmentation, GaussianNoise, Shift
from searchlab.data.batch import Batch
from searchlab.data.dataset import Dataset
from searchlab.data.digits import Digits
from searchlab.data.examples import Examples
from searchlab.data.fashion_mnist import FashionMnist
from searchlab.data.loaded import LoadedDataset
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
from searchlab.data.standardize import Standardized
from searchlab.data.tabular import Csv, Npz
from searchlab.data.text import Text
from searchlab.data.token_stream import TokenStream
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
    "LoadedDataset",
    "Mnist",
    "Npz",
    "PennTreebank",
    "Rows",
    "Shift",
    "Spiral",
    "Split",
    "Standardized",
    "StratifiedKFold",
    "Text",
    "TokenStream",
    "Validation",
    "Vocabulary",
]
