"""Sequence-to-sequence models keep the contract of a model, decode alike fused and alone, and never see padding."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from models.seq2seq import Seq2Seq
from searchlab.data.batch import IGNORED
from searchlab.data.holdout import EveryRow
from searchlab.data.pair_tables import PairFormat, split_pairs
from searchlab.errors import UserMistake
from searchlab.nn import Parameters
from searchlab.replicas import Replicas
from searchlab.testing import check_model
from searchlab.testing.gradients import check_gradients
from searchlab.testing.replica_rows import select_batch

SUMS = [(f"{a}+{b}" if b else str(a), str(a + b)) for a, b in np.random.default_rng(0).integers(120, size=(26, 2))]
TABLE = split_pairs(SUMS, PairFormat(), test_size=0.1, seed=0, is_test=False)
SEEDS = [1, 2, 3]
SMALL = {"embed": 5, "hidden": 6}
MODELS = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "reverse": {"reverse": True},
    "peeky": {"peeky": True},
    "dot": {"attention": "dot", "reverse": True},
    "scaled": {"attention": "scaled"},
    "general": {"attention": "general"},
    "additive": {"attention": "additive"},
    "bidirectional": {"bidirectional": True, "attention": "dot"},
    "pass_cell": {"pass_cell": True, "layers": 2},
    "all": {
        "layers": 2,
        "residual": True,
        "bidirectional": True,
        "peeky": True,
        "attention": "general",
        "pass_cell": True,
    },
    "tied": {"tied": True, "embed": 6, "cell": "gru", "layers": 2, "residual": True},
}


def build(arguments):
    return partial(Seq2Seq, **{**SMALL, **arguments})


def a_batch(size=8):
    split = EveryRow().split(TABLE)[np.zeros(len(SEEDS), dtype=int)]
    return next(TABLE.training_batches(split, Replicas(SEEDS), size))


def moved(arguments, seeds=SEEDS, dtype=np.float32):
    """Return a model whose parameters are far from their initial values, so that it writes various sequences."""
    replicas = Replicas(seeds, dtype=dtype)
    model = build(arguments)(replicas, *TABLE.sizes)
    parameters = Parameters(model.named_parameters())
    parameters.values += replicas.normal(parameters.count, scale=0.5)
    return model


@pytest.mark.parametrize("arguments", MODELS.values(), ids=MODELS)
def test_the_model_keeps_the_contract(arguments):
    check_model(build(arguments), TABLE, per_replica={"dropout": (0.0, 0.3, 0.5)})


@pytest.mark.parametrize("arguments", MODELS.values(), ids=MODELS)
def test_gradients_where_replicas_ignore_different_targets(arguments):
    batch = a_batch()
    y = batch.y.copy()
    y[0, :, :3], y[2] = IGNORED, IGNORED
    check_gradients(lambda replicas: build(arguments)(replicas, *TABLE.sizes), replace(batch, y=y))


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("arguments", MODELS.values(), ids=MODELS)
def test_decoding_fused_equals_alone(arguments, beam):
    batch = a_batch()
    fused = moved(arguments).decode(batch, beam=beam)
    assert len(set(map(bytes, fused.ids.swapaxes(1, 2).reshape(-1, fused.ids.shape[1])))) > 3  # various sequences
    for r, seed in enumerate(SEEDS):
        alone = moved(arguments, [seed]).decode(select_batch(batch, (r,)), beam=beam)
        assert alone.ids.tobytes() == fused.ids[[r]].tobytes()
        assert alone.log_probabilities.tobytes() == fused.log_probabilities[[r]].tobytes()


@pytest.mark.parametrize("arguments", MODELS.values(), ids=MODELS)
def test_padding_changes_nothing(arguments):
    """Whatever stands in the padding of the sources, and after wider padding, all outputs are the same."""
    batch, model = a_batch(), moved(arguments, dtype=np.float64)
    expected, written = model.predict(batch)[0].copy(), model.decode(batch).ids
    noisy = np.where(batch.source_mask, batch.x, np.random.default_rng(0).integers(TABLE.sizes[0], size=batch.x.shape))
    more = np.zeros((len(SEEDS), 3, batch.x.shape[2]), dtype=np.int64)
    mask = np.concatenate([batch.source_mask, more.astype(bool)], axis=1)
    wider = replace(batch, x=np.concatenate([batch.x, more], axis=1), source_mask=mask)
    for other in (replace(batch, x=noisy), wider):
        assert model.predict(other)[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert (model.decode(other).ids == written).all()


@pytest.mark.parametrize("arguments", MODELS.values(), ids=MODELS)
def test_a_mask_that_hides_nothing_equals_none(arguments):
    batch, model = a_batch(), moved(arguments, dtype=np.float64)
    shown = replace(batch, source_mask=np.ones_like(batch.source_mask))
    expected = model.predict(replace(batch, source_mask=None))[0].copy()
    assert model.predict(shown)[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_decoder_begins_in_the_last_state_of_the_encoder_with_a_cell_state_of_zero():
    batch, model = a_batch(), moved({})
    loss, _ = model.forward(batch, train=False)
    _, _, ends = model.encoder.forward(batch.x, batch.source_mask, train=False)
    h = ends[0][0]
    x = model.embedding.forward(batch.decoder_inputs, train=False)
    y, _ = model.cells[0].forward(x, (h, np.zeros_like(h)), train=False)
    assert model.output.forward(y, batch.y, train=False) == pytest.approx(loss)


def test_attention_maps_are_in_the_order_of_the_source():
    batch = a_batch()
    for arguments in ({"attention": "dot"}, {"attention": "dot", "reverse": True}):
        maps = moved(arguments).attention_maps(batch)  # (R, B, T_out, T_in)
        assert maps.shape == (3, 8, batch.y.shape[1], batch.x.shape[1])
        assert maps.sum(axis=-1) == pytest.approx(np.ones(maps.shape[:3]), rel=1e-5)
        assert not maps[~np.broadcast_to(batch.source_mask.swapaxes(1, 2)[:, :, None], maps.shape)].any()
    assert moved({}).attention_maps(batch) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "rnn"}, "needs a cell of lstm, gru; got 'rnn'"),
        ({"hidden": 0}, "needs sizes of at least 1; got layers 1, hidden 0, embed 5"),
        ({"attention": "cosine"}, "needs a score of dot, scaled, general, additive; got 'cosine'"),
        ({"tied": True}, "tied=True.* needs embed equal to hidden"),
        ({"tied": True, "embed": 6, "peeky": True}, "tied=True.* neither peeky nor attention"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(UserMistake, match=message):
        build(arguments)(Replicas([1]), 5, 6)


def test_other_data_is_refused():
    with pytest.raises(UserMistake, match="Seq2Seq needs pairs of sequences"):
        moved({}).forward(replace(a_batch(), decoder_inputs=None), train=True)
