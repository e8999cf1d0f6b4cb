"""The artifact of a sweep: the weights of the winner in float16, and a manifest that describes them."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.scaling import Scaling
from searchlab.data.vocabulary import UNKNOWN, Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn.generation import generate
from searchlab.nn.module import Model
from searchlab.nn.parameter import Parameters
from searchlab.nn.target_unit import in_target_unit
from searchlab.replicas import Replicas

FORMAT = 1
WEIGHTS, MANIFEST, VOCABULARY = "weights.npz", "manifest.json", "vocabulary.json"
SCALING = ("inputs/mean", "inputs/scale")  # the names of the scaling among the weights
TARGET_SCALING = ("targets/mean", "targets/scale")
SWEEP_FILE_PREFIX = "searchlab_sweep_file_"  # of the module names of loaded sweep files


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
        "model": {"class": import_path(model), "sizes": list(sizes), "arguments": _encode(dict(arguments))},
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
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def load(folder: Path | str) -> Artifact:
    """Read an artifact from its folder, and build its model.

    The manifest names the class of the model, which is imported: load only artifacts that you trust.

    Args:
        folder: The folder of an artifact, such as `.searchlab/sweeps/NAME/artifact`.

    Returns:
        The model, its manifest, and what it needs for inputs: scaling and vocabulary.

    Raises:
        UserMistake: When a file is missing or was changed, or the code of the model cannot be imported.

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
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        model_entry = manifest["model"]
        with np.load(io.BytesIO(_read_verified(folder, manifest["weights"]))) as arrays:
            values = {name: arrays[name] for name in arrays.files}
        tokens = json.loads(_read_verified(folder, manifest["vocabulary"])) if "vocabulary" in manifest else None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, UserMistake):
            raise
        raise UserMistake(f"{folder} does not hold an artifact that can be read ({error}).") from error
    build, arguments = _import(model_entry["class"]), _decode(model_entry["arguments"])
    model = build(Replicas([0]), *model_entry["sizes"], **arguments)
    scaling, target_scaling = (_pop_scaling(values, names) for names in (SCALING, TARGET_SCALING))
    # (1, ...): the replica axis again
    Parameters(model.named_parameters()).restore({name: value[None] for name, value in values.items()})
    vocabulary = Vocabulary.from_json(tokens) if tokens else None
    return Artifact(model, manifest, scaling, target_scaling, vocabulary)


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


def _read_verified(folder: Path, entry: Mapping[str, str]) -> bytes:
    """Return the content of a file; raise UserMistake where its SHA-256 is not that of its entry in the manifest."""
    path = folder / entry["file"]
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise UserMistake(f"{path} has changed since it was written: its SHA-256 differs from the manifest.")
    return content


def import_path(target: Any) -> str:
    """Return the path by which a class or function is imported; raise UserMistake where it has none."""
    name = getattr(target, "__qualname__", "")
    if not name or "<" in name:  # a lambda, one made inside a function, or an object that is called
        what = name or f"an object of type {type(target).__name__}"
        raise UserMistake(
            f"an artifact stores the parts of a model by import path, and {what} has none; "
            "define it with def or class at the top level of a module."
        )
    return f"{target.__module__}:{name}"


def _import(path: str) -> Any:
    module, _, names = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        hint = "run from the root of its project"
        if module.startswith(SWEEP_FILE_PREFIX):
            hint = "a sweep file defines it: load that file first, with searchlab.space.loader.load"
        raise UserMistake(f"the artifact needs {path}, which cannot be imported ({error}); {hint}.") from error
    return found


def _encode(value: Any) -> Any:
    """Return a JSON value; classes and functions become {"import": path}, with the arguments of a `partial`."""
    if isinstance(value, dict):
        return {name: _encode(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if isinstance(value, partial):
        first = {"first": _encode(value.args)} if value.args else {}
        return {"import": import_path(value.func), "with": _encode(value.keywords), **first}
    if callable(value):
        return {"import": import_path(value)}
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: Any) -> Any:
    if isinstance(value, dict) and "import" in value:
        found = _import(value["import"])
        return partial(found, *_decode(value.get("first", [])), **_decode(value["with"])) if "with" in value else found
    if isinstance(value, dict):
        return {name: _decode(item) for name, item in value.items()}
    return [_decode(item) for item in value] if isinstance(value, list) else value
