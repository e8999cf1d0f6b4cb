"""The winner as files: weights in float16 and a manifest that says what they are, written and read back."""

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
from searchlab.data.vocabulary import UNKNOWN, Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn.generation import sample
from searchlab.nn.module import Model
from searchlab.nn.parameter import Parameters
from searchlab.replicas import Replicas

FORMAT = 1
WEIGHTS, MANIFEST, VOCABULARY = "weights.npz", "manifest.json", "vocabulary.json"
SCALING = ("inputs/mean", "inputs/scale")  # what the scaling is called among the weights


@dataclass(frozen=True)
class Artifact:
    """A trained network read from its files: one replica, computing in float32.

    `scaling` is the mean and scale (1, features) it sees its inputs by; None where it sees them as they are.
    `vocabulary` has the words that a language model's ids stand for.
    """

    model: Model
    manifest: Mapping[str, Any]
    scaling: tuple[Array, Array] | None = None
    vocabulary: Vocabulary | None = None

    def predict(self, x: Array) -> Array:
        """Scores (B, outputs) for inputs x (B, features) or pictures (B, H, W), as they come.

        They are scaled here where that is due.
        """
        inputs: Array = np.asarray(x, dtype=np.float32)[None]
        if inputs.ndim == 4 and inputs.shape[2] * inputs.shape[3] == self.manifest["model"]["sizes"][0]:
            inputs = inputs.reshape(*inputs.shape[:2], -1)
        if self.scaling:
            inputs = (inputs - self.scaling[0]) / self.scaling[1]
        scores, _ = self.model.predict(Batch(inputs, np.zeros(inputs.shape[:2], dtype=np.int64)))
        first: Array = scores[0]
        return first

    def generate(
        self,
        text: str,
        length: int = 50,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        skip: Sequence[str] = (UNKNOWN,),
        seed: int = 0,
    ) -> str:
        """The text and `length` words or characters that a language model goes on with, as `nn.sampling.sample` draws.

        None of `skip` comes; what of it is not in the vocabulary could not. Raises UserMistake for a model of no words,
        for an empty text and for what cannot be drawn by.
        """
        if self.vocabulary is None:
            raise UserMistake("generate goes on with a text, and this artifact has no vocabulary: none was learned.")
        start, entries = self.vocabulary.encode(text), self.vocabulary.entries
        never = [number for number, word in enumerate(entries) if word in skip]
        ids = sample(self.model, start, length, seed=seed, temperature=temperature, top_k=top_k, skip=never)
        return self.vocabulary.decode(ids[0])


def save(
    folder: Path,
    weights: Mapping[str, Array],
    model: Callable[..., Model],
    arguments: Mapping[str, Any],
    sizes: Sequence[int],
    about: Mapping[str, Any],
    *,
    kept: Mapping[str, Array] | None = None,
    scaling: tuple[Array, Array] | None = None,
    vocabulary: Vocabulary | None = None,
) -> None:
    """Write the weights (without replica axis) as float16 and the manifest; raises OverflowError beyond its range.

    Beside them lies the `vocabulary`, where the model has one.

    What is `kept` and not learned (running statistics) and the `scaling` of inputs are few numbers in the data's own
    units, which float16 may not hold: they stay float32.
    """
    with np.errstate(under="ignore"):  # weights too small for float16 are 0
        halves = {name: np.asarray(value, dtype=np.float16) for name, value in weights.items()}
    for name, half in halves.items():
        if not np.isfinite(half).all():
            raise OverflowError(f"{name} has weights beyond the range of float16 (65,504)")
    exact = dict(kept or {}) | dict(zip(SCALING, scaling or (), strict=False))
    arrays: dict[str, Any] = halves | {name: np.asarray(value, dtype=np.float32) for name, value in exact.items()}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, allow_pickle=False, **arrays)
    described = {
        "format": FORMAT,
        "model": {"class": import_path(model), "sizes": list(sizes), "arguments": _encode(dict(arguments))},
        "weights": {
            "file": WEIGHTS,
            "dtype": "float16",
            "float32": sorted(exact),
            "parameters": sum(half.size for half in halves.values()),
            "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        },
        **_write_words(folder, vocabulary),
        **about,
    }
    (folder / MANIFEST).write_text(json.dumps(described, indent=2) + "\n")


def load(folder: Path | str) -> Artifact:
    """Read an artifact back. Raises UserMistake when the files are missing, changed, or need code that is not here.

    The manifest names the model's class, which is imported: load only what you trust.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        described = manifest["model"]
        with np.load(io.BytesIO(_read(folder, manifest["weights"]))) as arrays:
            values = {name: arrays[name] for name in arrays.files}
        words = json.loads(_read(folder, manifest["vocabulary"])) if "vocabulary" in manifest else None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, UserMistake):
            raise
        raise UserMistake(f"{folder} does not hold an artifact that can be read ({error}).") from error
    model = _find(described["class"])(Replicas([0]), *described["sizes"], **_decode(described["arguments"]))
    scaling = tuple(values.pop(name)[None] for name in SCALING if name in values)
    # (1, ...): the replica axis again
    Parameters(model.parameters()).restore({name: value[None] for name, value in values.items()})
    vocabulary = Vocabulary.from_json(words) if words else None
    return Artifact(model, manifest, (scaling[0], scaling[1]) if scaling else None, vocabulary)


def _write_words(folder: Path, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """What the manifest says of the vocabulary, once it is written."""
    if vocabulary is None:
        return {}
    packed = (json.dumps(vocabulary.to_json(), ensure_ascii=False) + "\n").encode()
    (folder / VOCABULARY).write_bytes(packed)
    told = {"file": VOCABULARY, "words": len(vocabulary), "sha256": hashlib.sha256(packed).hexdigest()}
    return {"vocabulary": told}


def _read(folder: Path, described: Mapping[str, str]) -> bytes:
    """A file's content; raises UserMistake for one that is not what the manifest describes."""
    path = folder / described["file"]
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != described["sha256"]:
        raise UserMistake(f"{path} is not the file its manifest describes: the SHA-256 differs.")
    return packed


def import_path(target: Any) -> str:
    """What a manifest calls a class or function; raises UserMistake for one that cannot be imported by it."""
    name = getattr(target, "__qualname__", "")
    if not name or "<" in name:  # a lambda, one made inside a function, or an object that is called
        told = name or f"a {type(target).__name__}"
        raise UserMistake(f"the artifact imports parts of a model by name, and {told} has none: use def or class.")
    return f"{target.__module__}:{name}"


def _find(path: str) -> Any:
    module, _, names = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        hint = "run from its project's root"
        if module.startswith("searchlab_sweep_file_"):  # as loaded sweep files are called
            hint = "a sweep file defines it: load that first, with searchlab.space.loader.load"
        raise UserMistake(f"the artifact needs {path}, which cannot be imported ({error}); {hint}.") from error
    return found


def _encode(value: Any) -> Any:
    """A JSON value; classes and functions as {"import": path}, with the arguments that some come with."""
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
        found = _find(value["import"])
        return partial(found, *_decode(value.get("first", [])), **_decode(value["with"])) if "with" in value else found
    if isinstance(value, dict):
        return {name: _decode(item) for name, item in value.items()}
    return [_decode(item) for item in value] if isinstance(value, list) else value
