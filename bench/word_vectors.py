"""Word vectors: results beside those of the book, and the speed of sparse updates: `python -m bench.word_vectors`.

The functions `run_...` are rows of bench/reference.py. As a program, it prints how many targets per second CBOW trains
with sparse gradients and with dense ones, on one thread, and beside gensim where `--gensim PYTHON` names an interpreter
that has it.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from functools import partial
from itertools import islice

import bench.timing  # noqa: F401, first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.cooccurrence import Cooccurrence
from models.word2vec import Cbow
from searchlab.artifact.similar_words import SimilarWords
from searchlab.data import ContextWindows, Holdout, PennTreebank, TokenStream, Vocabulary, WordContexts
from searchlab.data.holdout import EveryRow
from searchlab.data.splits import Rows
from searchlab.fit import Fit
from searchlab.metrics import LossPerTarget
from searchlab.nn.word_vectors import unit_rows
from searchlab.optim import Adam
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer
from searchlab.word_classes import WordClassShare

TOY = "you say goodbye and i say hello ."
NEAREST_IN_BOOK = {  # section 2.4
    "you": "i we 've do else",
    "year": "month quarter last earlier next",
    "car": "luxury auto cars vehicle corsica",
    "toyota": "motor nissan motors honda lexus",
}
ANALOGIES = (  # section 4.3
    ("king", "man", "queen", "woman"),
    ("take", "took", "go", "went"),
    ("car", "cars", "child", "children"),
)
TIMED_STEPS, ROUNDS = 100, 5


def run_toy() -> tuple[str, bool]:
    """Count the co-occurrences of the book's toy text with a window of 1."""
    words = TOY.split()
    vocabulary = Vocabulary.from_tokens(words)
    data = WordContexts(TokenStream(vocabulary.lookup_ids(words), vocabulary, 1), 1)
    model = Cooccurrence(Replicas([0]), len(vocabulary), window=1, dimensions=2)
    counts = model.count(data.scoring_batches(EveryRow().split(data).train)).toarray()
    you, i = unit_rows(counts[vocabulary.lookup_ids(["you", "i"])].astype(np.float64))
    similarity = float(you @ i)
    return f"cos(you, i) = {similarity:.6f}", abs(similarity - np.sqrt(0.5)) < 1e-6


def run_counts(seeds: int = 5) -> tuple[str, bool]:
    """Fit PPMI and SVD on the Penn Treebank, and compare the nearest words with those of the book."""
    data = ContextWindows(PennTreebank(), max_window=2).training()
    split = Holdout().split(data)[np.zeros(seeds, dtype=int)]
    model = partial(Cooccurrence, window=2, dimensions=100)
    fit = Fit(Replicas(fold_seeds(0, seeds)), data, split, WordClassShare(), model)
    share = fit.advance().score  # (R,)
    tables = [SimilarWords(vectors, data.vocabulary) for vectors in fit.model.word_vectors()]
    hits = {}
    for word, expected in NEAREST_IN_BOOK.items():
        found = [{other for other, _ in table.most_similar(word)} for table in tables]
        hits[word] = float(np.mean([len(names & set(expected.split())) for names in found]))
    shown = ", ".join(f"{word} {number:.1f}" for word, number in hits.items())
    nearest = "; ".join(f"{word}: {_listed(tables[0].most_similar(word))}" for word in hits)
    text = f"of each five in the book, mean over {seeds} seeds: {shown}; class share {share.mean():.3f} ± "
    text += f"{share.std(ddof=1):.3f}. Seed 0: {nearest}"
    return text, min(hits.values()) >= 3.0 and bool(share.mean() >= 0.85)


def cbow_trainer(data: WordContexts, seeds: int = 1, *, sparse: bool = True) -> Trainer:
    """Return the trainer of the book's CBOW: window 5, 100 dimensions, 5 negatives, Adam 1e-3, batch 100."""
    split = Holdout().split(data)[np.zeros(seeds, dtype=int)]
    model = partial(Cbow, dimensions=100, window=5, negatives=5, sparse=sparse)
    metrics = (WordClassShare(), LossPerTarget())
    replicas = Replicas(fold_seeds(0, seeds))
    return Trainer(replicas, data, split, metrics, model, partial(Adam, lr=1e-3), batch_size=100, epochs=10)


def run_cbow(*, sparse: bool) -> tuple[str, bool]:
    """Train CBOW on the Penn Treebank for ten epochs, and answer the book's questions."""
    data = ContextWindows(PennTreebank(), max_window=5).training()
    trainer, started = cbow_trainer(data, sparse=sparse), time.perf_counter()
    for _ in range(10):
        report = trainer.advance()
        print(f"  epoch {report.epoch}: {report.loss[0]:.3f}, {report.score[0]:.3f}, {report.others[0]}", flush=True)
    minutes = (time.perf_counter() - started) / 60.0
    table = SimilarWords(trainer.model.word_vectors()[0], data.vocabulary)
    nearest, answers, is_right = table.most_similar("year"), [], True
    for *question, expected in ANALOGIES:
        found = table.analogy(*question, normalized=False)
        is_right &= expected in dict(found)
        answers.append(f"{question[0]}:{question[1]} = {question[2]}: {_listed(found)}")
    share = float(report.score[0])
    text = f"year: {_listed(nearest)}; {'; '.join(answers)}; class share {share:.3f}, held-out loss "
    text += f"{report.others[0, 0]:.3f} (one seed, {minutes:.0f} minutes)"
    is_near = {"month", "week"} <= {word for word, _ in nearest[:3]}
    return text, bool(is_near and is_right and share >= 0.85)


def _listed(words: list[tuple[str, float]]) -> str:
    return ", ".join(f"{word} {similarity:.2f}" for word, similarity in words)


def seconds_per_step(trainer: Trainer, steps: int) -> float:
    """Return the seconds of CPU time of a step, with reading its batch."""
    batches = trainer.data.training_batches(_short(trainer, steps), trainer.replicas, 100)
    started = time.thread_time()
    for batch in islice(batches, steps):
        trainer.step(batch)
    return (time.thread_time() - started) / steps


def _short(trainer: Trainer, steps: int) -> object:
    """Return a split of so few words that shuffling them takes no time."""
    rows = Rows.from_folds([np.arange(steps * 100)] * trainer.replicas.count)
    return type(trainer.split)(rows, trainer.split.held_out, steps * 100)


GENSIM = """
import sys, time
from gensim.models import Word2Vec
words = open(sys.argv[1]).read().replace("\\n", " <eos> ").split()
sentences = [words[start:start + 10000] for start in range(0, len(words), 10000)]
model = Word2Vec(vector_size=100, window=5, negative=5, sg=0, cbow_mean=1, min_count=1, sample=0, workers=1)
model.build_vocab(sentences)
started = time.process_time()
model.train(sentences, total_examples=len(sentences), epochs=1)
print(len(words) / (time.process_time() - started))
"""


def main() -> None:
    """Print the targets per second of sparse and dense updates, in turns, and of gensim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gensim", metavar="PYTHON", help="an interpreter that has gensim")
    python = parser.parse_args().gensim
    data = ContextWindows(PennTreebank(), max_window=5).training()
    for seeds in (1, 5):
        sparse, dense = (cbow_trainer(data, seeds, sparse=is_sparse) for is_sparse in (True, False))
        times = [(seconds_per_step(sparse, TIMED_STEPS), seconds_per_step(dense, 10)) for _ in range(ROUNDS)]
        sparse_rate, dense_rate = (100 * seeds / min(column) for column in zip(*times, strict=True))
        ratios = [slow / fast for fast, slow in times]
        print(
            f"R = {seeds}: {sparse_rate:,.0f} targets/s sparse, {dense_rate:,.0f} dense; ratio "
            f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
            flush=True,
        )
    if python:
        from searchlab.data.data_folder import data_folder

        text = data_folder() / "ptb" / "ptb.train.txt"
        rate = subprocess.run([python, "-c", GENSIM, str(text)], capture_output=True, text=True, check=True).stdout
        print(f"gensim, one thread: {float(rate):,.0f} targets/s")


if __name__ == "__main__":
    main()
