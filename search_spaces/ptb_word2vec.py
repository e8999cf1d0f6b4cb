"""Search word2vec on a part of the Penn Treebank: window, random words, dimensions, subsampling and learning rate.

CBOW and skip-gram with negative sampling on the first 200,000 words: 12 trials of up to four epochs, under ten minutes
on two CPU cores. Downloads 6 MB on first use.

Run it with `searchlab run search_spaces/ptb_word2vec.py`.
"""

from models.word2vec import Cbow, SkipGram
from searchlab import (
    Adam,
    Choice,
    ContextWindows,
    Float,
    Holdout,
    Int,
    PennTreebank,
    Space,
    Sweep,
    Trainer,
    WordClassShare,
)

sweep = Sweep(
    name="ptb-word2vec",
    data=ContextWindows(PennTreebank(limit=200_000), max_window=5),
    validation=Holdout(),
    metric=WordClassShare(),
    model=Choice(
        Space(Cbow, dimensions=Choice(50, 100), window=Int(1, 5), negatives=Int(3, 10)),
        Space(SkipGram, dimensions=50, window=Int(1, 3), negatives=Int(2, 5), subsample=Choice(1e-4, 1e-3, 1.0)),
    ),
    optimizer=Space(Adam, lr=Float(5e-4, 1e-2, log=True)),
    training=Space(Trainer, batch_size=Choice(100, 200), epochs=4),
    trials=12,
)
