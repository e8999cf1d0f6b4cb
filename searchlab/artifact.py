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
from searchlab.errors import UserMistake
from searchlab.nn.layer import Model
from searchlab.nn.parameter import Parameters
from searchlab.replicas import Replicas

FORMAT = 1
WEIGHTS, MANIFEST = "weights.npz", "manifest.json"
SCALING = ("inputs/mean", "inputs/scale")  # what the scaling is called among the weights


@dataclass(frozen=True)
class Artifact:
    """A trained network read from its files: one replica, computing in float32.

    `scaling` is the mean and scale (1, features) it sees its inputs by; None where it sees them as they are.
    """

    model: Model
    manifest: Mapping[str, Any]
    scaling: tuple[Array, Array] | None = None

    def predict(self, x: Array) -> Array:
        """Scores (B, outputs) for inputs x (B, features), as they come: they are scaled here where that is due."""
        inputs: Array = np.asarray(x, dtype=np.float32)[None]
        if self.scaling:
            inputs = (inputs - self.scaling[0]) / self.scaling[1]
        scores, _ = self.model.predict(Batch(inputs, np.zeros(inputs.shape[:2], dtype=np.int64)))
        first: Array = scores[0]
        return first


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
) -> None:
    """Write the weights (without replica axis) as float16 and the manifest; raises OverflowError beyond its range.

    What is `kept` and not learned (running statistics) and the `scaling` of inputs are few numbers in the data's own
    units, which float16 may not hold: they stay float32.
    """
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
        "model": {"class": _path(model), "sizes": list(sizes), "arguments": _encode(dict(arguments))},
        "weights": {
            "file": WEIGHTS,
            "dtype": "float16",
            "float32": sorted(exact),
            "parameters": sum(half.size for half in halves.values()),
            "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        },
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
        described, path = manifest["model"], folder / manifest["weights"]["file"]
        packed = path.read_bytes()
        if hashlib.sha256(packed).hexdigest() != manifest["weights"]["sha256"]:
            raise UserMistake(f"{path} is not the file its manifest describes: the SHA-256 differs.")
        with np.load(io.BytesIO(packed)) as arrays:
            values = {name: arrays[name] for name in arrays.files}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, UserMistake):
            raise
        raise UserMistake(f"{folder} does not hold an artifact that can be read ({error}).") from error
    model = _find(described["class"])(Replicas([0]), *described["sizes"], **_decode(described["arguments"]))
    scaling = tuple(values.pop(name)[None] for name in SCALING if name in values)
    # (1, ...): the replica axis again
    Parameters(model.parameters()).restore({name: value[None] for name, value in values.items()})
    return Artifact(model, manifest, (scaling[0], scaling[1]) if scaling else None)


def _path(target: Any) -> str:
    return f"{target.__module__}:{target.__qualname__}"


def _find(path: str) -> Any:
    module, _, names = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise UserMistake(
            f"the artifact needs {path}, which cannot be imported ({error}); run from its project's root."
        ) from error
    return found


def _encode(value: Any) -> Any:
    """A JSON value; classes and functions as {"import": path}, with the arguments that some come with."""
    if isinstance(value, dict):
        return {name: _encode(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if isinstance(value, partial):
        return {"import": _path(value.func), "with": _encode(value.keywords)}
    if callable(value):
        return {"import": _path(value)}
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: Any) -> Any:
    if isinstance(value, dict) and "import" in value:
        found = _find(value["import"])
        return partial(found, **_decode(value["with"])) if "with" in value else found
    if isinstance(value, dict):
        return {name: _decode(item) for name, item in value.items()}
    return [_decode(item) for item in value] if isinstance(value, list) else value
