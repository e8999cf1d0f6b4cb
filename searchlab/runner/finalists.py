"""The search that follows a search: its best trials are run again with fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from searchlab.engine.protocol import engine_named
from searchlab.errors import Interrupted
from searchlab.results.finalists import Finalist, choose_finalists, compare_finalists, finalists_job
from searchlab.runs.events import EpochFinished, Event, EventHandler, Message, TrialFinished, TrialStarted
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.trials import TrialRecord
from searchlab.wording import count

MAX_SECONDS_HERE = 10.0  # of training: workers take as long until they have started


class FinalistsRun:
    """Runs the finalists of one search again: in this process where that is short, otherwise on the search's workers.

    Args:
        job: The job of the search.
        show: Gets the events of the finalists, under the numbers that their trials have in the search.
        begin: Called with their number before they are run.
    """

    def __init__(self, job: Job, show: Callable[[Event], None], begin: Callable[[int], None]) -> None:
        self.job, self._show, self._begin = job, show, begin
        self._finalists: list[TrialRecord] = []
        self._seeds = 0

    def follow_up(self, found: SearchResult) -> tuple[Job, EventHandler] | None:
        """Return the search of the finalists for the workers of the search; None where there is none for them."""
        self._finalists, self._seeds = choose_finalists(self.job, found.trials)
        return self._start() if self._finalists and not self._is_short() else None

    def compare(self, found: SearchResult) -> list[Finalist]:
        """Return the finalists, the winner first; none where there was no choice.

        Raises Interrupted when the run was told to stop meanwhile.
        """
        if not self._finalists:
            return []
        again = found.follow_up or engine_named("local").search(*self._start())
        if again.paused:
            name = self.job.name
            raise Interrupted(
                f"{name!r} stopped while its best trials were run again; every trial is kept, and `searchlab resume "
                f"{name}` continues from where it was."
            )
        return compare_finalists(self.job, self._finalists, again.trials)

    def _is_short(self) -> bool:
        """Return whether training in this process, which is not one of a cluster's workers, takes little time."""
        trials = [(trial, len(trial.curve.scores)) for trial in self._finalists]
        seconds = sum((trial.epoch or 0) / epochs * trial.curve.seconds for trial, epochs in trials if epochs)
        return self.job.config.address is None and self._seeds * seconds <= MAX_SECONDS_HERE

    def _start(self) -> tuple[Job, EventHandler]:
        self._begin(len(self._finalists))
        trials = ", ".join(str(trial.number) for trial in self._finalists)
        self._show(Message(f"trials {trials} are run again with {count(self._seeds, 'fresh seed')}"))
        return finalists_job(self.job, self._finalists, self._seeds), FinalistEvents(self._finalists, self._show)


class FinalistEvents:
    """An event handler that passes the events of finalists on, each under the number of its trial in the search."""

    def __init__(self, finalists: Sequence[TrialRecord], show: Callable[[Event], None]) -> None:
        self._finalists, self._show = finalists, show
        self._means: dict[int, float] = {}  # of each finalist, after the epoch that was its best in the search

    def handle(self, event: Event) -> None:
        """Pass the event on; a finalist that ends after its epochs is complete, with its score after the last one."""
        match event:
            case EpochFinished(trial=trial, epoch=epoch, scores=scores):
                if epoch == self._finalists[trial].epoch:
                    self._means[trial] = sum(scores) / len(scores)
                self._show(replace(event, trial=self._finalists[trial].number))
            case TrialStarted(trial=trial):
                self._show(replace(event, trial=self._finalists[trial].number))
            case TrialFinished(trial=trial, state=state):
                finalist, mean = self._finalists[trial], self._means.get(trial)
                ended = replace(event, trial=finalist.number, epoch=finalist.epoch, value=mean)
                self._show(replace(ended, state="COMPLETE") if state == "PRUNED" else ended)
            case Message():
                self._show(event)
