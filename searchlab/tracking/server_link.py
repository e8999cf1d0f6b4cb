"""The link to a sweep's runs on an MLflow server, found without MLflow, whose import takes seconds."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.parse import quote

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.urls import without_password
from searchlab.tracking.links import VIEW_TAG, runs_link, view_link
from searchlab.tracking.probe import authorization, network_reason
from searchlab.tracking.writer_process import environment

QUESTION = "/api/2.0/mlflow/experiments/get-by-name?experiment_name="
SECONDS = 10.0  # to wait for the answer


def server_link(uri: str, name: str) -> str:
    """Return the link to the runs of a sweep on a server, best first where the record has a view of them.

    Args:
        uri: Address of the server, which may hold a password.
        name: Name of the sweep.

    Raises:
        UserMistake: Where the server has no record of a sweep of this name.
        WorldFault: Where the server does not answer or refuses the question.
    """
    server = without_password(uri).rstrip("/")
    request = urllib.request.Request(server + QUESTION + quote(name, safe=""), headers=authorization(environment(uri)))  # noqa: S310, an HTTP address
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310, an HTTP address
            experiment = json.load(response)["experiment"]
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code == 404:
            raise UserMistake(f"MLflow at {server} has no record of a sweep {name!r}.") from answer
        raise WorldFault(f"MLflow at {server} does not show its sweeps: it answers {answer.code}.") from answer
    except (OSError, ValueError, KeyError) as fault:
        raise WorldFault(f"MLflow at {server} does not answer: {network_reason(fault) or fault}.") from fault
    has_view = any(tag["key"] == VIEW_TAG for tag in experiment.get("tags", []))
    link = view_link if has_view else runs_link
    return link(server, str(experiment["experiment_id"]))
