"""Runs that a store has: of an experiment by their tags, and of the trials of a sweep."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from searchlab.tracking.trial_runs import TrialRun

PARENT = "mlflow.parentRunId"  # the tag of a trial's run that names the run of its sweep


def search_runs(client: MlflowClient, experiment: str, query: str) -> Iterator[MlflowRun]:
    """Yield the runs of an experiment that a query of MLflow finds, the earliest first."""
    token: str | None = None
    while token != "":
        page = client.search_runs(
            [experiment], query, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        token = page.token or ""


def find_trial_runs(client: MlflowClient, experiment: str, parent: str) -> dict[int, TrialRun]:
    """Return the runs of the trials of a sweep by number.

    Of two runs of one trial (a response was lost), the one that has ended is kept, and the other is deleted.
    """
    found: dict[int, TrialRun] = {}
    for stored in search_runs(client, experiment, f"tags.`{PARENT}` = '{parent}'"):
        trial, run = int(stored.data.tags.get("searchlab.trial", -1)), TrialRun.of_stored(stored)
        twin = found.get(trial)
        if twin is not None:
            run, twin = (run, twin) if run.done and not twin.done else (twin, run)
            client.delete_run(twin.id)
        found[trial] = run
    return found
