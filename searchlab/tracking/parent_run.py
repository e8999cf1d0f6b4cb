"""The run of a sweep, of which the runs of its trials are children."""

from __future__ import annotations

from mlflow import MlflowClient

from searchlab.space.metric_names import record_key
from searchlab.tracking.batches import log_batches
from searchlab.tracking.dataset_input import dataset_input
from searchlab.tracking.run_search import PARENT, search_runs
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.tracking.trial_runs import user

WINNER = "winner"  # the tag "yes" of the run of the trial that won


def open_parent_run(client: MlflowClient, experiment: str, sweep: SweepRecord, time: int) -> str:
    """Return the id of the run of a sweep, which is created, or set to running again where there is one.

    Args:
        client: The client of the store.
        experiment: Id of the experiment.
        sweep: What the run says before any trial.
        time: Milliseconds since 1970, when a new run starts.
    """
    name, study = sweep.name, sweep.study
    identity = {"searchlab.sweep": name} | ({"searchlab.study": study} if study else {})
    tags = {**sweep.tags, **identity, "searchlab.metric": sweep.metric, "searchlab.goal": sweep.goal}
    query = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in identity.items())
    run = next(search_runs(client, experiment, query), None)
    if run is None:
        source = {"mlflow.user": user(), "mlflow.source.name": name, "mlflow.source.type": "LOCAL"}
        run = client.create_run(experiment, start_time=time, tags=source | identity, run_name=name)
    elif run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
    missing = {key: value for key, value in sweep.params.items() if record_key(key) not in run.data.params}
    log_batches(client, run.info.run_id, [], missing, tags)
    if sweep.data:
        client.log_inputs(run.info.run_id, [dataset_input(sweep.data)])
    return str(run.info.run_id)


def tag_winner(client: MlflowClient, experiment: str, parent: str, trial: str, run_id: str | None) -> None:
    """Tag the run of the trial that won, and no other: a sweep that is extended may have another winner.

    Args:
        client: The client of the store.
        experiment: Id of the experiment.
        parent: Id of the run of the sweep.
        trial: Number of the trial that won, as text; "" where there is no winner.
        run_id: Id of its run; None where there is none.
    """
    own = f"tags.`{PARENT}` = '{parent}' AND tags.`{WINNER}` = 'yes'"
    tagged = {run.data.tags["searchlab.trial"]: run.info.run_id for run in search_runs(client, experiment, own)}
    for other, other_id in tagged.items():
        if other != trial:
            client.delete_tag(other_id, WINNER)
    if run_id and trial not in tagged:
        client.set_tag(run_id, WINNER, "yes")
