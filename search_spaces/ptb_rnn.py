"""Search a plain recurrent language model of the Penn Treebank: how good is it without gates, and with which clipping?

24 trials with 3 blocks of 200,000 words and 6 epochs: about an hour on two CPU cores. Downloads 6 MB on first use.

Run it with `searchlab run search_spaces/ptb_rnn.py`.
"""

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
