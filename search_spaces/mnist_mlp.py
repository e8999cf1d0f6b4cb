"""MNIST with a one- or two-layer MLP: 60,000 images, one fifth held out, a few minutes on two cores."""

from models.mlp import MLP
from searchlab import (
    Accuracy,
    Adam,
    BatchNorm,
    Choice,
    Constant,
    CosineDecay,
    EarlyStopping,
    Float,
    Holdout,
    Int,
    Mnist,
    Momentum,
    Space,
    Sweep,
    Trainer,
)

sweep = Sweep(
    name="mnist-mlp",
    data=Mnist(),
    validation=Holdout(0.2),
    metric=Accuracy(),
    model=Space(
        MLP,
        hidden=Choice(50, 100, 200),
        layers=Int(1, 2),
        normalization=Choice(None, BatchNorm),
        dropout=Float(0.0, 0.5),
    ),
    optimizer=Choice(
        Space(Momentum, lr=Float(0.003, 0.3, log=True)),
        Space(Adam, lr=Float(1e-4, 1e-2, log=True)),
    ),
    training=Space(Trainer, batch_size=Choice(100, 200), epochs=8, schedule=Choice(Constant, CosineDecay)),
    early_stopping=EarlyStopping(patience=3),
    trials=20,
)
