"""A sweep on a file that only the driver's node has."""

from models.small import Small

from searchlab import SGD, Accuracy, Float, KFold, Npz, Space, Sweep, Trainer

sweep = Sweep(
    name="custom-data",
    data=Npz("/tmp/head-only.npz"),
    validation=KFold(2),
    metric=Accuracy(),
    model=Space(Small, hidden=8),
    optimizer=Space(SGD, lr=Float(0.1, 2.0, log=True)),
    training=Space(Trainer, batch_size=10, epochs=4),
    trials=4,
)
