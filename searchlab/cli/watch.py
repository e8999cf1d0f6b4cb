"""`searchlab watch`: a sweep that another process drives, shown until it ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from searchlab.cli.elsewhere import address_option, elsewhere
from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.errors import UserMistake, WorldFault

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from searchlab.monitor.snapshot import Snapshot

SENT = 60.0  # seconds to wait for a sweep that was just sent: its driver has to start


@click.command("watch")
@click.argument("name")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks; longer where a look takes long.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="For a sweep that is about to begin, or to be gone on with.",
)
@address_option
@storage_option
@home_option
@json_option
def watch_command(
    name: str, interval: float, wait: float, address: str | None, storage: str | None, home: str, as_json: bool
) -> int:
    """Watch the sweep NAME, which another process drives, until it ends; with --json, an object for every change."""
    if url := elsewhere(address):
        return show(_there(url, name, interval, wait), Output(as_json))
    from searchlab.monitor.watch import snapshots
    from searchlab.runs.workspace import Workspace

    return show(snapshots(Workspace.at(home, storage).sweep(name), interval, wait), Output(as_json))


def show(seen: Iterable[Snapshot], output: Output) -> int:
    """Draw or print snapshots as they come, and say how it ended; returns the exit code.

    That is 0 for a finished sweep, 1 for one that nothing drives any more, and 130 for Ctrl-C, which touches no sweep.
    """
    from searchlab.monitor.snapshot import OVER

    last = None
    try:
        with _view(output) as view:
            for last in seen:
                if last.state in OVER:
                    break
                view.show(last)
    except KeyboardInterrupt:
        return 130
    return _conclude(last, output)


def _there(url: str, name: str, interval: float, wait: float) -> Iterator[Snapshot]:
    """The snapshots that the verb gives on the cluster's head. One whose job is about to begin is waited for."""
    from searchlab.cluster.jobs import MISTAKE, Jobs
    from searchlab.monitor.snapshot import OVER, Snapshot

    jobs = Jobs(url)
    sent = [job for job in jobs.all() if job.metadata["searchlab.sweep"] == name]
    coming = bool(sent) and sent[-1].status in ("PENDING", "RUNNING")
    words = ["watch", name, "--interval", str(interval), "--wait", str(max(wait, SENT if coming else 0.0))]
    last = None
    try:
        for found in jobs.objects(words):
            if "state" in found:
                yield (last := Snapshot.of(found))
    except (UserMistake, WorldFault) as error:
        if last is not None and last.state in OVER:
            return  # which says how
        if sent and jobs.state(sent[-1].id) in ("FAILED", "STOPPED"):  # its driver refused it before it was a sweep
            said = [line for line in jobs.said(sent[-1].id) if line.startswith(MISTAKE)]
            raise UserMistake(said[-1].removeprefix(MISTAKE) if said else str(error)) from error
        raise


class _View(Protocol):
    def show(self, snapshot: Snapshot) -> None: ...


class _Screen:
    """Redrawn in place; between two snapshots the clock goes on."""

    def __init__(self) -> None:
        self._shown: Snapshot | None = None
        self._at = 0.0

    def show(self, snapshot: Snapshot) -> None:
        self._shown, self._at = snapshot, time.monotonic()

    def draw(self) -> RenderableType:
        from searchlab.cli.board import Board

        return Board(self._shown, since=time.monotonic() - self._at) if self._shown else ""


class _Lines:
    """A line when the state has changed, or a tenth more of the trials has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: tuple[str, int] | None = None

    def show(self, snapshot: Snapshot) -> None:
        from searchlab.cli.board import ended_told, label_of, tenths

        label = label_of(snapshot)
        if (label, tenths(snapshot)) != self._told:
            counted = f", {ended_told(snapshot)}" if snapshot.asked else ""
            self._console.print(f"{snapshot.sweep}: {label}{counted}", markup=False, soft_wrap=True)
            self._told = label, tenths(snapshot)


class _Objects:
    """A JSON object for every snapshot."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, snapshot: Snapshot) -> None:
        self._output.result(snapshot.plain())


@contextmanager
def _view(output: Output) -> Iterator[_View]:
    if output.as_json:
        yield _Objects(output)
    elif output.console.is_terminal:
        from rich.live import Live

        screen = _Screen()
        with Live(get_renderable=screen.draw, console=output.console, refresh_per_second=4, transient=True):
            yield screen
    else:
        yield _Lines(output.console)


def _conclude(last: Snapshot | None, output: Output) -> int:
    """Tell how it ended: the board and, of what is not finished, one sentence; as JSON all in one object."""
    from searchlab.cli.board import Board

    if last is None:
        return output.error("nothing was seen of the sweep; whatever it does, watching it changes nothing.", 1)
    if last.asked:
        output.console.print(Board(last))
    if last.state == "finished":
        output.console.print(f"\n{_finished(last)}", markup=False, soft_wrap=True)
        output.result(last.plain())
        return 0
    sentence = _unfinished(last)
    click.echo(f"searchlab: {sentence}", err=True)
    output.result({**last.plain(), "error": sentence, "exit_code": 1})
    return 1


def _finished(last: Snapshot) -> str:
    over = f", before its {last.asked} trials were used up: {last.over}" if last.over else ""
    return f"{last.sweep} is finished{over}; `searchlab report {last.sweep}` shows all of it"


def _unfinished(last: Snapshot) -> str:
    """What became of a sweep without a winner, in one sentence."""
    name, counted = last.sweep, f"{last.ended} of {last.asked} trials ended"
    if last.state == "interrupted":
        return f"{name!r} was interrupted with {counted}; nothing drives it, and `searchlab resume {name}` goes on."
    if last.state == "failed":
        why = f" ({last.mishaps[0].reason})" if last.mishaps else ""
        return (
            f"{name!r} failed: {counted} and none with a score{why}; "
            f"`searchlab resume {name} --trials N` goes on with more."
        )
    return f"{name!r} was lost sight of with {counted}; `searchlab watch {name}` looks again."
