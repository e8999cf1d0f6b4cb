"""The pipeline of one run: prepare, search, choose the winner, and complete the record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from searchlab.data.training_rows import TrainingRows
from searchlab.engine.memory_limits import worker_memory
from searchlab.engine.protocol import engine_named
from searchlab.engine.refit import RefitTrial
from searchlab.errors import Interrupted, UserMistake, WorldFault
from searchlab.metrics import Goal
from searchlab.monitor.snapshot import SweepState
from searchlab.reporting.report import write_report
from searchlab.results.finalists import Finalist
from searchlab.results.model_card import write_model_card
from searchlab.results.result import Result
from searchlab.results.winner import Winner, select_winner
from searchlab.runner.finalists import FinalistsRun
from searchlab.runner.finished import stored_winner
from searchlab.runner.full_disk import disk_faults_told
from searchlab.runner.phase_clock import PhaseClock
from searchlab.runner.record import conclude_record, log_winner, open_recorder, winner_text
from searchlab.runner.run_figures import RunFigures
from searchlab.runner.sweep_lock import sweep_locked
from searchlab.runs.events import (
    Event,
    EventHandler,
    Message,
    NullHandler,
    Phase,
    PhaseStarted,
    TrialFinished,
    TrialStarted,
    masked,
)
from searchlab.runs.job import Job, PriorTrial, SearchResult
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.provenance import provenance
from searchlab.runs.secrets import mask
from searchlab.runs.trials import TrialRecord, ended
from searchlab.runs.urls import without_password
from searchlab.runs.workspace import Workspace
from searchlab.space.kernel_choice import kernels_of
from searchlab.space.sweep import Sweep
from searchlab.study.warm_start import load_prior_trials
from searchlab.tracking.early_writer import EarlyWriter
from searchlab.tracking.run_recorder import RunRecorder
from searchlab.wording import count


class SweepPipeline:
    """Carries out a sweep from where it stands to its end, and passes its events to the display and the record.

    `sweep` has the manifest's values fixed; `rows` are its training rows, which are read once in this process; `early`
    is the process that writes the record, where it was started before.
    """

    def __init__(
        self,
        sweep: Sweep,
        manifest: SweepManifest,
        workspace: Workspace,
        rows: TrainingRows,
        display: EventHandler | None = None,
        early: EarlyWriter | None = None,
    ) -> None:
        self.sweep, self.manifest, self.rows, self.display = sweep, manifest, rows, display
        self.workspace, self.folder, self._early = workspace, workspace.sweep(manifest.name), early
        self._resumed = self.folder.read("sweep") is not None
        self._stored = self.folder.read("result") if self._resumed else None  # of an earlier run
        self._reused = False  # whether its winner is still the winner
        self._others: dict[str, Goal] = {other.name: other.goal for other in sweep.metrics[1:]}
        self._figures = RunFigures(sweep.primary_metric, self._others, self.folder.figures, manifest.trials)
        self._recorder: EventHandler = NullHandler()
        self._clock = PhaseClock()

    def run(self) -> Result:
        """Search until every trial has ended, select the winner, and complete the record.

        Raises UserMistake when another process runs the sweep or its data have changed, WorldFault when the search had
        to stop early, and Interrupted when it was told to stop.
        """
        self._enter("start")
        with disk_faults_told(self.folder), sweep_locked(self.folder):
            checksum = self.validate_data()
            self.manifest.save(self.folder)
            recorder = open_recorder(
                self.sweep, self.manifest, self.workspace, self._root(), checksum, self._tell, self._early
            )
            self._recorder = recorder
            try:
                result = self._conclude(*self._search(), recorder)
            except Interrupted:
                with suppress(WorldFault):  # the next run completes what the record lacks
                    recorder.conclude("KILLED", {}, {})
                raise
            except KeyboardInterrupt as error:
                name = self.manifest.name
                raise Interrupted(
                    f"{name!r} was interrupted; what was reached is kept, and `searchlab resume {name}` continues it."
                ) from error
            finally:
                self._figures.close()
                recorder.close()
            self.folder.write("result", result.to_json())
        return result

    def handle(self, event: Event) -> None:
        """Pass an event on; the first trial starts the search phase, and the last one to end ends it."""
        if isinstance(event, TrialStarted) and self._clock.phase == "start":
            self._enter("search")
        if isinstance(event, TrialFinished):
            self._clock.record_trial_end()
            self._figures.record_trial_end()
        shown = masked(event)
        if isinstance(shown, TrialFinished) and shown.traceback:
            self.folder.write_traceback(shown.trial, shown.traceback)
        self._show(shown)
        self._recorder.handle(shown)

    def _search(self) -> tuple[SearchResult, Winner | None]:
        engine, job = engine_named(self.manifest.config.engine), self.job()
        finalists = FinalistsRun(job, self._show, partial(self._enter, "finalists"))

        def follow_up(found: SearchResult) -> tuple[Job, EventHandler] | None:
            self._require_all_trials(found)
            return None if self._stored_winner(found) else finalists.follow_up(found)

        with engine.session(job):
            found = engine.search(job, self, follow_up)
            self._require_all_trials(found)
            if winner := self._stored_winner(found):
                self._reused = True
                return found, winner
            self._figures.begin(found.trials)
            compared = finalists.compare(found)
            self._enter("winner")
            return found, self._select_winner(job, found.trials, compared, partial(engine.refit, job))

    def _stored_winner(self, found: SearchResult) -> Winner | None:
        return stored_winner(self._stored, found.trials, self.manifest, self.folder)

    def _conclude(self, found: SearchResult, winner: Winner | None, recorder: RunRecorder) -> Result:
        """Draw the figures, write the report, and conclude the record."""
        metric, manifest = self.sweep.primary_metric, self.manifest
        if winner and not self._reused:
            self._tell(winner_text(winner, metric.name))
        self._enter("record")
        if winner:
            log_winner(recorder, winner, manifest.config.register)  # which takes as long as to draw the figures
        figures = self._figures.finish(winner)
        for figure in figures:
            recorder.log_artifact(figure, "figures")
        draft = Result(
            sweep=manifest.name,
            state="FINISHED" if winner else "FAILED",
            trials=tuple(found.trials),
            requested=manifest.trials,
            winner=winner,
            metric=metric.name,
            goal=metric.goal,
            seconds=self._seconds(),
            tracking_uri=self._tracking_uri(),
            run_id=None,
            figures=figures,
            others=self._others,
            over=found.over,
            home=self.workspace.path,
            definition=self.sweep,
        )
        state: SweepState = "finished" if winner else "failed"
        report = write_report(manifest, self.workspace, found.trials, state, draft.to_json(), figures)
        recorder.log_artifact(report, "report")
        run_id, fault = conclude_record(recorder, manifest, draft)
        result = replace(draft, seconds=self._seconds(), run_id=run_id, record_fault=fault, report=report)
        result = replace(result, registered=recorder.registered)
        if fault:  # the report that is recorded does not say so
            write_report(manifest, self.workspace, found.trials, state, result.to_json(), figures)
        return result

    def _tell(self, text: str) -> None:
        """Show a sentence to whoever watches the run."""
        self._show(Message(mask(text)))

    def _select_winner(
        self, job: Job, trials: list[TrialRecord], finalists: Sequence[Finalist], refit: RefitTrial
    ) -> Winner | None:
        if not any(trial.value is not None for trial in trials):
            return None
        origin = {"versions": provenance(self._root(), kernels_of(job.sweep)), "created": time.time()}
        with threadpool_limits(self.sweep.resources.blas_threads):
            winner = select_winner(job, trials, self.folder, finalists, origin=origin, refit=refit, handler=self)
        write_model_card(job, winner, len(trials))
        return winner

    def _require_all_trials(self, found: SearchResult) -> None:
        """Raise Interrupted or WorldFault where trials are left that no budget excuses."""
        counted = [trial for trial in ended(found.trials) if self.sweep.counts_towards_trials(trial.state)]
        done, name = len(counted), self.manifest.name
        if found.over or (done >= self.manifest.trials and not found.paused):
            return
        message = (
            f"{name!r} stopped after {done} of {count(self.manifest.trials, 'trial')}; they are kept, and "
            f"`searchlab resume {name}` continues with the rest"
        )
        if found.paused:
            raise Interrupted(f"{message} from where it was.")
        raise WorldFault(f"{message}.")

    def job(self) -> Job:
        """Return the job of the sweep, as an engine is given it."""
        manifest, folder, config = self.manifest, self.folder, self.manifest.config
        through_client = (config.address or "").startswith("ray://")  # study and Tune run on another machine
        return Job(
            sweep=self.sweep,
            name=manifest.name,
            storage=manifest.study_storage(folder),
            checkpoints=manifest.checkpoints_of(folder),
            trials=manifest.trials,
            config=config,
            root=self._root(),
            memory=worker_memory(config, self.sweep.resources),
            generation=manifest.generation,
            prior_trials=self._prior_trials(),
            initial_points=manifest.initial_points,
            id=manifest.id,
            lock=None if through_client else folder.path / "study.lock",
            tune_folder=None if through_client else folder.tune,
            rows=self.rows,
        )

    def _prior_trials(self) -> Sequence[PriorTrial]:
        """Return what the sampler learns from an earlier sweep; once this sweep has begun, its study holds it."""
        name = self.manifest.config.warm_start
        if not name or self.folder.study.exists():
            return ()
        with suppress(*([UserMistake] if self._resumed else [])):  # the earlier sweep may be gone by now
            return load_prior_trials(self.workspace, name, self.sweep)
        return ()

    def _root(self) -> Path:
        return self.manifest.project_root(self.folder)

    def validate_data(self) -> str:
        """Return the checksum of the training rows; raise UserMistake where it is not that of the earlier trials."""
        checksum, stored = self.rows.load().checksum(), self.folder.read("data")
        if stored is None:
            self.folder.write("data", {"checksum": checksum})
        elif stored["checksum"] != checksum:
            raise UserMistake(
                f"the data of {self.manifest.name!r} have changed since it was started; "
                "restore the old data to continue, or run the sweep under another name."
            )
        return checksum

    def _tracking_uri(self) -> str | None:
        if self.manifest.config.tracking is None:
            return None
        return without_password(self.manifest.config.tracking_uri or self.workspace.tracking_uri)

    def _enter(self, phase: Phase, trials: int | None = None) -> None:
        """Begin a phase, of this number of trials where they are not those of the search."""
        self._clock.enter(phase)
        manifest = self.manifest
        requested = manifest.trials if trials is None else trials
        self._show(PhaseStarted(phase, manifest.name, requested, manifest.metric, manifest.goal))

    def _show(self, event: Event) -> None:
        """Pass an event to the display; go on without it when it cannot write, as on a terminal that was closed."""
        try:
            if self.display:
                self.display.handle(event)
        except (OSError, UnicodeError):
            self.display = None

    def _seconds(self) -> dict[str, float]:
        """Return the seconds of each phase so far and in total, or those of the earlier run that found the winner."""
        if self._reused and self._stored:
            return dict(self._stored["seconds"])
        return self._clock.seconds()
