"""Resume a sweep that was interrupted, or extend a finished one."""

from __future__ import annotations

import os
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from searchlab.data.training_rows import TrainingRows
from searchlab.display.python_display import python_display
from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor.study_reader import open_study
from searchlab.results import stored_result
from searchlab.results.result import Result
from searchlab.runner.changed_code import accept_code
from searchlab.runner.finished import is_finished, is_untested
from searchlab.runner.outcome import require_winner
from searchlab.runner.pipeline import SweepPipeline
from searchlab.runner.run import keep_project, validate_run
from searchlab.runs.config import RunConfig
from searchlab.runs.events import EventHandler, Message
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.urls import with_password_from, without_password
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.space import loader
from searchlab.space.sweep import Sweep
from searchlab.wording import count


def resume(
    name: str,
    *,
    home: str | os.PathLike[str] = ".searchlab",
    trials: int | str | None = None,
    seconds: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    sweep: Sweep | None = None,
    spec: str | os.PathLike[str] | None = None,
    changed_code: bool = False,
    look_again: bool = False,
    register: str | None = None,
    progress: bool = True,
    display: EventHandler | None = None,
) -> Result:
    """Continue a sweep that was interrupted, or extend a finished one.

    Finished trials stay, unfinished ones continue from their last checkpoint. Of a finished sweep that is not extended,
    the result is returned and nothing is touched.

    Args:
        name: Name of the sweep.
        home: Folder of studies, checkpoints, artifacts and the MLflow store; default: ".searchlab".
        trials: Number of trials to extend the sweep to, such as 60, or the number of trials to add as a text with a
            plus sign, such as "+20"; default: as many as before.
        seconds: Time budget of the search in seconds, all runs together; default: as before.
        address: Address of the Ray cluster now, for a sweep that was started on one; default: as before.
        storage: URL of the study's database with its password; default: without a password.
        tracking_uri: URL of the MLflow server with its password; default: without a password.
        sweep: The sweep, where it was started from Python; default: it is loaded from its file.
        spec: The sweep file where it is now; default: where it was, seen from the home folder or absolutely.
        changed_code: Go on although the code has changed, which the record then says; default: refuse.
        look_again: Test the winner even on test rows that were opened before; default: no.
        register: Name in MLflow's model registry to register the winner by, "" for that of the sweep; default:
            as before.
        progress: Show the run: a board in a terminal, one line in a notebook; default: yes.
        display: Handles the events of the run, in place of what `progress` shows; default: none.

    Raises:
        UserMistake: When there is no such sweep, its file now means another sweep, or its code or data have changed.
        WorldFault: When the search had to stop early, or the study of a sweep with results is gone.
        SearchFailed: When no trial could be trained.

    Example:
        >>> import tempfile
        >>> import searchlab
        >>> searchlab.resume("no-such-sweep", home=tempfile.mkdtemp())
        Traceback (most recent call last):
        searchlab.errors.UserMistake: there is no sweep called 'no-such-sweep' in ...; there are: none yet.
    """
    metric = sweep.primary_metric if sweep else None
    shown = nullcontext(display) if display else python_display(metric, progress=progress)
    with shown as handler:
        result = resume_sweep(
            name,
            home=home,
            trials=trials,
            seconds=seconds,
            address=address,
            storage=storage,
            tracking_uri=tracking_uri,
            sweep=sweep,
            spec=spec,
            changed_code=changed_code,
            look_again=look_again,
            register=register,
            display=handler,
        )
    return require_winner(result, stacklevel=2)


def resume_sweep(
    name: str,
    *,
    home: str | os.PathLike[str] = ".searchlab",
    trials: int | str | None = None,
    seconds: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    sweep: Sweep | None = None,
    spec: str | os.PathLike[str] | None = None,
    changed_code: bool = False,
    look_again: bool = False,
    register: str | None = None,
    display: EventHandler | None = None,
) -> Result:
    """Return the result of a sweep after continuing it, also where no trial could be trained; see `resume`.

    `display` handles the events of the run.
    """
    workspace = Workspace.at(home, storage)
    manifest = SweepManifest.load(workspace.sweep(name))
    if manifest.own_loop:
        raise UserMistake(f"{name!r} is trained by a loop of your own; sweep.study(name={name!r}) continues it there.")
    trials = total_trials(trials, manifest.trials)
    _require_study(manifest, workspace.sweep(name))
    finished = seconds is None and trials in (None, manifest.trials) and is_finished(manifest, workspace)
    finished &= not (look_again and is_untested(workspace.sweep(name))) and register is None
    if finished and sweep is None and spec is None and not manifest.has_spec():
        return _open_finished(name, home, storage, display)
    if spec is not None:
        manifest = replace(manifest, spec=str(Path(spec).expanduser().absolute()))
    sweep = sweep or loader.load(Path(spec) if spec is not None else manifest.spec_path()).sweep
    values = {**manifest.config.values, **({} if seconds is None else {"budget.seconds": seconds})}
    sweep = sweep.with_values(values)
    if not manifest.describes(sweep):
        raise UserMistake(
            f"{name!r} was started with another space than {manifest.spec or 'this sweep'} has now; "
            "restore the old one to continue, or run the new one under another name."
        )
    if finished and not changed_code:
        return _open_finished(name, home, storage, display)
    manifest = accept_code(manifest, sweep, workspace.sweep(name), accept_changes=changed_code)
    if trials is not None and RunConfig(trials=trials).trials is not None and trials < manifest.trials:
        raise UserMistake(
            f"{name!r} was started with {count(manifest.trials, 'trial')}; it can be extended, not reduced to {trials}."
        )
    if display and trials is not None and trials > manifest.trials:
        display.handle(Message(f"{name!r} is extended from {manifest.trials} to {count(trials, 'trial')}"))
    config = replace(_here(manifest.config, values, address, tracking_uri), look_again=look_again)
    config = replace(config, register=config.register if register is None else register)
    manifest = replace(manifest, trials=sweep.resolve_trials(trials or manifest.trials), config=config)
    rows = TrainingRows(sweep.data)
    validate_run(sweep, replace(config, warm_start=None), rows)
    if spec is not None and config.address:
        kept = keep_project(sweep, Path(spec), workspace.sweep(name))
        manifest = replace(manifest, spec=str(kept))
    return SweepPipeline(sweep, manifest, workspace, rows, display).run()


def total_trials(trials: int | str | None, before: int) -> int | None:
    """Return the number of trials in all: 60 for 60, and 20 more than before for "+20"; None for None.

    Raises UserMistake for another text.
    """
    if not isinstance(trials, str):
        return trials
    if not re.fullmatch(r"\+0*[1-9]\d*", trials):
        raise UserMistake(
            f"trials is the number of trials in all, such as {before + 20}, or how many are added, such as '+20'; "
            f"got {trials!r}."
        )
    return before + int(trials)


def _open_finished(
    name: str, home: str | os.PathLike[str], storage: str | None, display: EventHandler | None
) -> Result:
    """Return the result of a finished sweep, and say that there is nothing to do."""
    if display:
        display.handle(Message(f"{name!r} is finished, and nothing of it is changed; --trials extends it"))
    return stored_result.open(name, home=home, storage=storage)


def _require_study(manifest: SweepManifest, folder: SweepFolder) -> None:
    """Raise WorldFault where a sweep has a result and its study has no trials: new ones would contradict the record."""
    if folder.read("result") is None:
        return
    storage = manifest.study_storage(folder)
    try:
        ended = open_study(storage, manifest.name, manifest.goal, with_parameters=False).read().ended
    except WorldFault:
        return  # damaged, or a database that is away or that only the cluster reaches: the search tells or waits
    if not ended:
        raise WorldFault(
            f"{manifest.name!r} has a result, and its study in {without_password(str(storage))} is gone or empty; "
            "restore it to continue, or run the sweep under another name."
        )


def _here(config: RunConfig, values: dict[str, object], address: str | None, tracking_uri: str | None) -> RunConfig:
    """Return the stored options with what this call and its environment add to them."""
    changes: dict[str, object] = {"values": values}
    if address and config.address:  # a sweep of this machine stays here, whatever the environment says
        changes["address"] = address
    if config.tracking_uri:
        changes["tracking_uri"] = with_password_from(config.tracking_uri, tracking_uri)
    return replace(config, **changes)  # type: ignore[arg-type]
