"""The grid of the textbook at its size: 4 optimizers x 7 learning rates x 6 batch sizes, 5 folds of MNIST, 20 epochs.

bench/textbook_grid.py runs it on processors, and bench/gpu.py on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.mlp import MLP
from searchlab import (
    SGD,
    Accuracy,
    AdaGrad,
    Adam,
    BruteForce,
    Choice,
    KFold,
    Mnist,
    NoPruning,
    RMSprop,
    Space,
    Sweep,
    Trainer,
)
from searchlab.data import Dataset
from searchlab.space.domains import Scalar

FOLDS, EPOCHS = 5, 20
BATCH_SIZES = (16, 32, 64, 128, 256, 512)
SHALLOW, DEEP = (100,), (1024, 512, 512, 512)  # widths of the hidden layers
ADAPTIVE_RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


def textbook_sweep(
    name: str,
    *,
    hidden: tuple[int, ...] = SHALLOW,
    data: Dataset | None = None,
    epochs: int = EPOCHS,
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> Sweep:
    """Return the sweep over the grid, in a shuffled order: its first trials are spread over all of it."""
    return Sweep(
        name=name,
        data=data or Mnist(),
        validation=KFold(FOLDS),
        metric=Accuracy(),
        model=Space(MLP, hidden=hidden),
        optimizer=Choice(
            Space(SGD, lr=Choice(0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 2.0)),
            Space(AdaGrad, lr=Choice(0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5)),
            Space(RMSprop, lr=Choice(*ADAPTIVE_RATES)),
            Space(Adam, lr=Choice(*ADAPTIVE_RATES)),
        ),
        training=Space(Trainer, batch_size=Choice(*batch_sizes), epochs=epochs),
        sampler=BruteForce(),
        pruner=NoPruning(),
    )


def structure_of(point: Mapping[str, Scalar]) -> str:
    """Return what else than the learning rate a combination consists of, as text: "Adam, batch 32"."""
    return f"{point['optimizer']}, batch {point['training.batch_size']}"


def points_by_structure(points: Sequence[Mapping[str, Scalar]]) -> dict[str, list[Mapping[str, Scalar]]]:
    """Return the combinations that differ only in the learning rate, by their structure."""
    groups: dict[str, list[Mapping[str, Scalar]]] = {}
    for point in points:
        groups.setdefault(structure_of(point), []).append(point)
    return groups
