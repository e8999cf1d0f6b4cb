"""The search that follows a search: its best trials are run again with fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from searchlab.errors import Interrupted
from searchlab.results.finalists import Finalist, choose_finalists, compare_finalists, finalists_job
from searchlab.runs.events import EpochFinished, Event, EventHandler, Message, TrialFinished, TrialStarted
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.trials import TrialRecord
from searchlab.wording import count


class FinalistsRun:
    """Runs the finalists of one search again.

    Args:
        job: The job of the search.
        show: Gets the events of the finalists, under the numbers that their trials have in the search.
        begin: Called before they are run.
    """

    def __init__(self, job: Job, show: Callable[[Event], None], begin: Callable[[], None]) -> None:
        self.job, self._show, self._begin = job, show, begin
        self._finalists: list[TrialRecord] = []

    def follow_up(self, found: SearchResult) -> tuple[Job, EventHandler] | None:
        """Return the search of the finalists; None where there is no choice."""
        self._finalists, seeds = choose_finalists(self.job, found.trials)
        if not self._finalists:
            return None
        self._begin()
        trials = ", ".join(str(trial.number) for trial in self._finalists)
        self._show(Message(f"trials {trials} are run again with {count(seeds, 'fresh seed')}"))
        return finalists_job(self.job, self._finalists, seeds), FinalistEvents(self._finalists, self._show)

    def compare(self, found: SearchResult) -> list[Finalist]:
        """Return the finalists, the winner first; none where there was no choice.

        Raises Interrupted when the run was told to stop meanwhile.
        """
        if found.follow_up is None:
            return []
        if found.follow_up.paused:
            name = self.job.name
            raise Interrupted(
                f"{name!r} stopped while its best trials were run again; every trial is kept, and `searchlab resume "
                f"{name}` continues from where it was."
            )
        return compare_finalists(self.job, self._finalists, found.follow_up.trials)


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
