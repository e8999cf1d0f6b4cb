"""The sweep that bench/sweep_peers.py compares with Optuna and scikit-learn."""

from models.mlp import MLP
from searchlab import SGD, Accuracy, Choice, Digits, Float, KFold, Space, Sweep, Trainer

sweep = Sweep(
    name="peers",
    data=Digits(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(32, 64, 128)),
    optimizer=Space(SGD, lr=Float(0.01, 1.0, log=True)),
    training=Space(Trainer, batch_size=Choice(32, 64, 128), epochs=20),
    trials=40,
)
