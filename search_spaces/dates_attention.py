"""Search attention over written-out dates that a network translates into YYYY-MM-DD: which score function is best?

12 trials with 2 folds of 1,800 dates and 12 epochs: less than ten minutes of CPU time. Needs no data files.

Run it with `searchlab run search_spaces/dates_attention.py`.
"""

from models.seq2seq import Seq2Seq
from searchlab import Adam, Choice, Dates, ExactMatch, Float, KFold, Space, Sweep, Trainer

sweep = Sweep(
    name="dates-attention",
    data=Dates(rows=4_000),
    validation=KFold(2),
    metric=ExactMatch(),
    model=Space(
        Seq2Seq,
        embed=16,
        hidden=Choice(64, 128),
        attention=Choice(None, "dot", "scaled", "general", "additive"),
        reverse=True,
        bidirectional=Choice(True, False),
    ),
    optimizer=Space(Adam, lr=Float(1e-3, 1e-2, log=True)),
    training=Space(Trainer, batch_size=32, epochs=12, clip_norm=5.0),
    trials=12,
)
