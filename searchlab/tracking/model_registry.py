"""The registration of winners in MLflow's model registry: the alias `champion` is moved only for a better one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_ID = "searchlab.model_id"


@dataclass(frozen=True)
class TestScore:
    """What a model scores on test rows, which other models may have been tested on as well.

    Attributes:
        value: The score of the float16 artifact by the primary metric; None where it was not tested.
        metric: Name of the metric.
        goal: Its direction, "max" or "min".
        rows: SHA-256 of the test rows.
    """

    __test__ = False  # no test of pytest

    value: float | None
    metric: str
    goal: str
    rows: str

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> TestScore:
        """Return the score in the manifest of an artifact."""
        metric, test = manifest["metric"], manifest["test"]
        return cls(test.get("float16"), metric["name"], metric["goal"], test.get("checksum", ""))

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> TestScore:
        """Return the score that `tags` gave these tags for."""
        value = tags.get("searchlab.test")
        names = ("metric", "goal", "test_rows")
        return cls(float(value) if value else None, *(tags.get(f"searchlab.{name}", "") for name in names))

    def tags(self) -> dict[str, str]:
        """Return the score as tags of a version of a model."""
        value = "" if self.value is None else repr(self.value)
        facts = {"test": value, "metric": self.metric, "goal": self.goal, "test_rows": self.rows}
        return {f"searchlab.{name}": fact for name, fact in facts.items()}

    def is_better_than(self, other: TestScore) -> bool:
        """Return whether this is the better score on the same test rows by the same metric."""
        if self.value is None or other.value is None:
            return False
        if (self.metric, self.goal, self.rows) != (other.metric, other.goal, other.rows) or not self.rows:
            return False
        return self.value > other.value if self.goal == "max" else self.value < other.value


def register(client: MlflowClient, name: str, model_id: str, run_id: str, score: TestScore) -> str:
    """Register a logged model as a new version, and return its alias, "champion" or "challenger".

    It becomes the champion where there is none, or where it is better than the champion on the same test rows. A model
    that is registered already keeps its version.

    Args:
        client: The client of the registry.
        name: Name of the registered model.
        model_id: Id of the logged model.
        run_id: Id of the sweep's run.
        score: What the model scores.

    Raises:
        MlflowException: When the registry refuses it or is away.
    """
    with suppress(MlflowException):  # it exists; another fault is met again below
        client.create_registered_model(name)
    version = _version_of(client, name, model_id)
    if version is None:
        tags = score.tags() | {MODEL_ID: model_id}
        version = client.create_model_version(name, f"models:/{model_id}", run_id, tags, model_id=model_id)
    champion = _champion(client, name)
    is_champion = champion is None or str(champion.version) == str(version.version)
    is_champion = is_champion or score.is_better_than(TestScore.of_tags(champion.tags if champion else {}))
    alias = CHAMPION if is_champion else CHALLENGER
    client.set_registered_model_alias(name, alias, version.version)
    return alias


def _version_of(client: MlflowClient, name: str, model_id: str) -> ModelVersion | None:
    """Return the version of this logged model; None where it is not registered."""
    versions = client.search_model_versions(f"name = '{name}'")
    return next((version for version in versions if version.tags.get(MODEL_ID) == model_id), None)


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version with the alias `champion`; None where there is none."""
    aliases = client.get_registered_model(name).aliases
    return client.get_model_version(name, aliases[CHAMPION]) if CHAMPION in aliases else None
