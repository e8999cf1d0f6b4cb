"""Trials of equal cost, drawn at random and never pruned, to measure the speedup by more workers."""

from models.small import Small

from searchlab import SGD, Accuracy, Digits, Float, KFold, NoPruning, Random, Space, Sweep, Trainer

sweep = Sweep(
    name="steady",
    data=Digits(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(Small, hidden=128),
    optimizer=Space(SGD, lr=Float(0.1, 1.0, log=True)),
    training=Space(Trainer, batch_size=32, epochs=20),
    sampler=Random(),
    pruner=NoPruning(),
    trials=200,
)
