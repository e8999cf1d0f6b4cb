"""The training rows of a sweep as an input of its run, which MLflow shows and by which it finds runs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlflow.entities import Dataset, DatasetInput, InputTag

MAX_DIGEST = 36  # letters that MLflow takes of a checksum
CONTEXT = InputTag("mlflow.data.context", "training")


def dataset_input(data: Mapping[str, str]) -> DatasetInput:
    """Return the input of MLflow for the training rows with these facts.

    Args:
        data: Their "name", their "checksum", and as "source" the expression that loads them.
    """
    source = json.dumps({"expression": data["source"], "sha256": data["checksum"]})
    dataset = Dataset(data["name"], data["checksum"][:MAX_DIGEST], "code", source)
    return DatasetInput(dataset, [CONTEXT])
