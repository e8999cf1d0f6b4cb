"""Addresses of a cluster: what each kind is for, and what one must bring along."""

from __future__ import annotations

from searchlab.errors import UserMistake


def takes_jobs(address: str | None) -> bool:
    """Whether this is where a cluster takes jobs, over HTTP, and not where a driver joins it."""
    return bool(address) and str(address).startswith(("http://", "https://"))


def validate_address(address: str | None, storage: str | None, checkpoints: str | None) -> None:
    """Raises UserMistake for an address that cannot be driven from here, or not with what was given."""
    if takes_jobs(address):
        raise UserMistake(
            f"{address} is where a cluster takes jobs: `searchlab submit SPEC --address {address}` sends one; to drive "
            "from here, the address is ray://HEAD:10001, HEAD:6379 or auto; to run on this machine, unset RAY_ADDRESS."
        )
    if (address or "").startswith("ray://") and not (storage and checkpoints):
        raise UserMistake(
            f"through {address} the study and the workers are on other machines, which cannot write here: give a "
            "database (--storage) and a folder that every node sees or an s3:// URL (--checkpoints), or use "
            "`searchlab submit`."
        )
