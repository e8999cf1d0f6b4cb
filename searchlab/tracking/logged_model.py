"""The winner as a model of MLflow: a folder that `mlflow models serve` and `mlflow.pyfunc.load_model` take.

The folder holds the artifact, the source of its model and the modules of searchlab that load it, so it needs NumPy and
pandas only. Its code is read from source files: nothing in it is pickled.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

import searchlab
from searchlab.artifact.format import (
    MANIFEST,
    SCALING,
    SOURCE,
    SOURCE_VOCABULARY,
    SUM,
    TABLE,
    VOCABULARY,
    WEIGHTS,
    Task,
)
from searchlab.artifact.inputs import feature_names
from searchlab.artifact.prediction_table import target_names
from searchlab.artifact.pyfunc import TEXT_COLUMNS
from searchlab.artifact.table_inputs import typical_row
from searchlab.data.vocabulary import Vocabulary
from searchlab.tables.columns import Column

READY = LoggedModelStatus.READY
PACKAGES = (
    "artifact",
    "data",
    "kernels",
    "metrics",
    "nn",
    "optim",
    "replicas",
    "tables",
)  # of searchlab: what an artifact and a model may import
LOADER = "searchlab_model"  # the module that MLflow imports
LOADER_SOURCE = '''"""Loads the model with the source in source.zip; MLflow calls `_load_pyfunc`."""

import sys
from pathlib import Path

# a process that has imported searchlab keeps its own: the archive lacks the parts that do not load models
sys.path.insert(len(sys.path) if "searchlab" in sys.modules else 0, str(Path(__file__).parent / "source.zip"))

from searchlab.artifact.pyfunc import _load_pyfunc  # noqa: E402, F401
'''
INPUT_EXAMPLE, SERVED_EXAMPLE = "input_example.json", "serving_input_example.json"
CLASS_PARAMS = ParamSchema([ParamSpec("probabilities", "boolean", False)])
TEXT_PARAMS: Mapping[Task, ParamSchema] = {
    "language model": ParamSchema(
        [ParamSpec("length", "long", 50), ParamSpec("temperature", "double", 1.0), ParamSpec("seed", "long", 0)]
    ),
    "word vectors": ParamSchema([ParamSpec("n", "long", 5)]),
}
TEXT_OUTPUTS: Mapping[Task, Schema] = {
    "language model": Schema([ColSpec("string", "text")]),
    "sequence to sequence": Schema([ColSpec("string", "target")]),
    "word vectors": Schema([ColSpec("string", "word"), ColSpec("string", "similar"), ColSpec("double", "similarity")]),
}


def log_model(client: MlflowClient, experiment: str, run_id: str, artifact: Path) -> str | None:
    """Log the artifact in a folder as a model of a run, unless it is logged already, and return the model's id.

    Return None where the data is of the user's own kind, so that inputs and outputs are not known.

    Args:
        client: The client of the store.
        experiment: Id of the experiment.
        run_id: Id of the sweep's run.
        artifact: Folder of the artifact.
    """
    manifest = read_manifest(artifact)
    if manifest.get("task") is None:
        return None
    known = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    tags = {"searchlab.sha256": manifest[SUM], "searchlab.trial": str(manifest["trial"])}
    same = [model for model in known if tags.items() <= model.tags.items()]
    for model in same:
        if model.status == READY:
            return str(model.model_id)
        client.delete_logged_model(model.model_id)  # of a process that was killed while it wrote the files
    params = {name: str(value) for name, value in manifest["parameters"].items()}
    model = client.create_logged_model(experiment, manifest["sweep"], run_id, tags, params, manifest["task"])
    with tempfile.TemporaryDirectory() as folder:
        write_model(artifact, Path(folder, "model"), model.model_id)
        client.log_model_artifacts(model.model_id, f"{folder}/model")
    client.finalize_logged_model(model.model_id, READY)
    return str(model.model_id)


def write_model(artifact: Path, folder: Path, model_id: str | None = None) -> None:
    """Write the artifact in a folder as a model of MLflow to another folder, which must not exist.

    Args:
        artifact: Folder of the artifact, whose manifest names a task.
        folder: The new folder.
        model_id: Id of the logged model in MLflow; default None.
    """
    manifest = read_manifest(artifact)
    (folder / "code").mkdir(parents=True)
    shutil.copytree(artifact, folder / "data")
    (folder / "code" / f"{LOADER}.py").write_text(LOADER_SOURCE)
    _zip_source(artifact / SOURCE, folder / "code" / "source.zip")
    requirements = [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pandas")]
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    (folder / "python_env.yaml").write_text(json.dumps(environment, indent=2) + "\n")  # JSON is YAML
    example = _example(artifact, manifest)
    (folder / INPUT_EXAMPLE).write_text(json.dumps(example) + "\n")
    (folder / SERVED_EXAMPLE).write_text(json.dumps(_request(example)) + "\n")
    model = Model(signature=signature(manifest), saved_input_example_info=_example_info(example), model_id=model_id)
    mlflow.pyfunc.add_to_model(model, LOADER, data="data", code="code", python_env="python_env.yaml")
    model.save(str(folder / "MLmodel"))


def read_manifest(artifact: Path) -> dict[str, Any]:
    """Return the manifest in the folder of an artifact."""
    return dict(json.loads((artifact / MANIFEST).read_text(encoding="utf-8")))


def signature(manifest: Mapping[str, Any]) -> ModelSignature:
    """Return the inputs, outputs and parameters of a model, by the manifest of its artifact."""
    task = manifest["task"]
    if task in TEXT_COLUMNS:
        inputs = Schema([ColSpec("string", TEXT_COLUMNS[task])])
        return ModelSignature(inputs, TEXT_OUTPUTS[task], TEXT_PARAMS.get(task, ParamSchema([])))
    width, outputs = (int(size) for size in manifest["model"]["sizes"][:2])
    names = feature_names(manifest)
    columns: list[Any] = _table_columns(manifest) or [ColSpec("double", name) for name in names]
    inputs = Schema(columns or [TensorSpec(np.dtype(np.float64), (-1, width))])
    if task == "regression":
        predicted = target_names(manifest["targets"], outputs)
        return ModelSignature(inputs, Schema([ColSpec("double", name) for name in predicted]))
    kind = "string" if manifest.get("classes") else "long"
    classes = Schema([ColSpec(kind, "class"), ColSpec("double", "probability")])
    return ModelSignature(inputs, classes, CLASS_PARAMS)


def _table_columns(manifest: Mapping[str, Any]) -> list[ColSpec]:
    """Return the columns of a table with words, dates or empty cells, which may be empty; none for other inputs."""
    types = {"number": "double", "boolean": "double", "date": "string", "word": "string"}
    described = (manifest.get("table") or {}).get("columns", ())
    return [ColSpec(types[column["kind"]], column["name"], required=False) for column in described]


def _zip_source(own: Path, archive: Path) -> None:
    """Write the source of the model, and of the parts of searchlab that load it, as an archive to import from."""
    package = Path(searchlab.__file__).parent
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in _modules(package):
            file.write(path, f"searchlab/{path.relative_to(package)}")
        for path in sorted(own.rglob("*.py")):
            file.write(path, path.relative_to(own))
        folders = {folder for path in own.rglob("*.py") for folder in path.relative_to(own).parents} - {Path()}
        for folder in sorted(folders):
            if not (own / folder / "__init__.py").exists():  # an archive has no namespace packages
                file.writestr(f"{folder}/__init__.py", "")


def _modules(package: Path) -> Iterator[Path]:
    yield from sorted(package.glob("*.py"))
    for name in PACKAGES:
        yield from sorted((package / name).rglob("*.py"))


def _example(artifact: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return an input of the model: the mean of the training rows, which is nobody's data, or a token.

    Of a table, medians and the most frequent words."""
    if manifest["task"] in TEXT_COLUMNS:
        file = SOURCE_VOCABULARY if manifest["task"] == "sequence to sequence" else VOCABULARY
        return {"columns": [TEXT_COLUMNS[manifest["task"]]], "data": [[_first_token(artifact / file)]]}
    with np.load(artifact / WEIGHTS, allow_pickle=False) as arrays:
        if "table" in manifest:
            columns = [Column.from_json(column) for column in manifest["table"]["columns"]]
            fill = arrays[TABLE[0]].reshape(-1, len(columns))[0]  # of an ensemble, that of the first network
            return {"columns": feature_names(manifest), "data": [typical_row(columns, fill)]}
        width = int(manifest["model"]["sizes"][0])
        mean = arrays[SCALING[0]] if SCALING[0] in arrays.files else np.zeros(width)
    row = mean.reshape(-1, width).mean(axis=0).astype(float).tolist()  # an ensemble has a mean for each network
    names = feature_names(manifest)
    return {"columns": names, "data": [row]} if names else {"inputs": [row]}


def _first_token(path: Path) -> str:
    tokens = Vocabulary.from_json(json.loads(path.read_text(encoding="utf-8"))).tokens
    return next((token for token in tokens if token.strip() and not token.startswith("<")), tokens[0])


def _request(example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request to a served model."""
    return dict(example) if "inputs" in example else {"dataframe_split": dict(example)}


def _example_info(example: Mapping[str, Any]) -> dict[str, Any]:
    """Return what MLmodel says of the example."""
    kind = {"type": "dataframe", "pandas_orient": "split"}
    if "inputs" in example:
        kind = {"type": "ndarray", "format": "tf-serving"}
    return {"artifact_path": INPUT_EXAMPLE, "serving_input_path": SERVED_EXAMPLE, **kind}
