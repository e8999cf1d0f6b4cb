"""Search word vectors by counting: window, smoothing, shift, number of dimensions, and power of the singular values.

Co-occurrence counts of the Penn Treebank, PPMI and a truncated SVD, judged by weekdays, months, number words, pronouns
and car makers: 24 trials, each fitted in one pass: three minutes on two CPU cores. Downloads 6 MB on first use.

Run it with `searchlab run search_spaces/ptb_counts.py`.
"""

from models.cooccurrence import Cooccurrence
from searchlab import Choice, ContextWindows, Fit, Float, Holdout, PennTreebank, Space, Sweep, WordClassShare

sweep = Sweep(
    name="ptb-counts",
    data=ContextWindows(PennTreebank(), max_window=5),
    validation=Holdout(),
    metric=WordClassShare(),
    model=Space(
        Cooccurrence,
        window=Choice(1, 2, 3, 5),
        dimensions=Choice(50, 100, 200),
        shift=Choice(1.0, 2.0, 5.0),
        smoothing=Choice(0.75, 1.0),
        power=Float(0.0, 1.0),
    ),
    training=Space(Fit),
    trials=24,
)
