"""Points, parameters and tags of a run in calls of the size that MLflow takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from searchlab.tracking.trial_runs import valid_params, valid_tags

METRICS_PER_CALL = 800  # MLflow takes 1000 entities, parameters and tags among them
PARAMS_PER_CALL = 100  # and as many tags


def log_batches(
    client: MlflowClient, run_id: str, points: Sequence[Metric], params: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    """Log points, parameters and tags of a run in as few calls as MLflow allows."""
    left_params = [Param(name, value) for name, value in valid_params(params).items()]
    left_tags = [RunTag(name, value) for name, value in valid_tags(tags).items()]
    while points or left_params or left_tags:
        client.log_batch(run_id, points[:METRICS_PER_CALL], left_params[:PARAMS_PER_CALL], left_tags[:PARAMS_PER_CALL])
        points, left_params, left_tags = (
            points[METRICS_PER_CALL:],
            left_params[PARAMS_PER_CALL:],
            left_tags[PARAMS_PER_CALL:],
        )
