"""What the winner's network and its artifact give: scores, predictions, gradients through time, attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab import artifact
from searchlab.backend import Array, to_host
from searchlab.data.batch import IGNORED
from searchlab.data.examples import Examples
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.loaded import LoadedDataset
from searchlab.data.scaling import Scaling
from searchlab.data.sequence_pairs import SequencePairs
from searchlab.data.splits import Rows
from searchlab.data.standardize import Standardized
from searchlab.metrics import Metric
from searchlab.nn.ensemble import Ensemble
from searchlab.nn.module import Model
from searchlab.nn.target_unit import in_target_unit
from searchlab.reporting.attention import AttentionMap
from searchlab.reporting.predictions import NumberPredictions, Predictions

CHUNK_ROWS = 1024  # test rows predicted at a time
ATTENTION_ROWS = 5  # pairs of sequences whose attention is shown


def measure(
    model: Model,
    metrics: Sequence[Metric],
    data: LoadedDataset,
    scaling: InputEncoding | None = None,
    target_scaling: Scaling | None = None,
    rows: Rows | None = None,
) -> dict[str, float]:
    """Return the metrics of a single replica, or an ensemble, over these rows of a data set, or all of them, by name.

    The scaling of inputs and of targets is that of the rows that the network, or each of an ensemble, was trained on.
    """
    table: LoadedDataset = Standardized(data, scaling) if scaling else data
    rows = rows or Rows.from_folds([np.arange(len(data))])
    if isinstance(model, Ensemble):
        rows = rows[np.zeros(model.count, dtype=np.int64)]  # once for each network
    model = in_target_unit(model, target_scaling)
    with np.errstate(all="ignore"):
        return {m.name: float(to_host(m.measure(model, table.scoring_batches(rows)))[0]) for m in metrics}


def measure_networks(
    ensemble: Ensemble,
    metric: Metric,
    data: LoadedDataset,
    scaling: InputEncoding | None = None,
    target_scaling: Scaling | None = None,
) -> list[float]:
    """Return the metric of each network of an ensemble alone, over all rows of a data set."""
    table: LoadedDataset = Standardized(data, scaling) if scaling else data
    rows = Rows.from_folds([np.arange(len(data))])[np.zeros(ensemble.count, dtype=np.int64)]
    networks = in_target_unit(ensemble.model, target_scaling)
    with np.errstate(all="ignore"):
        scores: list[float] = to_host(metric.measure(networks, table.scoring_batches(rows))).tolist()
    return scores


def predict_rows(saved: artifact.Artifact, test: LoadedDataset) -> Predictions | NumberPredictions | None:
    """Return the predictions for every test row, computed in chunks that need little memory; None without rows."""
    if not isinstance(test, Examples):
        return None
    with np.errstate(all="ignore"):
        scores = [saved.predict_rows(test.x[start : start + CHUNK_ROWS]) for start in range(0, len(test), CHUNK_ROWS)]
    predicted = np.concatenate(scores)
    if test.labels is None:
        return NumberPredictions(test.y, predicted, test.target_names)
    return Predictions(test.x, test.labels, predicted, test.image_shape, test.target_names, saved.threshold)


def gradient_norms(saved: artifact.Artifact, table: LoadedDataset) -> Array | None:
    """Return the norms (T,) of the gradient through the first window of a text, of a recurrent model."""
    tell = getattr(saved.model, "gradient_norms_through_time", None)
    if tell is None:
        return None
    with np.errstate(all="ignore"):
        norms: Array = tell(next(iter(table.scoring_batches(Rows.from_folds([np.arange(len(table))])))))[0]
    return norms if norms.any() else None  # a text shorter than a window has no target at its last step


def attention_maps(saved: artifact.Artifact, table: LoadedDataset) -> list[AttentionMap]:
    """Return the attention for the first training rows, of a model of pairs of sequences with attention."""
    tell = getattr(saved.model, "attention_maps", None)
    if tell is None or not isinstance(table, SequencePairs):
        return []
    pairs = table.take(np.arange(min(ATTENTION_ROWS, len(table)))).to("cpu")
    with np.errstate(all="ignore"):
        batch = next(iter(pairs.scoring_batches(Rows.from_folds([np.arange(len(pairs))]))))
        weights = tell(batch)  # (1, B, T_out, T_in), with heads (1, B, heads, T_out, T_in)
    return [] if weights is None else [_attention_map(pairs, row, weights[0, row]) for row in range(len(pairs))]


def _attention_map(pairs: SequencePairs, row: int, weights: Array) -> AttentionMap:
    sequences, source = pairs.sequence_format, pairs.sources[row][: int(pairs.source_lengths[row])]
    target = pairs.targets[row][pairs.targets[row] != IGNORED]
    return AttentionMap(
        weights[..., : len(target), : len(source)],
        sequences.source_vocabulary.lookup_tokens(source),
        sequences.target_vocabulary.lookup_tokens(target),
    )
