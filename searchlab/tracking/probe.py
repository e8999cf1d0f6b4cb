"""Whether an MLflow server answers, found out before MLflow is imported, which takes seconds."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"
REFUSALS = {
    401: "401: it asks for other credentials; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: "403: it forbids the request to this user or under this host name",
}
TLS_REASON = "its certificate or its TLS is not accepted"
NETWORK_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "the connection was reset"),
    (socket.gaierror, "its host name is unknown"),
    (ssl.SSLError, TLS_REASON),
    (TimeoutError, "no answer in time"),
)


class ServerAway(OSError):
    """An MLflow server that does not answer; the message is the reason, as a part of a sentence."""


def probe(url: str, seconds: float) -> str | None:
    """Return how a server refuses a request, and None where it takes it, or where only MLflow can tell.

    Raises ServerAway when it does not answer within so many seconds.
    """
    if not url.startswith(("http://", "https://")):
        return None
    request = urllib.request.Request(url.rstrip("/") + QUESTION, headers=authorization(os.environ))  # noqa: S310, the scheme is checked above
    try:
        with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310, the scheme is checked above
            return None
    except urllib.error.HTTPError as answer:
        return REFUSALS.get(answer.code)
    except (OSError, ValueError) as fault:
        reason = network_reason(fault)
        if reason is None or reason == TLS_REASON:  # MLflow has settings of its own for certificates
            return None
        raise ServerAway(reason) from fault


def network_reason(fault: BaseException) -> str | None:
    """Return what kept a server from being reached, as a part of a sentence; None where that is not known."""
    for error in causes(fault):
        for kind, reason in NETWORK_REASONS:
            if isinstance(error, kind):
                return reason
    return None


def causes(fault: BaseException) -> Iterator[BaseException]:
    """Return a fault and what it was raised from: MLflow and requests wrap the errors of sockets several times."""
    current: BaseException | None = fault
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__ or _wrapped(current)


def _wrapped(error: BaseException) -> BaseException | None:
    """Return the error that urllib and requests keep as a value: the `reason`, or among the arguments."""
    inner = [getattr(error, "reason", None), *error.args]
    return next((value for value in inner if isinstance(value, BaseException) and value is not error), None)


def authorization(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the header for the credentials of MLflow's variables.

    A user without a password, as a token in an address, is sent as browsers do; MLflow would send nothing.
    """
    user, password = environment.get("MLFLOW_TRACKING_USERNAME", ""), environment.get("MLFLOW_TRACKING_PASSWORD")
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    if user and (password or (password == "" and not token)):
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}
