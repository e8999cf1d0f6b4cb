"""`searchlab watch`: a sweep that another process runs, shown until it ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from searchlab.cli.hints import complete
from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.cli.remote import address_option, cluster_url
from searchlab.cli.streams import is_reader_gone
from searchlab.errors import UserMistake, WorldFault

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from searchlab.cluster.jobs import JobClient
    from searchlab.monitor.snapshot import Snapshot

SUBMITTED_WAIT = 60.0  # seconds to wait for a sweep that was just submitted: its driver has to start


@click.command("watch")
@click.argument("name")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two reads, at least.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds to wait for a sweep that is about to start or to be resumed.",
)
@address_option
@storage_option
@home_option
@json_option
def watch_command(
    name: str, interval: float, wait: float, address: str | None, storage: str | None, home: str, as_json: bool
) -> int:
    """Watch the sweep NAME until it ends; with --json, print an object for every change.

    Ctrl-C ends the command and not the sweep.
    """
    if url := cluster_url(address):
        return show(_snapshots_from_cluster(url, name, interval, wait), Output(as_json))
    from searchlab.monitor.watch import watch_sweep
    from searchlab.runs.workspace import Workspace

    return show(watch_sweep(Workspace.at(home, storage).sweep(name), interval, wait), Output(as_json))


def show(snapshots: Iterable[Snapshot], output: Output) -> int:
    """Show snapshots as they come, then how the sweep ended, and return the exit code.

    The code is 0 for a finished sweep, 1 for one that failed or that no process runs any more, and 130 for Ctrl-C.
    """
    from searchlab.monitor.snapshot import FINAL_STATES

    last = None
    try:
        with _display(output) as display:
            for last in snapshots:
                if last.state in FINAL_STATES:
                    break
                display.show(last)
                if is_reader_gone():  # as in `searchlab watch NAME --json | head -1`
                    return 0
    except KeyboardInterrupt:
        return 130
    return _conclude(last, output)


def _snapshots_from_cluster(url: str, name: str, interval: float, wait: float) -> Iterator[Snapshot]:
    """Yield the snapshots that the command prints on the cluster's head; wait for a sweep whose job has to start."""
    from searchlab.cluster.jobs import ACTIVE, JobClient
    from searchlab.monitor.snapshot import FINAL_STATES, Snapshot

    client, last = JobClient(url), None
    jobs = [job for job in client.list_jobs() if job.metadata["searchlab.sweep"] == name]
    is_starting = bool(jobs) and jobs[-1].status in ACTIVE
    wait = max(wait, SUBMITTED_WAIT if is_starting else 0.0)
    try:
        for values in client.json_objects(["watch", name, "--interval", str(interval), "--wait", str(wait)]):
            if "state" in values:
                yield (last := Snapshot.from_json(values))
    except (UserMistake, WorldFault) as error:
        if last is not None and last.state in FINAL_STATES:
            return  # the last snapshot says how it ended
        if jobs and client.status(jobs[-1].id) in ("FAILED", "STOPPED"):  # it failed before it created its sweep
            raise UserMistake(_last_error(client, jobs[-1].id) or str(error)) from error
        raise


def _last_error(client: JobClient, job: str) -> str | None:
    """Return the last error that a job has printed."""
    from searchlab.cluster.jobs import ERROR_PREFIX

    lines = [line for line in client.log_lines(job) if line.startswith(ERROR_PREFIX)]
    return lines[-1].removeprefix(ERROR_PREFIX) if lines else None


class _Display(Protocol):
    def show(self, snapshot: Snapshot) -> None: ...


class _LiveDisplay:
    """A view that is redrawn in place; its clock continues between two snapshots."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._time = 0.0

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot, self._time = snapshot, time.monotonic()

    def render(self) -> RenderableType:
        from searchlab.display.snapshot_view import SnapshotView

        return SnapshotView(self._snapshot, age=time.monotonic() - self._time) if self._snapshot else ""


class _LineDisplay:
    """A line whenever the state has changed or another tenth of the trials has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: tuple[str, int] | None = None

    def show(self, snapshot: Snapshot) -> None:
        from searchlab.display.snapshot_view import progress_step, progress_text, state_label

        label = state_label(snapshot)
        if (label, progress_step(snapshot)) != self._shown:
            progress = f", {progress_text(snapshot)}" if snapshot.requested else ""
            self._console.print(f"{snapshot.sweep}: {label}{progress}", markup=False, soft_wrap=True)
            self._shown = label, progress_step(snapshot)


class _JsonDisplay:
    """A JSON object for every snapshot."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, snapshot: Snapshot) -> None:
        self._output.result(snapshot.to_json())


@contextmanager
def _display(output: Output) -> Iterator[_Display]:
    if output.as_json:
        yield _JsonDisplay(output)
    elif output.console.is_terminal:
        from rich.live import Live

        display = _LiveDisplay()
        with Live(get_renderable=display.render, console=output.console, refresh_per_second=4, transient=True):
            yield display
    else:
        yield _LineDisplay(output.console)


def _conclude(last: Snapshot | None, output: Output) -> int:
    """Print how the sweep ended, with a sentence on stderr where it has not finished, and return the exit code."""
    from searchlab.display.snapshot_view import SnapshotView

    if last is None:
        return output.error("the sweep could not be read; it is not affected by this.", 1)
    if last.requested:
        output.console.print(SnapshotView(last))
    if last.state == "finished":
        output.console.print(f"\n{_finished_text(last)}", markup=False, soft_wrap=True)
        output.result(last.to_json())
        return 0
    sentence = complete(_unfinished_text(last))
    click.echo(f"searchlab: {sentence}", err=True)
    output.result({**last.to_json(), "error": sentence, "exit_code": 1})
    return 1


def _finished_text(last: Snapshot) -> str:
    from searchlab.reporting.formats import count

    early = f" before its {count(last.requested, 'trial')} had ended: {last.over}" if last.over else ""
    return f"{last.sweep} has finished{early}; `searchlab report {last.sweep}` writes its report"


def _unfinished_text(last: Snapshot) -> str:
    """Return in one sentence how a sweep ended that has not finished."""
    from searchlab.reporting.formats import count

    name, ended = last.sweep, f"{last.ended} of {count(last.requested, 'trial')}"
    if last.state == "interrupted":
        return (
            f"{name!r} was interrupted after {ended}; no process is running it, and `searchlab resume {name}` "
            "continues it."
        )
    if last.state == "failed":
        reason = f" ({last.failures[0].reason})" if last.failures else ""
        return (
            f"{name!r} failed: {ended} ended and none has a score{reason}; `searchlab resume {name} --trials N` "
            "continues it with more trials."
        )
    return f"the connection to {name!r} was lost after {ended}; `searchlab watch {name}` watches it again."
