"""Penn Treebank by a plain recurrent network: how far does it get without gates, and how hard must it be clipped?"""

from models.rnn_lm import RnnLM
from searchlab import SGD, Blocked, Choice, Float, PennTreebank, Perplexity, Plateau, Space, Sweep, Trainer

sweep = Sweep(
    name="ptb-rnn",
    data=PennTreebank(window=35, limit=200_000),
    validation=Blocked(3),
    metric=Perplexity(),
    model=Space(RnnLM, cell="rnn", hidden=Choice(50, 100, 200), embed=100),
    optimizer=Space(SGD, lr=Float(0.3, 30.0, log=True)),
    training=Space(
        Trainer,
        batch_size=Choice(10, 20),
        epochs=6,
        clip_norm=Float(0.05, 5.0, log=True),
        schedule=Space(Plateau, factor=0.25),
    ),
    trials=24,
)
