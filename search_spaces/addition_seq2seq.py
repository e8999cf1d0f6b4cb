"""Search a sequence-to-sequence network that adds numbers written as text: do reversing and peeking help?

12 trials with 2 folds of 1,800 sums and 20 epochs: two minutes of CPU time. Needs no data files.

Run it with `searchlab run search_spaces/addition_seq2seq.py`.
"""

from models.seq2seq import Seq2Seq
from searchlab import Adam, Addition, Choice, ExactMatch, Float, KFold, Space, Sweep, Trainer

sweep = Sweep(
    name="addition-seq2seq",
    data=Addition(digits=2, rows=4_000),
    validation=KFold(2),
    metric=ExactMatch(),
    model=Space(
        Seq2Seq,
        cell=Choice("lstm", "gru"),
        embed=16,
        hidden=Choice(64, 128),
        reverse=Choice(True, False),
        peeky=Choice(True, False),
    ),
    optimizer=Space(Adam, lr=Float(1e-3, 1e-2, log=True)),
    training=Space(Trainer, batch_size=32, epochs=20, clip_norm=5.0),
    trials=12,
)
