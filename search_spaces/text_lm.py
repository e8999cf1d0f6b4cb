"""Search a language model of any text file: GRU or LSTM, depth, hidden size, batch size and learning rate.

20 trials with 3 blocks and 10 epochs: about an hour for 400 kB of text on two CPU cores.

Run it with `searchlab run search_spaces/text_lm.py --set data.path=my.txt`, which reads characters; add
`--set data.unit=word --set data.min_count=2` for words.
"""

from models.rnn_lm import RnnLM
from searchlab import Adam, Blocked, Choice, CosineDecay, Float, Int, Perplexity, Space, Sweep, Text, Trainer

sweep = Sweep(
    name="text-lm",
    data=Text("text.txt", unit="char", window=50),
    validation=Blocked(3),
    metric=Perplexity(),
    model=Space(RnnLM, cell=Choice("gru", "lstm"), layers=Int(1, 2), hidden=Choice(64, 128, 256), embed=32),
    optimizer=Space(Adam, lr=Float(1e-3, 2e-2, log=True)),
    training=Space(Trainer, batch_size=Choice(16, 32), epochs=10, clip_norm=1.0, schedule=CosineDecay),
    trials=20,
)
