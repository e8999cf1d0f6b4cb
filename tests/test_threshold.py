"""The threshold of two classes: chosen on held-out rows of the winner's folds, kept in the artifact, and used by it."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from models.mlp import MLP
from searchlab import (
    F1,
    SGD,
    Accuracy,
    Arrays,
    FoldEnsemble,
    KFold,
    Refit,
    RocAuc,
    Space,
    StratifiedKFold,
    Sweep,
    Trainer,
)
from searchlab import artifact as artifacts
from searchlab.artifact.prediction_table import prediction_table
from searchlab.errors import UserMistake
from searchlab.fusion.groups import build_trainer
from searchlab.metrics.threshold import best_threshold
from searchlab.nn.class_probabilities import positive_probability
from searchlab.runner.evaluate import evaluate, evaluate_artifact

ROWS = 700


def rare_sweep(metric, winner=None, validation=None, rows=ROWS, share=0.07):
    generator = np.random.default_rng(0)
    y = np.where(generator.random(rows) < share, "yes", "no")
    x = generator.standard_normal((rows, 3)) + 0.9 * (y == "yes")[:, None]
    return Sweep(
        name="rare",
        data=Arrays(x, y),
        validation=validation or StratifiedKFold(3),
        metric=metric,
        model=Space(MLP, hidden=4),
        optimizer=Space(SGD, lr=0.2),
        training=Space(Trainer, epochs=3),
        trials=1,
        winner=winner or Refit(),
    )


@pytest.mark.parametrize("winner", [Refit(), FoldEnsemble()], ids=repr)
def test_the_artifact_decides_by_the_threshold_of_the_folds(tmp_path, winner):
    sweep = rare_sweep((F1(), Accuracy()), winner)
    result = sweep.run(home=tmp_path, engine="local", tracking=None, progress=False)
    saved, (trial,) = artifacts.load(result.artifact), result.trials

    data = sweep.data.training()  # the networks of the folds, trained once more, and their best threshold
    split = sweep.validation.split(data)
    folds = build_trainer(sweep, [trial.parameters], data, split, 0, "cpu")
    for _ in range(trial.epoch):
        report = folds.advance()
    assert report.score == pytest.approx(trial.folds), "they are those of the search"
    scores, labels = [], []
    for fold in range(3):
        rows = split.held_out.index[fold, : split.held_out.counts[fold]]
        x = folds.data.scaling.standardize(data.x[rows][None].repeat(3, axis=0))[fold]
        scores.append(folds.model.layers.forward(x[None].repeat(3, axis=0), train=False)[fold])
        labels.append(data.y[rows])
    labels = np.concatenate(labels)
    probabilities = positive_probability(np.concatenate(scores).astype(np.float64))
    expected = best_threshold(probabilities, labels, np.ones(len(labels)), F1().score)
    assert saved.threshold == pytest.approx(expected, rel=1e-6)
    assert 0.0 < saved.threshold < 0.5
    assert saved.manifest["threshold"]["class"] == "yes"

    test = sweep.data.testing()
    x = np.asarray(test.x, np.float64)
    decided = saved.classify(x)
    assert (decided == np.where(saved.probabilities(x)[:, 1] >= saved.threshold, "yes", "no")).all()
    assert (decided == "yes").sum() > (saved.probabilities(x)[:, 1] >= 0.5).sum()
    assert [row[0] for row in prediction_table(saved, x)[1]] == decided.tolist()
    f1 = f1_score(test.y, decided == "yes")
    assert result.winner.artifact_score == pytest.approx(f1)
    assert evaluate("rare", home=tmp_path, look_again=True, sweep=sweep).scores["f1"] == pytest.approx(f1)
    file = tmp_path / "new.npz"
    np.savez(file, x=x, y=np.array(["no", "yes"])[test.y])
    assert evaluate_artifact(result.artifact, file).scores["f1"] == pytest.approx(f1)
    assert result.winner.predictions.threshold == saved.threshold
    assert "'yes'" in (result.artifact / "README.md").read_text()
    assert json.loads((result.artifact / "manifest.json").read_text())["threshold"]["metric"] == "f1"


@pytest.mark.parametrize(("metric", "threshold"), [(F1(threshold=0.3), 0.3), (RocAuc(), None)], ids=repr)
def test_a_threshold_of_ones_own_is_kept_and_a_metric_without_one_has_none(tmp_path, metric, threshold):
    result = rare_sweep(metric).run(home=tmp_path, engine="local", tracking=None, progress=False)
    assert artifacts.load(result.artifact).threshold == threshold


def test_a_fold_that_lacks_a_class_is_named_by_its_word_before_anything_is_trained(tmp_path):
    sweep = rare_sweep(RocAuc(), validation=KFold(8), rows=60, share=0.1)
    with pytest.raises(UserMistake, match="none of class 'yes'"):
        sweep.run(home=tmp_path, engine="local", tracking=None, progress=False)
    assert not list(tmp_path.iterdir())
