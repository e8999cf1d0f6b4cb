"""The sweep of the chaos tests: several structures, the default pruner, and trials of a second or two."""

from models.mlp import MLP
from searchlab import SGD, Accuracy, Adam, Choice, Digits, Float, KFold, Space, Sweep, Trainer

sweep = Sweep(
    name="chaos",
    data=Digits(),
    validation=KFold(3),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(64, 128, 256), dropout=Float(0.0, 0.4)),
    optimizer=Choice(
        Space(SGD, lr=Float(0.03, 0.6, log=True)),
        Space(Adam, lr=Float(1e-4, 1e-2, log=True)),
    ),
    training=Space(Trainer, batch_size=Choice(32, 64), epochs=40),
    trials=40,
)
