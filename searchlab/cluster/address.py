"""Addresses of a Ray cluster: where it takes jobs, and where a driver joins it."""

from __future__ import annotations

from searchlab.errors import UserMistake


def takes_jobs(address: str | None) -> bool:
    """Return whether a cluster takes jobs at this address, over HTTP; at any other a driver joins it."""
    return bool(address) and str(address).startswith(("http://", "https://"))


def validate_address(address: str | None, storage: str | None, checkpoints: str | None) -> None:
    """Raise UserMistake when a driver cannot join at this address, or not with this storage and these checkpoints."""
    if takes_jobs(address):
        raise UserMistake(
            f"{address} is where a cluster takes jobs: `searchlab submit SPEC --address {address}` sends one. To run "
            "the driver here, give ray://HEAD:10001, HEAD:6379 or auto; to run on this machine, unset RAY_ADDRESS."
        )
    if (address or "").startswith("ray://") and not (storage and checkpoints):
        raise UserMistake(
            f"through {address} the study and the workers are on other machines, which cannot write to this one: give "
            "a database (--storage) and a folder that every node sees or an s3:// URL (--checkpoints), or use "
            "`searchlab submit`."
        )
