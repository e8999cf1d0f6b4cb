"""Search a language model of the Penn Treebank: two tied LSTM layers with dropout.

12 trials with 3 blocks and 40 epochs over 930,000 words: the large model, which the book leaves to a GPU. Downloads
6 MB on first use.

Run it with `searchlab run search_spaces/ptb_lstm.py`. Two minutes on two CPU cores take
`searchlab run search_spaces/ptb_lstm.py --set data.limit=60000 --set model.hidden=64 --epochs 1`.
"""

from models.rnn_lm import RnnLM
from searchlab import SGD, Blocked, Choice, Float, PennTreebank, Perplexity, Plateau, Space, Sweep, Trainer

sweep = Sweep(
    name="ptb-lstm",
    data=PennTreebank(window=35),
    validation=Blocked(3),
    metric=Perplexity(),
    model=Space(RnnLM, cell="lstm", layers=2, hidden=Choice(200, 400, 650), tied=True, dropout=Float(0.2, 0.65)),
    optimizer=Space(SGD, lr=Float(1.0, 40.0, log=True)),
    training=Space(
        Trainer,
        batch_size=Choice(20, 40),
        epochs=40,
        clip_norm=Float(0.1, 5.0, log=True),
        schedule=Space(Plateau, factor=0.25),
    ),
    trials=12,
)
