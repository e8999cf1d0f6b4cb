"""Search four optimizers x seven learning rates x six batch sizes: 168 combinations, which a textbook says take days.

Each is cross-validated on five folds of the digits, which makes 840 networks. Combinations that differ only in the
learning rate train fused: 24 groups of 35 networks. No trial is pruned, because the claim is about all of them. Half
a minute on two CPU cores. Needs no download.

Run it with `searchlab run search_spaces/grid_168.py`.
"""

from models.mlp import MLP
from searchlab import (
    SGD,
    Accuracy,
    AdaGrad,
    Adam,
    Choice,
    Digits,
    Grid,
    KFold,
    NoPruning,
    RMSprop,
    Space,
    Sweep,
    Trainer,
)

sweep = Sweep(
    name="grid-168",
    data=Digits(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=64),
    optimizer=Choice(
        Space(SGD, lr=Choice(0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 2.0)),
        Space(AdaGrad, lr=Choice(0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5)),
        Space(RMSprop, lr=Choice(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)),
        Space(Adam, lr=Choice(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)),
    ),
    training=Space(Trainer, batch_size=Choice(16, 32, 64, 128, 256, 512), epochs=20),
    sampler=Grid(),
    pruner=NoPruning(),
)
