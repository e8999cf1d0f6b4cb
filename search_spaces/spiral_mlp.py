"""Search an MLP that separates three interleaved spirals in the plane: hidden size, depth, activation and optimizer.

40 trials with 5 folds, half a minute on two CPU cores. Needs no download. The report shows the decision boundary.

Run it with `searchlab run search_spaces/spiral_mlp.py`.
"""

from models.mlp import MLP
from searchlab import SGD, Accuracy, Adam, Choice, Float, Int, KFold, Relu, Sigmoid, Space, Spiral, Sweep, Tanh, Trainer

sweep = Sweep(
    name="spiral-mlp",
    data=Spiral(points=100, classes=3),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=Int(5, 30, step=5), layers=Int(1, 2), activation=Choice(Sigmoid, Tanh, Relu)),
    optimizer=Choice(Space(SGD, lr=Float(0.1, 3.0, log=True)), Space(Adam, lr=Float(1e-3, 0.1, log=True))),
    training=Space(Trainer, batch_size=30, epochs=150),
    trials=40,
)
