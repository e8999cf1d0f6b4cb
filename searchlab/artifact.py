"""The artifact of a sweep: the weights of the winner in float16, and a manifest that describes them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.scaling import Scaling
from searchlab.data.vocabulary import UNKNOWN, Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn.generation import generate
from searchlab.nn.import_paths import decode_parts, encode_parts, import_part, import_path
from searchlab.nn.module import Model
from searchlab.nn.parameter import Parameters
from searchlab.nn.target_unit import in_target_unit
from searchlab.replicas import Replicas

FORMAT = 1
SUM = "sha256"  # the entry of the manifest with the sum of all others
# what reading damaged files, or building a model from them, can raise
DAMAGE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,  # an unknown compression
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
WEIGHTS, MANIFEST, VOCABULARY = "weights.npz", "manifest.json", "vocabulary.json"
SCALING = ("inputs/mean", "inputs/scale")  # the names of the scaling among the weights
TARGET_SCALING = ("targets/mean", "targets/scale")


@dataclass(frozen=True)
class Artifact:
    """A trained model that was read from files: one replica, which computes in float32.

    Args:
        model: The model.
        manifest: What the manifest says: the class and the arguments of the model, and how it was found and tested.
        scaling: Mean and scale, (1, features) each, by which inputs are standardized; default None where they are not.
        target_scaling: Mean and scale, (1, outputs) each, by which targets were standardized; default None.
        vocabulary: The tokens of a language model; default None.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from searchlab.artifact import load, save
        >>> from searchlab.testing.linear_model import LinearModel
        >>> weights = {"affine.W": np.array([[1.0, -1.0]]), "affine.b": np.array([[0.0, 0.5]])}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, weights, LinearModel, arguments={}, sizes=(1, 2), metadata={"sweep": "mine"})
        ...     artifact = load(folder)
        >>> artifact.predict([[2.0], [-1.0]]).tolist()  # two rows of one feature
        [[2.0, -1.5], [-1.0, 1.5]]
        >>> artifact.manifest["sweep"]
        'mine'
    """

    model: Model
    manifest: Mapping[str, Any]
    scaling: Scaling | None = None
    target_scaling: Scaling | None = None
    vocabulary: Vocabulary | None = None

    def predict(self, x: Array) -> Array:
        """Return the scores of the model for inputs as they are in the data, or numbers in the unit of the targets.

        Args:
            x: Inputs (B, features), or images (B, height, width).

        Returns:
            Scores (B, outputs); of a classifier, the largest one is at the predicted class.
        """
        inputs: Array = np.array(x, dtype=self.scaling.mean.dtype if self.scaling else np.float32)[None]  # a copy
        if inputs.ndim == 4 and inputs.shape[2] * inputs.shape[3] == self.manifest["model"]["sizes"][0]:
            inputs = inputs.reshape(*inputs.shape[:2], -1)
        if self.scaling:
            inputs = self.scaling.standardize(inputs)
        model = in_target_unit(self.model, self.target_scaling)
        scores, _ = model.predict(Batch(inputs, np.zeros(inputs.shape[:2], dtype=np.int64)))
        first: Array = scores[0]
        return first

    def generate(
        self,
        prompt: str,
        length: int = 50,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        skip_tokens: Sequence[str] = (UNKNOWN,),
        seed: int = 0,
    ) -> str:
        """Return the prompt and the text with which a language model continues it.

        Args:
            prompt: Text of at least one word or character.
            length: Number of words or characters to add; default 50.
            temperature: Divisor of the scores before the softmax; 0 always takes the likeliest token; default 1.
            top_k: Number of likeliest tokens that may be drawn; default None, all.
            skip_tokens: Tokens that are never drawn, whether in the vocabulary or not; default `<unk>`.
            seed: Random seed; default 0.

        Raises:
            UserMistake: When the artifact has no vocabulary, the prompt is empty, or an argument is out of range.
        """
        if self.vocabulary is None:
            raise UserMistake("generate needs a language model, and this artifact has no vocabulary.")
        start = self.vocabulary.encode(prompt)
        skip_ids = [index for index, token in enumerate(self.vocabulary.tokens) if token in skip_tokens]
        ids = generate(self.model, start, length, seed=seed, temperature=temperature, top_k=top_k, skip_ids=skip_ids)
        return self.vocabulary.decode(ids[0])


def save(
    folder: Path | str,
    weights: Mapping[str, Array],
    model: Callable[..., Model],
    arguments: Mapping[str, Any],
    sizes: Sequence[int],
    metadata: Mapping[str, Any],
    *,
    buffers: Mapping[str, Array] | None = None,
    scaling: Scaling | None = None,
    target_scaling: Scaling | None = None,
    vocabulary: Vocabulary | None = None,
) -> None:
    """Write a trained model to a folder: weights in float16, a manifest, and the vocabulary where there is one.

    Buffers and the scaling are not rounded to float16: they are few numbers, in the units of the data, which float16
    may not hold.

    Args:
        folder: The folder; it is made if need be, and files in it are replaced.
        weights: The trainable parameters of one replica by name, without replica axis.
        model: The class or function that builds the model; it must be importable by its name.
        arguments: The keyword arguments of the model.
        sizes: The sizes of the data, which the model takes after the replicas.
        metadata: More entries of the manifest, as JSON values.
        buffers: The parameters that are not trainable (running statistics) by name; default none.
        scaling: Mean and scale, (1, features) each, by which inputs are standardized; default None.
        target_scaling: Mean and scale, (1, outputs) each, by which targets were standardized; default None.
        vocabulary: The tokens of a language model; default None.

    Raises:
        OverflowError: When a weight is beyond the range of float16.
        UserMistake: When the model, or a class or function among its arguments, cannot be imported by name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from searchlab.artifact import save
        >>> from searchlab.testing.linear_model import LinearModel
        >>> weights = {"affine.W": np.zeros((4, 3)), "affine.b": np.zeros((1, 3))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, weights, LinearModel, arguments={}, sizes=(4, 3), metadata={})
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['manifest.json', 'weights.npz']
    """
    folder = Path(folder)
    with np.errstate(under="ignore"):  # weights too small for float16 become 0
        halves = {name: np.asarray(value, dtype=np.float16) for name, value in weights.items()}
    for name, half in halves.items():
        if not np.isfinite(half).all():
            raise OverflowError(f"{name} has weights beyond the range of float16 (65,504)")
    exact = {name: np.asarray(value, dtype=np.float32) for name, value in (buffers or {}).items()}
    for names, each in ((SCALING, scaling), (TARGET_SCALING, target_scaling)):
        exact |= dict(zip(names, (each.mean[0], each.scale[0]), strict=True)) if each else {}
    arrays: dict[str, Any] = halves | exact
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, allow_pickle=False, **arrays)
    manifest = {
        "format": FORMAT,
        "model": {"class": import_path(model), "sizes": list(sizes), "arguments": encode_parts(dict(arguments))},
        "weights": {
            "file": WEIGHTS,
            "dtype": "float16",
            "other_dtypes": {name: str(array.dtype) for name, array in sorted(exact.items())},
            "parameters": sum(half.size for half in halves.values()),
            "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        },
        **_write_vocabulary(folder, vocabulary),
        **metadata,
    }
    manifest = json.loads(json.dumps(manifest))  # as it will be read: the sum is of these values
    (folder / MANIFEST).write_text(json.dumps({**manifest, SUM: manifest_sum(manifest)}, indent=2) + "\n")


def manifest_sum(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its sum."""
    content = {name: value for name, value in manifest.items() if name != SUM}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load(folder: Path | str, *, allow: Collection[str] = ()) -> Artifact:
    """Read an artifact from its folder, and build its model.

    The manifest names the class of the model and its parts. Only parts of networks in searchlab, modules of the project
    and packages in `allow` are imported, and nothing is imported before all files are found to be whole.

    Args:
        folder: The folder of an artifact, such as `.searchlab/sweeps/NAME/artifact`.
        allow: Names of installed packages that a manifest may name too, default none: their code is run.

    Returns:
        The model, its manifest, and what it needs for inputs: scaling and vocabulary.

    Raises:
        UserMistake: When a file is missing or was changed, the format is unknown, or the code of the model cannot or
            may not be imported.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from searchlab.artifact import load, save
        >>> from searchlab.testing.linear_model import LinearModel
        >>> weights = {"affine.W": np.ones((2, 2)), "affine.b": np.zeros((1, 2))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, weights, LinearModel, arguments={}, sizes=(2, 2), metadata={})
        ...     load(folder).predict([[1.0, 2.0]]).tolist()
        [[3.0, 3.0]]
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    try:
        values = _read_arrays(_read_verified(folder, manifest["weights"], WEIGHTS))
        has_vocabulary = "vocabulary" in manifest
        tokens = json.loads(_read_verified(folder, manifest["vocabulary"], VOCABULARY)) if has_vocabulary else None
        model = _build_model(manifest["model"], allow)
        scaling, target_scaling = (_pop_scaling(values, names) for names in (SCALING, TARGET_SCALING))
        # (1, ...): the replica axis again
        Parameters(model.named_parameters()).restore({name: value[None] for name, value in values.items()})
        vocabulary = Vocabulary.from_json(tokens) if tokens else None
    except DAMAGE as error:
        if isinstance(error, UserMistake):
            raise
        raise _unreadable(folder, error) from error
    return Artifact(model, manifest, scaling, target_scaling, vocabulary)


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest; raise UserMistake where it is missing, damaged, or of another format."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise UserMistake(
                f"{folder} holds an artifact of format {manifest['format']!r}, and this version of searchlab reads "
                f"format {FORMAT}."
            )
        if manifest[SUM] != manifest_sum(manifest):
            raise UserMistake(f"{folder / MANIFEST} has changed since it was written: its SHA-256 is another one.")
    except DAMAGE as error:
        if isinstance(error, UserMistake):
            raise
        raise _unreadable(folder, error) from error
    return dict(manifest)


def _unreadable(folder: Path, error: Exception) -> UserMistake:
    return UserMistake(f"{folder} does not hold an artifact that can be read ({type(error).__name__}: {error}).")


def _read_arrays(content: bytes) -> dict[str, Array]:
    """Return the arrays of a weights file, all of finite numbers; raise ValueError for anything else."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > len(content):  # arrays are not compressed
        raise ValueError(f"the weights claim to unpack to {size:,} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    for name, value in values.items():
        if value.dtype not in (np.float16, np.float32, np.float64) or not np.isfinite(value).all():
            raise ValueError(f"{name} has values that are no finite numbers")
    return values


def _build_model(entry: Mapping[str, Any], allow: Collection[str]) -> Model:
    """Return a new model of one replica; all parts are checked before one of them is called."""
    build, arguments = import_part(entry["class"], allow), decode_parts(entry["arguments"], allow)
    if isinstance(build, type) and not issubclass(build, Model):
        raise UserMistake(f"the manifest names {entry['class']} as the model, which is no subclass of Model.")
    model = build(Replicas([0]), *entry["sizes"], **arguments)
    if not isinstance(model, Model):
        raise UserMistake(f"the manifest names {entry['class']} as the model, which does not build a Model.")
    return model


def _pop_scaling(values: dict[str, Array], names: tuple[str, str]) -> Scaling | None:
    """Remove the arrays of a scaling (columns,) from the values, and return them with a replica axis."""
    found = [values.pop(name)[None] for name in names if name in values]
    return Scaling(*found) if found else None


def _write_vocabulary(folder: Path, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """Write the vocabulary, and return its entry in the manifest."""
    if vocabulary is None:
        return {}
    content = (json.dumps(vocabulary.to_json(), ensure_ascii=False) + "\n").encode()
    (folder / VOCABULARY).write_bytes(content)
    entry = {"file": VOCABULARY, "words": len(vocabulary), "sha256": hashlib.sha256(content).hexdigest()}
    return {"vocabulary": entry}


def _read_verified(folder: Path, entry: Mapping[str, str], name: str) -> bytes:
    """Return the content of a file; raise UserMistake where its SHA-256 is not that of its entry in the manifest."""
    path = folder / name
    if entry["file"] != name or path.is_symlink() or not path.is_file():
        raise UserMistake(f"{folder} has no plain file {name}.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise UserMistake(f"{path} has changed since it was written: its SHA-256 differs from the manifest.")
    return content
