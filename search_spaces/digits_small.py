"""Search small MLPs for the digits of scikit-learn: how few parameters reach which accuracy?

Two metrics, accuracy and the number of parameters, with no artifact above 20 kB, and one configuration that is tried
first. 60 trials with 5 folds, under a minute on two CPU cores. Needs no download.

Run it with `searchlab run search_spaces/digits_small.py`.
"""

from models.mlp import MLP
from searchlab import (
    Accuracy,
    Adam,
    Choice,
    Digits,
    Float,
    Int,
    KFold,
    ParameterCount,
    SizeLimit,
    Space,
    Sweep,
    Trainer,
)

sweep = Sweep(
    name="digits-small",
    data=Digits(),
    validation=KFold(5),
    metric=(Accuracy(), ParameterCount()),
    model=Space(MLP, hidden=Choice(4, 8, 16, 32, 64, 128), layers=Int(1, 2), dropout=Float(0.0, 0.5)),
    optimizer=Space(Adam, lr=Float(1e-3, 3e-2, log=True)),
    training=Space(Trainer, batch_size=32, epochs=20),
    constraint=SizeLimit("20kB"),
    enqueue=[{"model.hidden": 32, "model.layers": 1, "optimizer.lr": 0.01}],
    trials=60,
)
