"""Search an MLP for the digits of scikit-learn: hidden size, dropout, optimizer, batch size and gradient clipping.

40 trials with 5 folds, 10 to 15 seconds on two CPU cores. Needs no download.

Run it with `searchlab run search_spaces/digits_mlp.py`.
"""

from models.mlp import MLP
from searchlab import SGD, Accuracy, Adam, Choice, Digits, Float, KFold, Momentum, Space, Sweep, Trainer

sweep = Sweep(
    name="digits-mlp",
    data=Digits(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(32, 64, 128), dropout=Float(0.0, 0.5)),
    optimizer=Choice(
        Space(SGD, lr=Float(0.01, 1.0, log=True)),
        Space(Momentum, lr=Float(0.001, 0.3, log=True), momentum=Float(0.5, 0.99)),
        Space(Adam, lr=Float(1e-4, 3e-2, log=True)),
    ),
    training=Space(Trainer, batch_size=Choice(32, 64, 128), epochs=20, clip_norm=Float(0.1, 10.0, log=True)),
    trials=40,
)
