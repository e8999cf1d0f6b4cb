"""Submit: a sweep file's project is packed and sent to a cluster, whose head then drives the sweep."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from searchlab.cluster.jobs import Jobs
from searchlab.errors import UserMistake
from searchlab.runs.project_archive import pack
from searchlab.space.loader import SweepFile


def submit(loaded: SweepFile, jobs: Jobs, words: Sequence[str], name: str | None = None) -> tuple[str, str]:
    """Send a sweep to be run with these words; its name there, and the id of its job.

    It goes by its own name, numbered where that is taken. Raises UserMistake when the `name` asked for is taken, or the
    project is too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "project.zip"
        pack(loaded.root, package)
        taken = set(names_at(jobs))
        for job in jobs.all():
            if job.id not in taken and job.status in ("FAILED", "STOPPED"):
                jobs.forget(job.id)  # it never became a sweep: its name is free
            else:
                taken.add(job.id)
        if name in taken:
            raise UserMistake(f"the name {name!r} is taken at {jobs.address}; choose another.")
        for candidate in [name] if name else _numbered(loaded.sweep.name, taken):
            spec = loaded.path.relative_to(loaded.root).as_posix()
            command = ["run", spec, "--address", "auto", "--name", candidate, *words]
            try:
                return candidate, jobs.begin(command, id=candidate, package=package, sweep=candidate)
            except UserMistake:  # somebody else was faster
                if name:
                    raise
    raise AssertionError("numbers do not end")


def resume_there(name: str, jobs: Jobs, words: Sequence[str]) -> str:
    """Have the cluster go on with one of its sweeps; the id of the job. Raises UserMistake when it has none such."""
    known = names_at(jobs)
    if name not in known:
        there = ", ".join(known) or "none yet"
        raise UserMistake(f"there is no sweep called {name!r} at {jobs.address}; there are: {there}.")
    id = f"{name}-resumed-{time.strftime('%m%d-%H%M%S')}"
    command = ["resume", name, "--address", "auto", *words]
    jobs.begin(command, id=id, sweep=name, folder=f"sweeps/{name}/project")  # where its relative paths lead
    jobs.refuse_refused(id)
    return id


def names_at(jobs: Jobs) -> list[str]:
    """The sweeps that the cluster's home holds, by name."""
    *_, answer = jobs.objects(["list", "--names"])
    return list(answer["sweeps"])


def _numbered(name: str, taken: Iterable[str]) -> Iterable[str]:
    """The name, and then name-2, name-3 ..: those that are free."""
    numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return (one for one in numbered if one not in taken)
