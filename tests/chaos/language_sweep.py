"""The sweep of the chaos tests on text: a recurrent network whose learning rate reacts to the held-out score."""

from models.rnn_lm import RnnLM
from searchlab import SGD, Blocked, Choice, Float, Perplexity, Plateau, Space, Sweep, Text, Trainer

sweep = Sweep(
    name="chaos",
    data=Text("CHANGELOG.md", window=10),
    validation=Blocked(3),
    metric=Perplexity(),
    model=Space(RnnLM, cell=Choice("gru", "lstm"), hidden=32, embed=16, dropout=Float(0.0, 0.3)),
    optimizer=Space(SGD, lr=Float(0.5, 8.0, log=True)),
    training=Space(Trainer, batch_size=10, epochs=12, clip_norm=1.0, schedule=Space(Plateau, factor=Float(0.25, 0.75))),
    trials=40,
)
