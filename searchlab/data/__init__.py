"""Data sets, validation schemes that cut their rows into folds, and the batches that models are given.

A `Dataset` is a small description of data: `Digits`, `Mnist`, `FashionMnist`, `Spiral`, `PennTreebank`, `Addition`,
`Dates`, or a user's own `Arrays`, `Npz`, `Images`, `Text` and `Pairs`. It loads a `LoadedDataset`:
`Examples` for independent rows, `TokenStream` for text, `SequencePairs` for pairs of sequences. A `Validation` scheme
such as `KFold` cuts the training rows into a `Split`. Trainers read a `Batch` at a time.
"""

from searchlab.data.addition import Addition
from searchlab.data.arrays import Arrays
from searchlab.data.augmentation import Augmentation, GaussianNoise, Shift
from searchlab.data.batch import Batch
from searchlab.data.context_windows import ContextWindows
from searchlab.data.cross_validation import Blocked, GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from searchlab.data.dataset import Dataset
from searchlab.data.dates import Dates
from searchlab.data.digits import Digits
from searchlab.data.examples import Examples
from searchlab.data.fashion_mnist import FashionMnist
from searchlab.data.holdout import EveryRow, Holdout
from searchlab.data.image_folder import Images
from searchlab.data.loaded import LoadedDataset
from searchlab.data.mnist import Mnist
from searchlab.data.npz import Npz
from searchlab.data.pairs import Pairs
from searchlab.data.penn_treebank import PennTreebank
from searchlab.data.predefined import Predefined
from searchlab.data.random_affine import RandomAffine
from searchlab.data.scaling import Scaling
from searchlab.data.sequence_pairs import SequenceFormat, SequencePairs
from searchlab.data.spiral import Spiral
from searchlab.data.splits import Rows, Split, Splittable, Validation
from searchlab.data.standardize import Standardized
from searchlab.data.text import Text
from searchlab.data.time_series import TimeSeriesSplit
from searchlab.data.token_stream import TokenStream
from searchlab.data.vocabulary import Vocabulary
from searchlab.data.word_contexts import WordContexts

__all__ = [
    "Addition",
    "Arrays",
    "Augmentation",
    "Batch",
    "Blocked",
    "ContextWindows",
    "Dataset",
    "Dates",
    "Digits",
    "EveryRow",
    "Examples",
    "FashionMnist",
    "GaussianNoise",
    "GroupKFold",
    "Holdout",
    "Images",
    "KFold",
    "LoadedDataset",
    "Mnist",
    "Npz",
    "Pairs",
    "PennTreebank",
    "Predefined",
    "RandomAffine",
    "Rows",
    "Scaling",
    "SequenceFormat",
    "SequencePairs",
    "Shift",
    "Spiral",
    "Split",
    "Splittable",
    "Standardized",
    "StratifiedGroupKFold",
    "StratifiedKFold",
    "Text",
    "TimeSeriesSplit",
    "TokenStream",
    "Validation",
    "Vocabulary",
    "WordContexts",
]
