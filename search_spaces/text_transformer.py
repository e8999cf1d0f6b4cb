"""Search a Transformer as a language model of any text file: depth, width, dropout and learning rate.

12 trials with a fifth of the text held out and 6 epochs: about seven minutes for 400 kB of text on two CPU cores.

Run it with `searchlab run search_spaces/text_transformer.py --set data.path=my.txt`, which reads characters; add
`--set data.unit=word --set data.min_count=2` for words. `text_lm.py` searches recurrent networks on the same text.
"""

from models.transformer_lm import TransformerLM
from searchlab import Adam, Choice, CosineDecay, Float, Holdout, Int, Perplexity, Space, Sweep, Text, Trainer

sweep = Sweep(
    name="text-transformer",
    data=Text("text.txt", unit="char", window=50),
    validation=Holdout(0.2),
    metric=Perplexity(),
    model=Space(TransformerLM, width=Choice(32, 64), layers=Int(1, 3), dropout=Float(0.0, 0.3)),
    optimizer=Space(Adam, lr=Float(2e-3, 3e-2, log=True)),
    training=Space(Trainer, batch_size=16, epochs=6, clip_norm=1.0, schedule=Space(CosineDecay, warmup=0.5)),
    trials=12,
)
