"""How small may a network for the digits be? Accuracy against the number of weights, nothing above 20 kB."""

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
