"""Submission of sweeps: a sweep file's project is packed and sent to a cluster, whose head then runs the sweep."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from searchlab.cluster.jobs import JobClient
from searchlab.errors import UserMistake
from searchlab.runs.config import numbered
from searchlab.runs.project_archive import pack
from searchlab.space.loader import SweepFile
from searchlab.wording import suggestion


def submit(loaded: SweepFile, jobs: JobClient, options: Sequence[str], name: str | None = None) -> tuple[str, str]:
    """Send a sweep to a cluster, and return its name there and the id of its job.

    Args:
        loaded: The sweep file, with its project.
        jobs: The cluster.
        options: For `searchlab run`, as on a command line.
        name: Name of the sweep there; default: the sweep's own, with a number where it is taken.

    Raises:
        UserMistake: When the name that was asked for is taken, or the project is too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "project.zip"
        pack(loaded.root, package)
        taken = set(sweep_names(jobs))
        for job in jobs.list_jobs():
            if job.id not in taken and job.status in ("FAILED", "STOPPED"):
                jobs.delete(job.id)  # it failed before it created its sweep, so that the name is free
            else:
                taken.add(job.id)
        if name in taken:
            raise UserMistake(f"the name {name!r} is taken at {jobs.address}; choose another.")
        for candidate in [name] if name else _free_names(loaded.sweep.name, taken):
            spec = loaded.path.relative_to(loaded.root).as_posix()
            arguments = ["run", spec, "--address", "auto", "--name", candidate, *options]
            try:
                return candidate, jobs.submit(arguments, id=candidate, package=package, sweep=candidate)
            except UserMistake:  # another client took the name a moment ago
                if name:
                    raise
    raise AssertionError("there is always another number")


def resume_on_cluster(name: str, jobs: JobClient, options: Sequence[str]) -> str:
    """Resume a sweep of a cluster, and return the id of the job; raise UserMistake when the cluster has none such."""
    known = sweep_names(jobs)
    if name not in known:
        names = ", ".join(known) or "none yet"
        close = suggestion(name, known)
        raise UserMistake(f"there is no sweep called {name!r} at {jobs.address}{close}; there are: {names}.")
    id = f"{name}-resumed-{time.strftime('%m%d-%H%M%S')}"
    arguments = ["resume", name, "--address", "auto", *options]
    jobs.submit(arguments, id=id, sweep=name, folder=f"sweeps/{name}/project")  # its relative paths start there
    jobs.validate_started(id)
    return id


def sweep_names(jobs: JobClient) -> list[str]:
    """Return the names of the sweeps in the workspace of the cluster's head."""
    *_, answer = jobs.json_objects(["list", "--names"])
    return list(answer["sweeps"])


def _free_names(name: str, taken: Container[str]) -> Iterable[str]:
    """Return those of the name, name-2, name-3 ... that are free."""
    candidates = itertools.chain([name], (numbered(name, number) for number in itertools.count(2)))
    return (candidate for candidate in candidates if candidate not in taken)
