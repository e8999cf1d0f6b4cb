"""Four optimizers at their defaults on MNIST, cross-validated: whose box lies highest, and whose is narrowest?"""

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
    pruner=NoPruning(),  # a comparison, and each has its box
)
