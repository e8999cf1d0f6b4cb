"""Compare four optimizers at their default learning rates on MNIST: which has the highest box, and which the narrowest?

4 trials with 5 folds and no pruning, so that each optimizer has its box plot: about five minutes on two CPU cores.
Downloads 11 MB on first use.

Run it with `searchlab run search_spaces/optimizers_kfold.py`.
"""

from models.mlp import MLP
from searchlab import (
    SGD,
    Accuracy,
    AdaGrad,
    Adam,
    Choice,
    Grid,
    KFold,
    Mnist,
    NoPruning,
    RMSprop,
    Space,
    Sweep,
    Trainer,
)

sweep = Sweep(
    name="optimizers-kfold",
    data=Mnist(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=(256, 128)),
    optimizer=Choice(Space(SGD), Space(Adam), Space(AdaGrad), Space(RMSprop)),
    training=Space(Trainer, batch_size=256, epochs=10),
    sampler=Grid(),
    pruner=NoPruning(),  # all four train to the end, so that they can be compared
)
