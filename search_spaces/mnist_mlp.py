"""Search an MLP for MNIST: hidden size, depth, batch normalization, dropout, optimizer and learning-rate schedule.

20 trials on 48,000 images, with 12,000 held out, up to 8 epochs with early stopping: a few minutes on two CPU cores.
Downloads 11 MB on first use.

Run it with `searchlab run search_spaces/mnist_mlp.py`.
"""

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
