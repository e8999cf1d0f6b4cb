"""A sweep of language models, from its text to the samples of its winner."""

import numpy as np
import pytest
from mlflow import MlflowClient

from models.rnn_lm import RnnLM
from searchlab import SGD, Blocked, Float, Perplexity, Space, Sweep, Text, Trainer, artifact
from searchlab.data import TokenStream
from searchlab.engine import refit, text_samples
from searchlab.errors import UserMistake
from searchlab.runs.trials import LearningCurve, TrialRecord
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep
from tests.test_generation import FixedScores

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


def samples_of(result):
    """The text generated after each epoch."""
    lines = result.winner.samples.read_text(encoding="utf-8").split("epoch ")[1:]
    return [line.partition("  ")[2].rstrip().replace("\n" + " " * 9, "\n") for line in lines]


@pytest.mark.figures
def test_a_sweep_of_language_models_keeps_samples_of_its_winner(home, tmp_path):
    result = run(text_sweep(tmp_path), engine="local", home=home, tracking="mlflow")
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 2
    assert result.best.value == min(trial.value for trial in result.trials)
    assert 1.0 < result.winner.test_score < 14.0, "there are 13 characters and <unk>"
    assert result.winner.artifact_score == pytest.approx(result.winner.test_score, rel=1e-2)

    texts = samples_of(result)
    assert len(texts) == result.best.epoch
    assert all(text.startswith("the cat ") for text in texts)
    assert result.winner.samples == home / "sweeps" / "tale" / "samples.txt"

    loaded = artifact.load(result.artifact)
    assert loaded.vocabulary == Text(str(tmp_path / "tale.txt"), unit="char", window=8).training().vocabulary
    assert loaded.generate("the ", 30).startswith("the ")

    (figure,) = [path for path in result.figures if path.stem == "gradient-through-time"]
    assert figure.stat().st_size > 5000
    client = MlflowClient(result.tracking_uri)
    assert [file.path for file in client.list_artifacts(result.run_id, "samples")] == ["samples/samples.txt"]
    assert "winner/vocabulary.json" in [file.path for file in client.list_artifacts(result.run_id, "winner")]


@pytest.mark.parametrize("unit", ["word", "char"])
def test_generating_samples_does_not_change_training(tmp_path, unit, monkeypatch):
    def refit_once():
        job = make_job(text_sweep(tmp_path, unit=unit), "tale", tmp_path / "study.journal", tmp_path, trials=1, seed=7)
        trial = TrialRecord(0, "COMPLETE", {"optimizer.lr": 1.0}, 2.0, 4, None, LearningCurve(), 0.0, 1.0)
        done = refit.refit_locally(job, trial, "cpu")
        assert done.failure is None
        return list(done.texts), {name: array.tobytes() for name, array in done.state.items()}

    texts, state = refit_once()
    assert len(texts) == 4
    assert len(set(texts)) > 1, "the texts change while the model learns"
    again, _ = refit_once()
    assert texts == again
    monkeypatch.setattr(refit, "write_sample", lambda *_: "nothing")
    assert refit_once() == (["nothing"] * 4, state)


def test_classifiers_have_no_samples(home):
    result = run(spiral_sweep(trials=1), engine="local", home=home)
    assert result.winner.samples is None
    assert result.winner.gradient_norms is None
    assert not (home / "sweeps" / "spiral" / "samples.txt").exists()


def test_perplexity_of_a_classifier_is_refused(home):
    with pytest.raises(UserMistake, match=r"^Perplexity needs a stream of tokens"):
        run(spiral_sweep(metric=Perplexity(), trials=1), engine="local", home=home)


def test_samples_are_indented_behind_their_epoch():
    text = text_samples.join_samples(["one\ntwo", *["x"] * 9])
    assert text.startswith("epoch  1  one\n          two\n\nepoch  2  x\n")
    assert text.endswith("epoch 10  x\n")


@pytest.mark.parametrize(("unit", "count"), [("word", 5 + 30), ("char", 20 + 120)])
def test_a_sample_continues_the_first_tokens_without_the_unknown_token(tmp_path, unit, count):
    table = text_sweep(tmp_path, unit=unit).data.training()
    words = table.vocabulary
    text = text_samples.generate_sample(
        FixedScores(np.zeros((1, len(words)))), TokenStream(table.ids, words, 25), words, 0
    )
    assert len(words.encode(text)) == count
    assert text.startswith(words.decode(table.ids[: count // 7]))  # 5 words, or 20 characters
    assert words.unknown == "<unk>", "else the next assertion could not fail"
    assert "<unk>" not in text
