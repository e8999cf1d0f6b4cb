"""A CUDA device draws the same numbers as the host, trains the same up to rounding, and selects and resumes replicas.

Every test runs twice: on CUDA, where there is a device, and anywhere on fake_cupy, which raises where CuPy would.
"""

from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from models.rnn_lm import CELLS, RnnLM
from models.seq2seq import Seq2Seq
from models.transformer import Transformer
from models.transformer_lm import TransformerLM
from searchlab import backend
from searchlab.backend import ONE_HOT_MAX_ROWS, gather_rows, scatter_add_rows, to_device, to_host, xp_for_device, xp_of
from searchlab.data import Batch, Blocked, Examples, KFold, TokenStream, Vocabulary
from searchlab.data.augmentation import GaussianNoise, Shift
from searchlab.data.pair_tables import PairFormat, split_pairs
from searchlab.metrics import Accuracy, ExactMatch, RootMeanSquaredError, TokenAccuracy
from searchlab.nn import (
    GRU,
    LSTM,
    RNN,
    Affine,
    BatchNorm,
    Bidirectional,
    Dropout,
    Embedding,
    Gelu,
    LayerNorm,
    LeakyRelu,
    MeanSquaredError,
    Parameter,
    Parameters,
    PositionalEncoding,
    Relu,
    Sequential,
    Sigmoid,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    SoftmaxOutput,
    Tanh,
    TransformerLayer,
    causal_mask,
)
from searchlab.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, RMSprop, clip_joint_norm
from searchlab.optim.schedules import Constant, CosineDecay, ExponentialDecay, Plateau, StepDecay
from searchlab.replicas import Replicas, fold_seeds
from searchlab.replicas.replicas import DRAWS_PER_KEY_BLOCK
from searchlab.training import Trainer
from tests import fake_cupy

SEEDS = [3, 14, 15]
TOLERANCE = {"rel": 1e-9, "abs": 1e-12}  # in float64


@pytest.fixture(autouse=True, params=[pytest.param("cupy", marks=pytest.mark.gpu), "fake_cupy"])
def cuda(request, monkeypatch):
    """Let the device "cuda" be CuPy, or fake_cupy."""
    if request.param == "fake_cupy":
        monkeypatch.setattr(backend, "_cupy", lambda: fake_cupy)


def replicas_on_both_devices(dtype=np.float32):
    return [Replicas(SEEDS, device=device, dtype=dtype) for device in ("cpu", "cuda")]


def test_arrays_move_to_the_device_and_back():
    on_device = to_device(np.arange(3.0), "cuda")
    assert xp_of(on_device) is xp_for_device("cuda")
    assert to_device(on_device, "cuda") is on_device
    assert to_host(on_device).tolist() == [0.0, 1.0, 2.0]


def test_both_devices_draw_the_same():
    host, device = replicas_on_both_devices()
    rates = np.array([0.1, 0.5, 0.9], dtype=np.float32)
    for _ in range(DRAWS_PER_KEY_BLOCK + 2):
        mask = device.bernoulli(to_device(rates, "cuda"), (3, 7, 5))
        assert (to_host(mask) == host.bernoulli(rates, (3, 7, 5))).all()
    assert (to_host(device.random_uint32(9)) == host.random_uint32(9)).all()
    assert to_host(device.normal(4, 2)) == pytest.approx(host.normal(4, 2))
    assert to_host(device.uniform(4, scale=[1.0, 2.0, 3.0])) == pytest.approx(host.uniform(4, scale=[1.0, 2.0, 3.0]))
    assert (to_host(device.full(2, value=[1.0, 2.0, 3.0])) == host.full(2, value=[1.0, 2.0, 3.0])).all()
    counts = np.array([9, 9, 8])
    assert (device.permutations(counts, 8) == host.permutations(counts, 8)).all()


LAYERS = {
    "affine": lambda replicas: Affine(replicas, 6, 4),
    "relu": lambda replicas: Relu(replicas),
    "leaky relu": lambda replicas: LeakyRelu(replicas, slope=[0.0, 0.1, 0.3]),
    "gelu": lambda replicas: Gelu(replicas),
    "tanh": lambda replicas: Tanh(replicas),
    "sigmoid": lambda replicas: Sigmoid(replicas),
    "dropout": lambda replicas: Dropout(replicas, [0.0, 0.3, 0.7]),
    "batch norm": lambda replicas: BatchNorm(replicas, 6, momentum=[0.0, 0.5, 0.9]),
    "layer norm": lambda replicas: LayerNorm(replicas, 6, epsilon=[1e-5, 1e-3, 1e-1]),
    "sequential": lambda replicas: Sequential(Affine(replicas, 6, 5), BatchNorm(replicas, 5), Relu(replicas)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("leading", [(5,), (4, 5)])
def test_layers_agree(build, leading, dtype):
    x = np.random.default_rng(0).standard_normal((3, *leading, 6)).astype(dtype)
    results = []
    for replicas in replicas_on_both_devices(dtype):
        layer = build(replicas)
        named_parameters = layer.named_parameters()
        if named_parameters:
            Parameters(named_parameters)  # gradients are written into views of one array
        y = layer.forward(to_device(x, replicas.device), train=True)
        dx = layer.backward(y * 0.5)
        changed = [parameter.grad if parameter.trainable else parameter.value for _, parameter in named_parameters]
        y_without_training = layer.forward(to_device(x, replicas.device), train=False)
        assert xp_of(y) is xp_of(dx) is xp_of(y_without_training) is replicas.xp
        assert y.dtype == dx.dtype == y_without_training.dtype == dtype
        results.append([to_host(array) for array in (y, dx, y_without_training, *changed)])
    tolerance = TOLERANCE if dtype == np.float64 else {"rel": 1e-4, "abs": 1e-5}
    for host, device in zip(*results, strict=True):
        assert device == pytest.approx(host, **tolerance)


RECURRENT_LAYERS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def assert_close(results):
    """Assert that the results of host and device, arrays by name, are equal up to rounding."""
    for name, expected in results[0].items():
        assert results[1][name] == pytest.approx(expected, **TOLERANCE), name


def gradients_of(layer):
    return {name: to_host(parameter.grad).copy() for name, parameter in layer.named_parameters()}


@pytest.mark.parametrize("layer_class", RECURRENT_LAYERS.values(), ids=RECURRENT_LAYERS)
def test_recurrent_layers_agree(layer_class):
    generator, results = np.random.default_rng(0), []
    x, dy = generator.standard_normal((3, 4, 2, 6)), generator.standard_normal((3, 4, 2, 5))
    table, ids = generator.standard_normal((3, 7, 6)), generator.integers(7, size=(3, 4, 2))
    for replicas in replicas_on_both_devices(np.float64):
        move = partial(to_device, device=replicas.device)
        layer = layer_class(replicas, 6, 5)
        Parameters(layer.named_parameters())
        h, carry = layer.forward(move(x), train=True)
        result = {"h": to_host(h).copy(), "dx": to_host(layer.backward(move(dy))), **gradients_of(layer)}
        assert xp_of(h) is replicas.xp
        h, carry = layer.forward(move(x), carry, train=True)
        result |= {"h with carry": to_host(h).copy(), "dx with carry": to_host(layer.backward(move(dy)))}
        h, carry = layer.forward_lookup(move(table), move(ids), carry)
        result |= {"h of lookup": to_host(h), "dtable": to_host(layer.backward_lookup(move(dy)))}
        result |= {f"{name} of lookup": gradient for name, gradient in gradients_of(layer).items()}
        results.append(result | {f"carry {number}": to_host(state) for number, state in enumerate(carry)})
    assert_close(results)


def test_bidirectional_layers_agree():
    generator, results = np.random.default_rng(0), []
    x, dy = generator.standard_normal((3, 4, 2, 6)), generator.standard_normal((3, 4, 2, 9))
    for replicas in replicas_on_both_devices(np.float64):
        layer = Bidirectional(LSTM(replicas, 6, 5), GRU(replicas, 6, 4))
        Parameters(layer.named_parameters())
        y = layer.forward(to_device(x, replicas.device), train=True)
        dx = layer.backward(to_device(dy, replicas.device))
        results.append({"y": to_host(y), "dx": to_host(dx), **gradients_of(layer)})
    assert_close(results)


def test_transformer_layers_agree():
    generator, results = np.random.default_rng(0), []
    (x, dy), source = generator.standard_normal((2, 3, 4, 2, 8)), generator.standard_normal((3, 5, 2, 8))
    places = np.arange(5) < np.array([[2, 5], [5, 1], [3, 4]])[..., None]  # (R, B, T_in)
    for replicas in replicas_on_both_devices(np.float64):
        move = partial(to_device, device=replicas.device)
        layer = TransformerLayer(replicas, 8, 2, 6, dropout=[0.0, 0.3, 0.6], attends_to_source=True, rotary=True)
        positions, masks = PositionalEncoding(replicas, 8), {"source_mask": move(places[:, :, None, None])}
        Parameters(layer.named_parameters())
        moved = positions.forward(move(x), train=True, start=2)
        mask = causal_mask(moved, 4)
        y, past = layer.forward(moved, mask=mask, source=move(source), **masks, train=True)
        result = {"y": to_host(y), "dx": to_host(layer.backward(move(dy))), **gradients_of(layer)}
        result["dsource"] = to_host(layer.source_gradient())
        result["weights"] = to_host(layer.source_attention.weights)
        mask = causal_mask(moved, 4, past=4, context=3)
        known = layer.source_attention.keys_values(move(source), train=False)
        y, _ = layer.forward(moved, mask=mask, past=past, source=known, **masks, train=False)
        results.append(result | {"y after the past": to_host(y)})
    assert_close(results)


@pytest.mark.parametrize("words", [6, ONE_HOT_MAX_ROWS, ONE_HOT_MAX_ROWS + 1])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_gathered_and_scattered_rows_agree(words, dtype):
    generator, results = np.random.default_rng(0), []
    store, values = generator.standard_normal((3, words * 5 + 2)), generator.standard_normal((3, 40, 5))
    rows = generator.integers(words, size=(3, 40)).astype(dtype)
    for replicas in replicas_on_both_devices(np.float64):
        device_store = to_device(store.copy(), replicas.device)
        table = device_store[:, 1 : 1 + words * 5].reshape(3, words, 5)
        gathered = replicas.zeros(40, 5)
        gather_rows(table, to_device(rows, replicas.device), gathered)
        scatter_add_rows(table, to_device(rows, replicas.device), to_device(values, replicas.device))
        results.append({"gathered": to_host(gathered), "store": to_host(device_store)})
    assert_close(results)
    assert (results[0]["store"] != store).any()


@pytest.mark.parametrize("words", [6, ONE_HOT_MAX_ROWS + 1])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_embeddings_and_softmax_outputs_agree(tied, words):
    generator, results = np.random.default_rng(0), []
    ids, targets = generator.integers(words, size=(2, 3, 4, 2))
    targets[0, :2], targets[2] = -1, -1
    for replicas in replicas_on_both_devices(np.float64):
        embedding = Embedding(replicas, words, 5)
        output = SoftmaxOutput(replicas, 5, words, tied_weight=embedding.W if tied else None)
        parameters = Parameters([*embedding.named_parameters(), *output.named_parameters()])
        for _ in range(2):
            h = embedding.forward(to_device(ids, replicas.device), train=True)
            loss = output.forward(h, to_device(targets, replicas.device), train=True)
            parameters.reset_gradients()
            dh = output.backward()
            embedding.backward(dh)
        result = {"loss": to_host(loss), "dh": to_host(dh), "gradients": to_host(parameters.grads)}
        results.append(result | {"scores": to_host(output.scores(h))})
        assert xp_of(loss) is xp_of(dh) is replicas.xp
    assert_close(results)


def build_language_model(replicas, cell, **options):
    if cell in CELLS:
        return RnnLM(replicas, 11, cell=cell, layers=2, hidden=5, embed=4, **options)
    options.pop("variational", None)
    return TransformerLM(replicas, 11, width=8, heads=2, inner=5, context=6, **options)


@pytest.mark.parametrize("window", [3, 8], ids=["embedded inputs", "more inputs than words"])
@pytest.mark.parametrize("options", [{}, {"tied": True}, {"dropout": [0.0, 0.3, 0.6], "variational": True}])
@pytest.mark.parametrize("cell", [*CELLS, "transformer"])
def test_language_models_agree(cell, options, window):
    ids = np.random.default_rng(0).integers(11, size=300)
    table = TokenStream(ids, Vocabulary(tuple(f"w{n}" for n in range(11))), window)
    split, results = Blocked(3).split(table), []
    for replicas in replicas_on_both_devices(np.float64):
        tokens = table.to(replicas.device)
        model = build_language_model(replicas, cell, **options)
        parameters = Parameters(model.named_parameters())
        optimizer, carry, losses = SGD(parameters, replicas, lr=LR), None, []
        for batch, _ in zip(tokens.training_batches(split, replicas, 2), range(4), strict=False):
            before = dict(fake_cupy.transfers)
            loss, carry = model.forward(batch, carry, train=True)
            parameters.reset_gradients()
            model.backward()
            optimizer.update()
            waits = fake_cupy.transfers["to_host"] - before.get("to_host", 0)
            assert waits == 0, "a step waits for the device"
            losses.append(loss)
        held_out = [Batch(each.x, each.y) for each in tokens.scoring_batches(split.held_out)]
        held_out_losses = [model.forward(each, train=False)[0] for each in held_out]
        scores, carry = model.predict(batch, carry)
        result = {f"loss {step}": to_host(loss) for step, loss in enumerate(losses + held_out_losses)}
        results.append(result | {"parameters": to_host(parameters.values), "scores": to_host(scores)})
        assert xp_of(scores) is replicas.xp
    assert_close(results)


SUMS = [(f"{a}+{b}" if b else str(a), str(a + b)) for a, b in np.random.default_rng(0).integers(120, size=(40, 2))]
SMALL_SEQ2SEQ = partial(Seq2Seq, embed=4, hidden=5)
SEQUENCE_MODELS = {
    "plain": partial(SMALL_SEQ2SEQ, cell="gru", dropout=[0.0, 0.3, 0.6]),
    "peeky": partial(SMALL_SEQ2SEQ, reverse=True, peeky=True),
    "dot": partial(SMALL_SEQ2SEQ, attention="dot", bidirectional=True, layers=2, residual=True),
    "general": partial(SMALL_SEQ2SEQ, attention="general", pass_cell=True),
    "additive": partial(SMALL_SEQ2SEQ, attention="additive"),
    "transformer": partial(Transformer, width=8, heads=2, inner=5, dropout=[0.0, 0.3, 0.6]),
}


@pytest.mark.parametrize("build", SEQUENCE_MODELS.values(), ids=SEQUENCE_MODELS)
def test_sequence_to_sequence_models_agree(build):
    table = split_pairs(SUMS, PairFormat(), test_size=0.1, seed=0, is_test=False)
    split, results = KFold(3).split(table), []
    for replicas in replicas_on_both_devices(np.float64):
        pairs = table.to(replicas.device)
        model = build(replicas, *pairs.sizes)
        parameters = Parameters(model.named_parameters())
        parameters.values += replicas.normal(parameters.count, scale=0.3)
        optimizer, losses = SGD(parameters, replicas, lr=LR), []
        for batch, _ in zip(pairs.training_batches(split, replicas, 4), range(4), strict=False):
            before = dict(fake_cupy.transfers)
            losses.append(model.forward(batch, train=True)[0])
            parameters.reset_gradients()
            model.backward()
            optimizer.update()
            assert fake_cupy.transfers["to_host"] == before.get("to_host", 0), "a step waits for the device"
        metrics = [ExactMatch(), TokenAccuracy(beam=2)]
        shares = [metric.measure(model, pairs.scoring_batches(split.held_out)) for metric in metrics]
        decoded = [model.decode(batch, beam=beam) for beam in (1, 3)]
        result = {f"loss {step}": to_host(loss) for step, loss in enumerate(losses)}
        result |= {f"score {index}": to_host(share) for index, share in enumerate(shares)}
        for index, each in enumerate(decoded):
            result |= {f"ids {index}": to_host(each.ids), f"log {index}": to_host(each.log_probabilities)}
        maps = model.attention_maps(batch)
        results.append(result | {"parameters": to_host(parameters.values)} | ({} if maps is None else {"maps": maps}))
        assert xp_of(decoded[0].ids) is replicas.xp
    assert_close(results)


LOSSES = {
    "softmax": SoftmaxCrossEntropy,
    "smoothed": partial(SoftmaxCrossEntropy, smoothing=[0.0, 0.1, 0.3]),
    "squared": MeanSquaredError,
    "sigmoid": SigmoidCrossEntropy,
}


@pytest.mark.parametrize("outputs", [4, 100])
@pytest.mark.parametrize("leading", [(5,), (2, 5)])
@pytest.mark.parametrize("dense", [False, True], ids=["labels", "probabilities"])
@pytest.mark.parametrize("build", LOSSES.values(), ids=LOSSES)
def test_losses_agree(build, dense, leading, outputs):
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((3, *leading, outputs))
    probabilities = generator.dirichlet(np.ones(outputs), (3, *leading))
    targets = probabilities if dense else probabilities.argmax(axis=-1)
    results = []
    for replicas in replicas_on_both_devices(np.float64):
        loss = build(replicas)
        for _ in range(2):  # the second step uses what the first one cached
            value = loss.forward(to_device(logits, replicas.device), to_device(targets, replicas.device))
            gradient = loss.backward()
        assert xp_of(value) is xp_of(gradient) is replicas.xp
        results.append({"loss": to_host(value), "gradient": to_host(gradient)})
    assert_close(results)


LR = [0.1, 0.05, 0.02]
OPTIMIZERS = {
    "sgd": partial(SGD, lr=LR),
    "momentum": partial(Momentum, lr=LR, momentum=[0.0, 0.5, 0.9]),
    "nesterov": partial(Nesterov, lr=LR, momentum=[0.0, 0.5, 0.9]),
    "adagrad": partial(AdaGrad, lr=LR, initial_accumulator=[0.1, 0.0, 1.0]),
    "rmsprop": partial(RMSprop, lr=LR, rho=[0.5, 0.9, 0.99], momentum=[0.0, 0.5, 0.9]),
    "adam": partial(Adam, lr=LR, beta1=[0.5, 0.9, 0.99]),
    "adamw": partial(AdamW, lr=LR, weight_decay=[0.0, 0.1, 0.5]),
}


@pytest.mark.parametrize("build", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_agree(build, monkeypatch):
    monkeypatch.setattr("searchlab.optim.optimizer.BLOCK_VALUES", 7)  # on the host only
    generator = np.random.default_rng(0)
    start, gradients = generator.standard_normal((3, 4, 5)), generator.standard_normal((6, 3, 25))
    results = []
    for replicas in replicas_on_both_devices(np.float64):
        weights = Parameter(to_device(start, replicas.device), apply_weight_decay=True)
        parameters = Parameters([("W", weights), ("b", Parameter(replicas.zeros(1, 5)))])
        optimizer = build(parameters, replicas)
        for gradient in gradients:
            parameters.grads[...] = to_device(gradient, replicas.device)
            parameters.add_l2_gradient(replicas.vector([0.0, 0.1, 0.2]))
            clip_joint_norm(parameters.grads, replicas.vector([1.0, 5.0, 100.0]))
            optimizer.update()
        assert xp_of(parameters.values) is replicas.xp
        results.append(parameters.state() | optimizer.state())
    assert_close(results)


AUGMENTATIONS = {
    "noise": partial(GaussianNoise, scale=[0.0, 0.1, 0.5]),
    "shift": partial(Shift, pixels=[0, 1, 3]),
}


@pytest.mark.parametrize("build", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmentations_agree(build):
    x = np.random.default_rng(0).standard_normal((3, 7, 5 * 3)).astype(np.float32)
    host, device = ((replicas, build(replicas, (5, 3))) for replicas in replicas_on_both_devices())
    for _ in range(3):
        changed = device[1].apply(to_device(x, "cuda"))
        assert changed.dtype == np.float32
        assert to_host(changed) == pytest.approx(host[1].apply(x.copy()), rel=1e-5, abs=1e-5)
    assert (device[0].state()["draws"] == host[0].state()["draws"]).all()


def blobs(**options):
    """Return a thousand points around ten centers: data that needs no file and no package."""
    generator = np.random.default_rng(0)
    labels = generator.integers(10, size=1000)
    points = generator.standard_normal((10, 64))[labels] + generator.standard_normal((1000, 64))
    return Examples(points.astype(np.float32), labels, outputs=10, image_shape=(8, 8), **options)


def regression_data():
    """Return two targets to predict from inputs, both far from zero; feature 5 is constant."""
    x = blobs().x
    y = np.tanh(x[:, :2] @ np.array([[0.5, -0.2], [0.3, 0.4]], np.float32))
    scale = np.where(np.arange(64) == 5, 0.0, 7.0).astype(np.float32)
    return Examples(x * scale + 50.0, 20.0 * y + 300.0, outputs=2, standardize=True, standardize_targets=True)


def build_trainer(device, rows=range(10), optimizer=Adam, lr=None, table=None, metric=None, model=(), **options):
    rows = np.array(rows)
    table = (blobs() if table is None else table).to(device)
    replicas = Replicas(np.array(fold_seeds(0, 5), np.uint64)[rows % 5], device=device)
    build_model = partial(MLP, hidden=16, dropout=np.linspace(0.0, 0.5, 10)[rows], **dict(model))
    lr = (np.geomspace(1e-3, 1e-2, 10) if lr is None else lr)[rows]
    clip_norm = np.geomspace(0.5, 5.0, 10)[rows]
    split = KFold(5).split(table)[rows % 5]
    build_optimizer = partial(optimizer, lr=lr)
    options = {"batch_size": 64, "clip_norm": clip_norm, **options}
    return Trainer(replicas, table, split, metric or Accuracy(), build_model, build_optimizer, **options)


def trainers_on_both_devices(**options):
    return [build_trainer(device, **options) for device in ("cpu", "cuda")]


def assert_same_training(host, device, epochs=2):
    """Train on both devices, and assert that the reports and the optimizers agree."""
    for _ in range(epochs):
        expected, report = host.advance(), device.advance()
        assert report.loss == pytest.approx(expected.loss, rel=1e-3)
        assert report.score == pytest.approx(expected.score, abs=0.02)
        assert isinstance(report.loss, np.ndarray)
        assert report.failures == expected.failures
    assert {array.dtype for array in (device.optimizer.lr, *device.optimizer.slots().values())} == {np.dtype("f4")}
    assert to_host(device.optimizer.lr) == pytest.approx(host.optimizer.lr, rel=1e-5)


@pytest.mark.parametrize("optimizer", [SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam, AdamW])
def test_training_agrees_with_the_host(optimizer):
    assert_same_training(*trainers_on_both_devices(optimizer=optimizer))


FRACTIONS = np.linspace(0.1, 1.0, 10)
OPTIONS = {
    "standardized": {"table": blobs(standardize=True)},
    "l2": {"l2": FRACTIONS / 100},
    "constant": {"schedule": partial(Constant, warmup=FRACTIONS)},
    "step decay": {"schedule": partial(StepDecay, every=FRACTIONS, factor=FRACTIONS)},
    "exponential": {"schedule": partial(ExponentialDecay, rate=FRACTIONS)},
    "cosine": {"schedule": partial(CosineDecay, floor=FRACTIONS, warmup=FRACTIONS), "epochs": 2},
    "plateau": {"schedule": partial(Plateau, factor=FRACTIONS, threshold=1.0)},
    "noise": {"augmentation": partial(GaussianNoise, scale=FRACTIONS)},
    "shift": {"augmentation": partial(Shift, pixels=np.arange(10) % 4)},
    "batch norm": {"model": {"normalization": partial(BatchNorm, momentum=FRACTIONS / 2), "layers": 2}},
    "layer norm": {"model": {"normalization": LayerNorm}},
    "gelu": {"model": {"activation": Gelu}},
    "leaky relu": {"model": {"activation": partial(LeakyRelu, slope=FRACTIONS / 3)}},
    "smoothing": {"model": {"loss": partial(SoftmaxCrossEntropy, smoothing=FRACTIONS / 2)}},
    "sigmoid": {"model": {"loss": SigmoidCrossEntropy}},
    "regression": {"table": regression_data(), "metric": RootMeanSquaredError(), "model": {"loss": MeanSquaredError}},
}
EVERYTHING = {
    **OPTIONS["standardized"], **OPTIONS["l2"], **OPTIONS["plateau"], **OPTIONS["noise"], **OPTIONS["batch norm"],
}  # fmt: skip


@pytest.mark.parametrize("options", [*OPTIONS.values(), EVERYTHING], ids=[*OPTIONS, "everything"])
def test_training_with_options_agrees_with_the_host(options):
    assert_same_training(*trainers_on_both_devices(**options))


def test_both_devices_standardize_inputs_the_same():
    data = [each.data for each in trainers_on_both_devices(**OPTIONS["regression"])]
    for host, device in ([each.scaling for each in data], [each.target_scaling for each in data]):
        for expected, actual in ((host.mean, device.mean), (host.scale, device.scale)):
            assert actual.dtype == np.float32
            assert to_host(actual) == pytest.approx(expected, rel=1e-6)
    assert (to_host(data[1].scaling.scale)[:, 5] == 1.0).all(), "a constant feature has scale 1"


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
def test_training_continues_after_resuming_and_after_selecting_replicas(options):
    uninterrupted, resumed, selected = (build_trainer("cuda", **options) for _ in range(3))
    uninterrupted.advance()
    selected.advance()
    resumed.restore(1, uninterrupted.state())
    selected.select_replicas(np.array([7, 2]))
    expected, resumed_report, selected_report = uninterrupted.advance(), resumed.advance(), selected.advance()
    assert resumed_report.loss == pytest.approx(expected.loss, rel=1e-6)
    assert selected_report.loss == pytest.approx(expected.loss[[7, 2]], rel=1e-3)
    assert all(isinstance(array, np.ndarray) for array in uninterrupted.state().values())


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
def test_a_device_resumes_from_a_state_of_the_host(options):
    host, device = trainers_on_both_devices(**options)
    host.advance()
    device.restore(1, host.state())
    assert device.advance().loss == pytest.approx(host.advance().loss, rel=1e-3)


def test_divergence_stays_in_its_replica():
    lr = np.where(np.arange(10) == 4, 1e6, 1e-2)
    trainer = build_trainer("cuda", optimizer=SGD, lr=lr)
    trainer.clip_norm = None
    for _ in range(3):
        failures = trainer.advance().failures
    assert failures[4].startswith("diverged in epoch 3")
    assert failures[:4] + failures[5:] == (None,) * 9
