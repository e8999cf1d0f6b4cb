"""The faults of an MLflow store: which of them pass, and what each is called in a sentence."""

from __future__ import annotations

import re
import sqlite3

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DBAPIError, OperationalError

from searchlab.tracking.probe import REFUSALS, causes, network_reason

MAX_LETTERS = 200  # of a reason: a server may answer with a page
TEMPORARY = (OSError, OperationalError, sqlite3.OperationalError)
PERMANENT = {
    "BAD_REQUEST",
    "CUSTOMER_UNAUTHORIZED",
    "ENDPOINT_NOT_FOUND",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "PERMISSION_DENIED",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
}
STATUS_CODES = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}
HTTP_STATUS = re.compile(r"failed with error code (\d{3})")  # MLflow's words where the body is not JSON
DAMAGED_DATABASE = ("file is not a database", "database disk image is malformed")


def is_permanent(fault: BaseException) -> bool:
    """Return whether a retry is useless: the store has refused the call, a file is missing, or the program is wrong."""
    if damage_of(fault):
        return True
    if isinstance(fault, MlflowException):
        return fault.error_code in PERMANENT or _status(fault) in REFUSALS
    return isinstance(fault, FileNotFoundError) or not isinstance(fault, TEMPORARY)


def damage_of(fault: BaseException) -> str | None:
    """Return SQLite's words for a damaged file, which MLflow passes on; None for another fault."""
    told = [str(error) for error in causes(fault)]
    return next((word for word in DAMAGED_DATABASE if any(word in text for text in told)), None)


def reason_of(fault: BaseException) -> str:
    """Return a fault as a part of a sentence, without MLflow's address, parameters and hints."""
    if damage := damage_of(fault):
        return f"its file is damaged ({damage}); move that file away first, so that a new one is made"
    if reason := network_reason(fault):
        return reason
    if isinstance(fault, MlflowException) and (refusal := REFUSALS.get(_status(fault) or 0)):
        return refusal
    told = fault.orig if isinstance(fault, DBAPIError) and fault.orig else fault
    line = next((line.strip() for line in str(told).splitlines() if line.strip()), type(fault).__name__)
    return line.rstrip(".")[:MAX_LETTERS]


def _status(fault: MlflowException) -> int | None:
    """Return the HTTP status that a server has answered with, where it is known."""
    if code := STATUS_CODES.get(fault.error_code):
        return code
    found = HTTP_STATUS.search(str(fault))
    return int(found[1]) if found else None
