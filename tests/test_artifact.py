"""The artifact: float16 weights and a manifest, read back as the model that was written."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from searchlab import artifact
from searchlab.artifact.format import manifest_sum
from searchlab.data import Batch, EveryRow, Scaling, Vocabulary
from searchlab.data.pair_tables import PairFormat, split_pairs
from searchlab.errors import UserMistake
from searchlab.nn import BatchNorm, LeakyRelu, MeanSquaredError, Parameters, Tanh, random_normal
from searchlab.nn.import_paths import SWEEP_FILE_PREFIX
from searchlab.replicas import Replicas

ARGUMENTS = {"hidden": 5, "layers": 2, "activation": Tanh, "dropout": 0.3}


def weights_of(model):
    """Return the parameters of the only replica of a model."""
    return {name: value[0] for name, value in Parameters(model.named_parameters()).state().items()}


@pytest.fixture
def written(tmp_path):
    model = MLP(Replicas([4]), 3, 2, **ARGUMENTS)
    weights = weights_of(model)
    artifact.save(tmp_path, weights, MLP, ARGUMENTS, (3, 2), {"sweep": "s"})
    return tmp_path, model


def test_a_loaded_artifact_predicts_as_the_model_to_the_precision_of_float16(written):
    folder, model = written
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    scores, _ = model.predict(Batch(x[None], np.zeros((1, 7), np.int64)))
    loaded = artifact.load(folder)
    np.testing.assert_allclose(loaded.predict(x), scores[0], atol=5e-3)
    assert not np.array_equal(loaded.predict(x), scores[0]), "float32 weights would give the same bits"
    assert loaded.manifest["sweep"] == "s"
    assert loaded.manifest["model"]["arguments"]["activation"] == {"import": "searchlab.nn.activations:Tanh"}


def test_weights_are_float16_without_a_replica_axis_and_without_pickle(written):
    with np.load(written[0] / "weights.npz", allow_pickle=False) as packed:
        assert {packed[name].dtype for name in packed.files} == {np.dtype(np.float16)}
        assert packed["layers.layers.0.W"].shape == (3, 5)


def test_parts_with_arguments_are_restored(tmp_path):
    arguments = {"hidden": (5, 4), "activation": partial(LeakyRelu, slope=0.25), "normalization": BatchNorm}
    arguments |= {"loss": MeanSquaredError, "initializer": partial(random_normal, scale=0.5)}
    parameters = Parameters(MLP(Replicas([4]), 3, 2, **arguments).named_parameters())
    weights = {name: parameter.value[0] for name, parameter in parameters.trainable.items()}
    buffers = {name: parameter.value[0] + 1e5 for name, parameter in parameters.buffers.items()}
    assert sorted(buffers) == [f"layers.layers.{at}.{name}" for at in (1, 5) for name in ("mean", "variance")]
    artifact.save(tmp_path, weights, MLP, arguments, (3, 2), {}, buffers=buffers)
    loaded = artifact.load(tmp_path)
    layers = loaded.model.layers.layers
    assert layers[2].slope == pytest.approx([0.25])
    assert type(loaded.model.loss) is MeanSquaredError
    assert layers[1].mean.value == pytest.approx(np.full((1, 1, 5), 1e5)), "beyond float16, and float32 holds it"
    assert loaded.manifest["weights"]["other_dtypes"] == dict.fromkeys(buffers, "float32")


def test_inputs_are_standardized_as_in_training(written):
    folder, model = written
    weights = weights_of(model)
    mean, scale = np.array([[1e5, 0.0, -3.0]], np.float32), np.array([[1e3, 1.0, 0.5]], np.float32)
    artifact.save(folder, weights, MLP, ARGUMENTS, (3, 2), {}, scaling=Scaling(mean, scale))
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    scores, _ = model.predict(Batch(x[None], np.zeros((1, 7), np.int64)))
    np.testing.assert_allclose(artifact.load(folder).predict(x * scale + mean), scores[0], atol=5e-3)


def test_images_and_flat_inputs_predict_the_same(tmp_path):
    model = MLP(Replicas([4]), 6, 2)
    weights = weights_of(model)
    artifact.save(tmp_path, weights, MLP, {}, (6, 2), {}, scaling=Scaling(np.ones((1, 6)), np.full((1, 6), 2.0)))
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    assert (artifact.load(tmp_path).predict(x) == artifact.load(tmp_path).predict(x.reshape(5, 6))).all()


def test_positional_arguments_of_a_partial_are_restored(tmp_path):
    arguments = {"initializer": partial(scaled, 0.25)}
    weights = weights_of(MLP(Replicas([4]), 3, 2))
    artifact.save(tmp_path, weights, MLP, arguments, (3, 2), {})
    assert artifact.load(tmp_path).manifest["model"]["arguments"]["initializer"]["first"] == [0.25]


def scaled(scale, replicas, fan_in, fan_out):
    return replicas.normal(fan_in, fan_out, scale=scale)


TEXT = "the cat <unk> a dog\nand the café"
WORDS = Vocabulary.from_tokens(["the", "cat", "<unk>", "a", "dog", "<eos>", "and", "café"])
LETTERS = Vocabulary.from_tokens(TEXT, unit="char")


def write_language_model(folder, vocabulary):
    """Write the artifact of a language model of this vocabulary, and return its folder."""
    model = RnnLM(Replicas([4]), len(vocabulary), hidden=6, embed=5)
    weights = weights_of(model)
    artifact.save(
        folder, weights, RnnLM, {"hidden": 6, "embed": 5}, (len(vocabulary),), {"sweep": "s"}, vocabulary=vocabulary
    )
    return folder


@pytest.mark.parametrize("vocabulary", [WORDS, LETTERS])
def test_the_vocabulary_is_stored_and_texts_are_generated(tmp_path, vocabulary):
    loaded = artifact.load(write_language_model(tmp_path, vocabulary))
    assert loaded.vocabulary == vocabulary
    assert loaded.manifest["vocabulary"]["words"] == len(vocabulary)
    text = loaded.generate("the cat", 40, seed=3)
    assert text == loaded.generate("the cat", 40, seed=3) != loaded.generate("the cat", 40, seed=4)
    assert text.startswith("the cat")
    assert len(vocabulary.encode(text)) == len(vocabulary.encode("the cat")) + 40
    assert ("café" in (tmp_path / "vocabulary.json").read_text(encoding="utf-8")) == (vocabulary is WORDS)


def test_skipped_tokens_are_never_generated_and_may_be_unknown(tmp_path):
    loaded = artifact.load(write_language_model(tmp_path, WORDS))
    text = loaded.generate("the", 300, skip_tokens=["<unk>", "<eos>", "cat", "unheard"]).split()
    assert set(text) == {"the", "a", "dog", "and", "café"}
    assert "<unk>" not in loaded.generate("a", 300).split()
    assert "<unk>" in loaded.generate("a", 300, skip_tokens=[]).split()
    greedy = loaded.generate("a", 20, temperature=0.0)
    assert greedy == loaded.generate("a", 20, top_k=1, seed=9)


def test_a_text_that_cannot_be_generated_is_a_user_mistake(tmp_path, written):
    loaded = artifact.load(write_language_model(tmp_path / "language_model", WORDS))
    with pytest.raises(UserMistake, match="at least 1 word"):
        loaded.generate("")
    with pytest.raises(UserMistake, match="temperature"):
        loaded.generate("the", temperature=-1.0)
    with pytest.raises(UserMistake, match="no vocabulary"):
        artifact.load(written[0]).generate("the")


def test_a_changed_vocabulary_is_a_user_mistake(tmp_path):
    path = write_language_model(tmp_path, WORDS) / "vocabulary.json"
    path.write_text(path.read_text().replace("cat", "cot"))
    with pytest.raises(UserMistake, match=r"vocabulary\.json .* SHA-256 differs"):
        artifact.load(tmp_path)


def test_weights_that_are_no_finite_numbers_are_an_error(tmp_path):
    for value in (np.inf, np.nan, 1e39):
        with pytest.raises(OverflowError, match="W has weights that are no finite numbers"):
            artifact.save(tmp_path, {"W": np.array([value])}, MLP, {}, (3, 2), {})


def test_changed_weights_are_a_user_mistake(written):
    path = written[0] / "weights.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserMistake, match="SHA-256 differs"):
        artifact.load(written[0])


def test_a_folder_without_an_artifact_is_a_user_mistake(tmp_path):
    with pytest.raises(UserMistake, match="does not hold an artifact"):
        artifact.load(tmp_path)


def rewrite_manifest(folder, change):
    """Change a manifest as somebody does who knows how its sum is made."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    manifest["sha256"] = manifest_sum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def with_class(path):
    return lambda manifest: manifest["model"].update({"class": path})


def with_part(part):
    return lambda manifest: manifest["model"]["arguments"].update(activation=part)


def test_a_model_that_cannot_be_imported_is_a_user_mistake(written):
    rewrite_manifest(written[0], with_class("models.gone:MLP"))
    with pytest.raises(UserMistake, match=r"needs models\.gone:MLP.*project"):
        artifact.load(written[0])


def test_a_model_of_a_sweep_file_names_the_way_to_load_it(written):
    rewrite_manifest(written[0], with_class(f"{SWEEP_FILE_PREFIX}gone:MLP"))
    with pytest.raises(UserMistake, match="a sweep file defines it"):
        artifact.load(written[0])


RUNS_CODE = "subprocess", "os", "builtins", "importlib", "searchlab.cli", "searchlab.space.loader", "numpy", "ray"


@pytest.mark.parametrize("module", RUNS_CODE)
def test_a_manifest_cannot_name_what_is_no_part_of_a_network(written, module):
    for change in (with_class(f"{module}:f"), with_part({"import": f"{module}:f", "with": {}, "first": ["a"]})):
        rewrite_manifest(written[0], change)
        with pytest.raises(UserMistake, match=rf"names {module}:f, which is neither a part of a network"):
            artifact.load(written[0])
        rewrite_manifest(written[0], with_class("models.mlp:MLP"))


@pytest.mark.parametrize(
    "path", ["models.mlp:np.load", "models.mlp:Sequential", "searchlab.nn.affine:xp_of", "models.mlp:"]
)
def test_a_manifest_cannot_reach_what_a_module_has_imported(written, path):
    rewrite_manifest(written[0], with_class(path))
    with pytest.raises(UserMistake, match=r"no class or function of that module|cannot be imported"):
        artifact.load(written[0])


@pytest.mark.parametrize("path", ["searchlab.nn.activations:Relu", "searchlab.nn.initializers:he_normal"])
def test_the_class_in_a_manifest_is_a_model(written, path):
    rewrite_manifest(written[0], with_class(path))
    with pytest.raises(UserMistake):
        artifact.load(written[0])


def test_an_installed_package_is_imported_where_the_caller_allows_it(written, tmp_path):
    rewrite_manifest(written[0], with_class("pluggy:Missing"))
    with pytest.raises(UserMistake, match=r"allow=\['pluggy'\]"):
        artifact.load(written[0])
    with pytest.raises(UserMistake, match="cannot be imported"):
        artifact.load(written[0], allow=["pluggy"])


def test_another_format_is_refused(written):
    rewrite_manifest(written[0], lambda manifest: manifest.update(format=99))
    with pytest.raises(UserMistake, match="format 99, and this version of searchlab reads format 1"):
        artifact.load(written[0])


def test_a_changed_manifest_is_a_user_mistake(written):
    path = written[0] / "manifest.json"
    path.write_text(path.read_text().replace("Tanh", "Relu"))
    with pytest.raises(UserMistake, match=r"manifest\.json has changed"):
        artifact.load(written[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["weights"].update(file="../weights.npz"),
        lambda manifest: manifest["model"].update(sizes=[7, 2]),
        lambda manifest: manifest["model"].update(sizes="32"),
        lambda manifest: manifest["model"].update(sizes=[10**12, 10**12]),
        lambda manifest: manifest["model"]["arguments"].update(hidden=-1),
        lambda manifest: manifest["model"]["arguments"].update(unknown=1),
        lambda manifest: manifest.pop("weights"),
        lambda manifest: manifest.update(model=None),
        lambda manifest: manifest["model"].update({"class": 7}),
    ],
)
def test_a_manifest_that_does_not_fit_is_a_user_mistake(written, change):
    rewrite_manifest(written[0], change)
    with pytest.raises(UserMistake):
        artifact.load(written[0])


def test_a_linked_weights_file_is_refused(written):
    path = written[0] / "weights.npz"
    path.rename(written[0] / "elsewhere.npz")
    path.symlink_to("elsewhere.npz")
    with pytest.raises(UserMistake, match=r"no plain file weights\.npz"):
        artifact.load(written[0])


@pytest.mark.parametrize("write", [np.savez_compressed, np.savez], ids=["compressed", "with NaN"])
def test_weights_that_unpack_to_more_or_are_not_numbers_are_refused(written, write):
    path, value = written[0] / "weights.npz", 0.0 if write is np.savez_compressed else np.nan
    write(path, W=np.full(10**6, value, np.float16))
    rewrite_manifest(written[0], lambda m: m["weights"].update(sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(UserMistake, match=r"claim to unpack|no finite numbers"):
        artifact.load(written[0])


def test_damaged_files_are_refused_or_mean_the_same(written):
    """Bytes that change, are cut off, are repeated, or are replaced by another file's."""
    folder, _ = written
    contents = {name: (folder / name).read_bytes() for name in ("weights.npz", "manifest.json")}
    expected, draws, x = artifact.load(folder), np.random.default_rng(0), np.ones((1, 3))
    for _ in range(400):
        name = str(draws.choice(list(contents)))
        (folder / name).write_bytes(damaged(contents[name], contents["weights.npz"], draws))
        try:
            loaded = artifact.load(folder)
        except UserMistake:
            pass
        else:
            assert loaded.manifest == expected.manifest
            assert (loaded.predict(x) == expected.predict(x)).all()
        (folder / name).write_bytes(contents[name])


def damaged(content, other, draws):
    """Return content with random damage."""
    at, length = int(draws.integers(len(content))), int(draws.integers(1, 40))
    random = draws.integers(256, size=length, dtype=np.uint8).tobytes()
    return [
        lambda: content[:at] + bytes([content[at] ^ (1 << int(draws.integers(8)))]) + content[at + 1 :],
        lambda: content[:at] + random + content[at + length :],
        lambda: content[:at],
        lambda: content[:at] + content[at + length :],
        lambda: content[:at] + content[at : at + length] * 2 + content[at + length :],
        lambda: other[:at] + content[at:],
    ][int(draws.integers(6))]()


def test_a_model_without_an_import_path_is_a_user_mistake(tmp_path):
    with pytest.raises(UserMistake, match="import path"):
        artifact.save(tmp_path, {}, lambda replicas: None, {}, (3, 2), {})


@pytest.mark.parametrize("padding", ["masked", "learned"])
def test_a_model_of_pairs_of_sequences_translates(tmp_path, padding):
    sums = [(f"{a}+{a // 2}", str(a + a // 2)) for a in range(40)]
    table = split_pairs(sums, PairFormat(padding=padding), test_size=0.1, seed=0, is_test=False)
    arguments = {"hidden": 9, "reverse": True, "attention": "dot", "bidirectional": True}
    model = Seq2Seq(Replicas([4]), *table.sizes, **arguments)
    parameters = Parameters(model.named_parameters())
    parameters.values += Replicas([5]).normal(parameters.count, scale=0.5)
    artifact.save(
        tmp_path, weights_of(model), Seq2Seq, arguments, table.sizes, {}, sequence_format=table.sequence_format
    )
    loaded = artifact.load(tmp_path)
    assert loaded.sequence_format == table.sequence_format
    batch = next(table.scoring_batches(EveryRow().split(table).train))
    written = loaded.model.decode(batch).ids
    for row in range(5):
        text = table.sequence_format.target_text(written[0, :, row])
        assert loaded.translate(table.source_text(row)) == text
        assert len(loaded.translate(table.source_text(row), beam=3)) <= table.sequence_format.max_length
    assert len({loaded.translate(source) for source, _ in sums}) > 5
    with pytest.raises(UserMistake, match="a source has at least 1 token"):
        loaded.translate("")
    with pytest.raises(UserMistake, match="generate needs a language model, and this artifact has pairs of sequences"):
        loaded.generate("1")


def test_translate_needs_a_model_of_pairs_of_sequences(written):
    with pytest.raises(UserMistake, match="translate needs a model of pairs of sequences"):
        artifact.load(written[0]).translate("1+1")


@pytest.mark.parametrize("sequences", [{"max_length": 10**9, "source_width": None}, {"max_length": None}, {}])
def test_damaged_lengths_of_sequences_are_refused(tmp_path, sequences):
    table = split_pairs([(str(n), str(n)) for n in range(20)], PairFormat(), test_size=0.1, seed=0, is_test=False)
    model = Seq2Seq(Replicas([4]), *table.sizes, hidden=3)
    artifact.save(
        tmp_path, weights_of(model), Seq2Seq, {"hidden": 3}, table.sizes, {}, sequence_format=table.sequence_format
    )
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["sequences"] = sequences
    manifest["sha256"] = manifest_sum(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserMistake, match="does not hold an artifact that can be read"):
        artifact.load(tmp_path)
