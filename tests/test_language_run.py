"""A sweep of language models from its text to what its winner writes."""

import numpy as np
import pytest
from mlflow import MlflowClient

from models.rnn_lm import RnnLM
from searchlab import SGD, Blocked, Float, Perplexity, Space, Sweep, Text, Trainer, artifact
from searchlab.data import TokenStream
from searchlab.engine import refit, text_samples
from searchlab.runner import pipeline
from searchlab.runner.run import run
from searchlab.runs.trials import LearningCurve, TrialRecord
from tests.sweeps import spiral_sweep
from tests.test_generation import Says

TEXT = "the cat sat on the mat\nand the rat sat on the cat\n" * 12


def text_sweep(folder, unit="char", epochs=2, **changes):
    path = folder / "tale.txt"
    path.write_text(TEXT)
    parts = {
        "name": "tale",
        "data": Text(str(path), unit=unit, window=8),
        "validation": Blocked(2),
        "metric": Perplexity(),
        "model": Space(RnnLM, cell="gru", hidden=12, embed=8, dropout=0.2),
        "optimizer": Space(SGD, lr=Float(0.5, 2.0)),
        "training": Space(Trainer, batch_size=4, epochs=epochs, clip_norm=1.0),
        "trials": 2,
    }
    return Sweep(**parts | changes)


def written(result):
    """The text of each epoch."""
    lines = result.winner.samples.read_text(encoding="utf-8").split("epoch ")[1:]
    return [line.partition("  ")[2].rstrip().replace("\n" + " " * 9, "\n") for line in lines]


def test_a_language_model_is_searched_and_its_winner_writes(home, tmp_path):
    result = run(text_sweep(tmp_path), engine="local", home=home)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 2
    assert result.best.value == min(trial.value for trial in result.trials)
    assert 1.0 < result.winner.test_score < 14.0, "there are 13 characters and <unk>"
    assert result.winner.artifact_score == pytest.approx(result.winner.test_score, rel=1e-2)

    texts = written(result)
    assert len(texts) == result.best.epoch
    assert all(text.startswith("the cat ") for text in texts)
    assert result.winner.samples == home / "sweeps" / "tale" / "samples.txt"

    loaded = artifact.load(result.artifact)
    assert loaded.vocabulary == Text(str(tmp_path / "tale.txt"), unit="char", window=8).training().vocabulary
    assert loaded.generate("the ", 30).startswith("the ")

    (picture,) = [figure for figure in result.figures if figure.stem == "gradient-through-time"]
    assert picture.stat().st_size > 5000
    client = MlflowClient(result.tracking_uri)
    assert [kept.path for kept in client.list_artifacts(result.run_id, "samples")] == ["samples/samples.txt"]
    assert "winner/vocabulary.json" in [kept.path for kept in client.list_artifacts(result.run_id, "winner")]


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(pipeline.SweepPipeline, "_draw_figures", lambda *_: ())


@pytest.mark.parametrize("unit", ["word", "char"])
def test_training_is_the_same_bit_by_bit_whether_texts_are_written_or_not(tmp_path, unit, monkeypatch):
    def refitted():
        sweep = text_sweep(tmp_path, unit=unit)
        trial = TrialRecord(0, "COMPLETE", {"optimizer.lr": 1.0}, 2.0, 4, None, LearningCurve(), 0.0, 1.0)
        done = refit.refit_here(sweep, trial, 7, "cpu")
        assert done.unavailable_reason is None
        return list(done.texts), {name: array.tobytes() for name, array in done.state.items()}

    texts, state = refitted()
    assert len(texts) == 4
    assert len(set(texts)) > 1, "it learns"
    again, _ = refitted()
    assert texts == again
    monkeypatch.setattr(refit, "sample_text", lambda *_: "nothing")
    assert refitted() == (["nothing"] * 4, state)


@pytest.mark.usefixtures("no_pictures")
def test_networks_of_no_words_write_nothing(home):
    result = run(spiral_sweep(trials=1), engine="local", home=home)
    assert result.winner.samples is None
    assert result.winner.through_time is None
    assert not (home / "sweeps" / "spiral" / "samples.txt").exists()


@pytest.mark.usefixtures("no_pictures")
def test_a_perplexity_of_rows_fails_each_trial_with_the_reason(home):
    result = run(spiral_sweep(metric=Perplexity(), trials=1), engine="local", home=home)
    assert "Perplexity judges what a model foretells in a stream of tokens" in result.trials[0].reason


def test_texts_by_epoch_are_lined_up():
    listed = text_samples.by_epoch(["one\ntwo", *["x"] * 9])
    assert listed.startswith("epoch  1  one\n          two\n\nepoch  2  x\n")
    assert listed.endswith("epoch 10  x\n")


@pytest.mark.parametrize(("unit", "count"), [("word", 5 + 30), ("char", 20 + 120)])
def test_a_sample_goes_on_from_the_first_words_and_never_says_the_unknown_one(tmp_path, unit, count):
    table = text_sweep(tmp_path, unit=unit).data.training()
    words = table.vocabulary
    text = text_samples.sample_text(Says(np.zeros((1, len(words)))), TokenStream(table.ids, words, 25), words, 0)
    assert len(words.encode(text)) == count
    assert text.startswith(words.decode(table.ids[: count // 7]))  # 5 words, or 20 characters
    assert words.unknown == "<unk>", "or what follows would have been easy"
    assert "<unk>" not in text
