"""An artifact as a Python function of MLflow: `mlflow models serve` and `mlflow.pyfunc.load_model` call it.

MLflow finds it by `loader_module` in the file MLmodel. It needs NumPy and pandas, and does not import MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab import artifact
from searchlab.artifact.format import Task
from searchlab.artifact.loaded import Artifact
from searchlab.artifact.prediction_table import prediction_table
from searchlab.errors import UserMistake

if TYPE_CHECKING:
    import pandas as pd

# the one column of the input of a network of texts
TEXT_COLUMNS: Mapping[Task, str] = {
    "language model": "prompt",
    "sequence to sequence": "source",
    "word vectors": "word",
}


class PyfuncModel:
    """An artifact that takes and returns pandas frames.

        Args:
            saved: The artifact.

        Example:
            >>> import numpy as np
    from searchlab.artifact.loaded import Artifact
            >>> from searchlab.artifact.pyfunc import PyfuncModel
            >>> from searchlab.testing.fixed_models import EchoModel
            >>> manifest = {"model": {"sizes": [2, 2]}, "targets": {"kind": "classes", "names": ["no", "yes"]}}
            >>> saved = Artifact(EchoModel(), manifest | {"classes": ["no", "yes"]})
            >>> PyfuncModel(saved).predict(np.array([[0.0, 1.0]])).to_dict("list")
            {'class': ['yes'], 'probability': [0.7310585786300049]}
    """

    def __init__(self, saved: Artifact) -> None:
        self.artifact = saved

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return a frame with a row for each input, as `searchlab predict` prints it.

        Args:
            model_input: Inputs (B, features) as an array or a frame; for a language model a frame with the column
                "prompt", for a model of pairs of sequences with "source", for word vectors with "word".
            params: Of a classifier, `probabilities`; of a language model, `length`, `temperature` and `seed`; of word
                vectors, `n`, the number of similar words.

        Raises:
            UserMistake: When the inputs are not what the artifact takes.
        """
        import pandas as pd

        header, rows = self._table(model_input, dict(params or {}))
        return pd.DataFrame(rows, columns=header)

    def _table(self, model_input: Any, options: Mapping[str, Any]) -> tuple[Sequence[str], list[list[Any]]]:
        saved, task = self.artifact, self.artifact.manifest.get("task")
        if task == "sequence to sequence":
            return ["target"], [[saved.translate(text)] for text in _texts(model_input, task)]
        if task == "language model":
            return ["text"], [[saved.generate(text, **options)] for text in _texts(model_input, task)]
        if task == "word vectors":
            similar = {word: saved.most_similar(word, **options) for word in _texts(model_input, task)}
            rows: list[list[Any]] = [[word, *pair] for word, pairs in similar.items() for pair in pairs]
            return ["word", "similar", "similarity"], rows
        return prediction_table(saved, model_input, probabilities=bool(options.get("probabilities")))


def _texts(frame: Any, task: Task) -> list[str]:
    column = TEXT_COLUMNS[task]
    if not hasattr(frame, "columns") or list(frame.columns) != [column]:
        raise UserMistake(f"the input is a frame with one column, {column!r}.")
    return [str(text) for text in frame[column]]


def _load_pyfunc(path: str) -> PyfuncModel:
    """Return the model in a folder of MLflow: the artifact's own folder. MLflow calls this function by its name."""
    return PyfuncModel(artifact.load(Path(path)))
