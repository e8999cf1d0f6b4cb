"""The contract of standardized data: each replica measures mean and scale on its own training rows."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.data.loaded import LoadedDataset
from searchlab.data.scaling import Scaling
from searchlab.data.splits import Rows, Split
from searchlab.replicas import HasReplicaAxis, Replicas
from searchlab.tables.encoding import TableEncoding
from searchlab.testing.replica_rows import SURVIVORS, assert_identical

BATCH_SIZE = 4
SCALING_TOLERANCE = 1e-3  # of a mean from 0 and of a scale from 1: float32 rounds what float64 has measured


def check_scaling(data: LoadedDataset, split: Split) -> None:
    """Raise AssertionError unless the data keep the rules for mean and scale in `check_dataset`."""
    fitted = data.fitted(split)
    assert (len(fitted), fitted.sizes) == (len(data), data.sizes), "fitted(split) changes the rows or the sizes"
    assert fitted.checksum() == data.checksum(), "fitted(split) changes the checksum"
    dtype = next(iter(fitted.scoring_batches(split.held_out))).x.dtype
    assert dtype == np.float32 or np.issubdtype(dtype, np.integer), f"a trainer needs float32 or ids, not {dtype}"
    if fitted.scaling is None:
        original, seen = _inputs(data, split.held_out), _inputs(fitted, split.held_out)
        assert_identical(original, seen, "without scaling, inputs before and after fitted(split)")
    elif isinstance(fitted.scaling, TableEncoding):
        _check_table(fitted.scaling, _inputs(data, split.train)["x"], _inputs(fitted, split.train)["x"], split)
    else:
        assert isinstance(fitted.scaling, Scaling), f"inputs are encoded by {type(fitted.scaling).__name__}"
        _check_columns(fitted.scaling, "input", data.sizes[0], _inputs(fitted, split.train)["x"], split)
    _check_targets(data, fitted, split)
    _check_scaling_alone(data, fitted, split)
    if isinstance(fitted, HasReplicaAxis):
        survivors = split[np.array(SURVIVORS)]
        fitted.select_replicas(np.array(SURVIVORS))
        actual, expected = (_inputs(each, survivors.held_out) for each in (fitted, data.fitted(survivors)))
        assert_identical(actual, expected, "survivors after select_replicas and fitted anew")


def _check_scaling_alone(data: LoadedDataset, fitted: LoadedDataset, split: Split) -> None:
    batches = list(fitted.scoring_batches(split.held_out))
    for fold in range(split.folds):
        one_fold = split[np.array([fold])]
        alone = data.fitted(one_fold).scoring_batches(one_fold.held_out)
        for together, single in zip(batches, alone, strict=False):  # alone there is less padding
            width = single.x.shape[1]
            pair = ({"x": together.x[fold : fold + 1, :width]}, {"x": single.x})
            assert_identical(*pair, f"fold {fold} fitted together with others and alone")


def _check_table(encoding: TableEncoding, rows: Array, inputs: Array, split: Split) -> None:
    """Check the inputs (R, width, F) of training rows of a table (R, width, C).

    Numbers are standardized, empty cells are filled from the training rows of each fold, and a word that is rare among
    them has no input of its own.
    """
    layout = encoding.layout
    assert inputs.shape[2] == layout.width, f"a table of {layout.width} inputs gives {inputs.shape[2]}"
    assert np.isfinite(inputs).all(), "an empty cell reaches the network as NaN"
    if encoding.scaling:
        numbers = inputs[:, :, : len(layout.numbers)]
        _check_columns(encoding.scaling, "number", len(layout.numbers), numbers, split)
    words = inputs[:, :, layout.first_word : layout.first_word + layout.word_inputs]
    assert (words.sum(axis=2) == len(layout.words)).all(), "a word is not one input of its column"
    for fold, count in enumerate(split.train.counts):
        is_used = words[fold, :count].any(axis=0)
        assert encoding.known[fold][is_used].all(), f"fold {fold} has an input of a word that is rare in its rows"
        for index in layout.numbers:
            column = rows[fold, :count, index].astype(np.float64)
            present = column[~np.isnan(column)]
            if layout.columns[index].kind == "number" and len(present):
                median = np.median(present).astype(encoding.dtype)
                assert encoding.fill[fold, index] == median, f"fold {fold} fills cells with another median than its own"


def _check_targets(data: LoadedDataset, fitted: LoadedDataset, split: Split) -> None:
    """Check that targets are scaled in training batches alone, with mean 0 and scale 1 on the training rows."""
    for original, seen in zip(data.scoring_batches(split.train), fitted.scoring_batches(split.train), strict=True):
        assert_identical({"y": original.y}, {"y": seen.y}, "targets before and after fitted(split)")
    scaling, replicas = fitted.target_scaling, [Replicas(range(split.folds)) for _ in range(2)]
    pairs = zip(
        data.training_batches(split, replicas[0], BATCH_SIZE),
        fitted.training_batches(split, replicas[1], BATCH_SIZE),
        strict=True,
    )
    for original, seen in pairs:
        assert seen.y.dtype != np.float64, "a trainer needs targets of float32 or whole numbers, not float64"
        y = scaling.standardize(original.y.astype(scaling.mean.dtype)) if scaling else original.y
        assert_identical({"y": y}, {"y": seen.y}, "targets of a training batch, and those that the scaling gives")
    if scaling:
        y = np.concatenate([batch.y for batch in data.scoring_batches(split.train)], axis=1)
        standardized = scaling.standardize(y.astype(scaling.mean.dtype))
        _check_columns(scaling, "target", data.sizes[1], standardized, split)


def _check_columns(scaling: Scaling, kind: str, columns: int, values: Array, split: Split) -> None:
    """Check that standardized training rows (R, width, columns) have mean 0 and scale 1 (0 for a constant column)."""
    mean, scale = scaling.mean, scaling.scale
    shapes = f"{kind} mean {mean.shape} and scale {scale.shape} are (R, columns)"
    assert mean.shape == scale.shape == (split.folds, columns), shapes
    assert np.isfinite(mean).all(), "means are finite"
    assert (scale > 0).all(), "scales are positive"
    x = values.astype(np.float64)
    for fold, count in enumerate(split.train.counts):
        rows = x[fold, :count]
        tolerance = SCALING_TOLERANCE + np.abs(mean[fold] / scale[fold]) * np.finfo(mean.dtype).eps
        assert (np.abs(rows.mean(axis=0)) < tolerance).all(), f"fold {fold} has training rows whose mean is not 0"
        deviation = rows.std(axis=0)
        is_constant = deviation == 0.0
        assert (np.abs(deviation - 1.0) < tolerance)[~is_constant].all(), f"fold {fold} has a scale that is not 1"


def _inputs(data: LoadedDataset, rows: Rows) -> dict[str, Array]:
    """Return the inputs of these rows with their padding (R, width, ...)."""
    return {"x": np.concatenate([batch.x for batch in data.scoring_batches(rows)], axis=1)}
