"""The study: groups of equal structure, truthful ends, and a storage that survives whoever owned it."""

from __future__ import annotations

import json
import resource
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
import optuna
import pytest

from models.mlp import MLP
from searchlab import SGD, TPE, Random, Space, Trainer
from searchlab.engine.checkpoints import Checkpoint, Checkpoints
from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.runs.trials import retell
from searchlab.space.structure import structural
from searchlab.study.reading import peek
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.sweeps import spiral_sweep


@pytest.fixture
def job(tmp_path):
    return Job(spiral_sweep(), "spiral", tmp_path / "study.journal", tmp_path / "checkpoints", trials=6, fuse=3)


def epoch(number, scores, losses=None, failures=None):
    """A report of one epoch: one score per replica."""
    size = len(scores)
    losses = np.ones(size) if losses is None else losses
    return EpochReport(number, losses, np.array(scores, dtype=float), failures or (None,) * size, 0.6, 1000.0 + number)


def states(job):
    return [trial.state for trial in peek(job.storage, job.name)]


@pytest.fixture
def own():
    """Opens studies, and lets go of those still open in the end."""
    with ExitStack() as stack:

        def open_study(job, tracker=None):
            study = Study(job, tracker or Buffer())
            stack.callback(study.close)
            return study

        yield open_study


def test_a_group_shares_its_structure_and_stays_within_the_space(own, job):
    study = own(job)
    first, second = study.ask(), study.ask()
    assert [group.trials for group in (first, second)] == [(0, 1, 2), (3, 4, 5)]
    assert study.ask() is None, "six trials were asked for"
    for group in (first, second):
        assert len({tuple(structural(job.sweep, p).items()) for p in group.parameters}) == 1
        rates = [p[f"optimizer.{p['optimizer']}.lr"] for p in group.parameters]
        assert len(set(rates)) == 3, "what may differ does differ"
        for parameters in group.parameters:
            domains = {path: domain for path, domain, _ in job.sweep.walk()}
            assert all(domains[path].contains(value) for path, value in parameters.items() if path != "optimizer")


def test_a_trial_is_worth_its_best_epochs_mean_over_folds(own, job):
    study = own(job, tracker := Buffer())
    group = study.ask()
    rows = [[0.5, 0.7, 0.1, 0.3, 0.0, 0.0], [0.8, 0.6, 0.4, 0.4, 0.0, 0.0], [0.6, 0.6, 0.5, 0.4, 0.0, 0.0]]
    for number, scores in enumerate(rows[:2], start=1):
        assert study.report(group.trials, epoch(number, scores)).stay == (0, 1, 2)
    study.finish(group.trials, epoch(3, rows[2]))
    first, second, _ = study.records()[:3]
    assert (first.value, first.epoch, list(first.folds)) == (pytest.approx(0.7), 2, [0.8, 0.6])
    assert (second.value, second.epoch) == (pytest.approx(0.45), 3)
    assert first.curve.seconds == pytest.approx(3 * 0.6 / 3), "a trial's share of its group's time"
    told = [(method, args.get("epoch")) for method, args in tracker.drain() if args["trial"] == 0]
    assert told == [("start", None), ("log", 1), ("log", 2), ("log", 3), ("finish", 2)]
    stored = optuna.load_study(study_name=job.name, storage=study.ledger.study._storage).trials[0]
    assert (stored.state.name, stored.value) == ("COMPLETE", pytest.approx(0.7))
    assert json.loads(stored.user_attrs["end"]["curve"])["scores"] == [[0.5, 0.7], [0.8, 0.6], [0.6, 0.6]]


def test_a_diverged_trial_fails_with_its_reason_and_leaves_the_group(own, job):
    study = own(job)
    group = study.ask()
    failures = (None, None, None, "diverged in epoch 1: the training loss is nan", None, None)
    assert study.report(group.trials, epoch(1, [0.5] * 6, failures=failures)).stay == (0, 2)
    study.finish([0, 2], epoch(2, [0.5] * 4))
    records = study.records()
    assert [record.state for record in records[:3]] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert records[1].reason == "diverged in epoch 1: the training loss is nan (fold 1)"
    assert records[1].value is None


def test_a_replayed_epoch_counts_once(own, job):
    study = own(job)
    group = study.ask()
    for number in (1, 2, 1, 2):
        study.report(group.trials, epoch(number, [0.5] * 6))
    study.finish(group.trials, epoch(3, [0.5] * 6))
    assert len(study.records()[0].curve.scores) == 3


def test_open_trials_are_handed_out_again_under_their_numbers(own, job):
    study = own(job)
    first, second = study.ask(), study.ask()
    study.report(first.trials, epoch(1, [0.5] * 6))
    study.finish(first.trials[:2], epoch(2, [0.5] * 4))
    study.close()  # as a kill does: two trials of six are stored as ended
    again = own(job)
    left = [again.ask(), again.ask(), again.ask()]
    assert left[2] is None
    assert [(g.id, g.trials) for g in left[:2]] == [(first.id, (2,)), (second.id, (3, 4, 5))]
    assert left[0].parameters == first.parameters[2:]
    assert left[1].parameters == second.parameters
    for group in left[:2]:
        again.finish(group.trials, epoch(1, [0.5] * 2 * len(group.trials)))
    assert states(job) == ["COMPLETE"] * 6


def test_a_trial_killed_while_it_was_drawn_keeps_what_it_had_and_gets_the_rest(own, job):
    study = own(job)
    trial = study.ledger.study.ask()
    trial.suggest_int("model.hidden", 5, 20, step=5)
    study.close()
    group = own(job).ask()
    assert group.trials == (0,)
    assert group.parameters[0]["model.hidden"] == trial.params["model.hidden"]
    assert "training.clip_norm" in group.parameters[0]


def test_what_a_killed_draw_still_lacks_is_drawn_by_seed_and_number(own, job, tmp_path):
    study = own(job)
    study.ledger.study.ask().suggest_int("model.hidden", 5, 20, step=5)
    study.close()
    (tmp_path / "copy.journal").write_bytes(job.storage.read_bytes())
    copies = [own(job), own(replace(job, storage=tmp_path / "copy.journal"))]
    first, second = (copy.ask().parameters for copy in copies)
    assert first == second


def test_a_torn_last_line_is_dropped_and_nothing_else(own, job):
    study = own(job)
    group = study.ask()
    study.finish(group.trials, epoch(1, [0.5] * 6))
    study.close()
    with job.storage.open("ab") as file:
        file.write(b'{"op_code":6,"trial_id":3,"va')
    again = own(job)
    assert [record.state for record in again.records()] == ["COMPLETE"] * 3
    assert again.ask().trials == (3, 4, 5)
    again.close()
    assert all(json.loads(line) for line in job.storage.read_text().splitlines())


def test_a_study_has_one_owner(own, job, monkeypatch):
    monkeypatch.setattr("searchlab.study.study.ORPHAN", 0.0)
    study = own(job)
    with pytest.raises(BlockingIOError):
        own(job)
    study.close()
    own(job).close()


def drawn(own, job, breaks=()):
    """The parameters of all trials, drawn one by one and scored by a formula, with a new owner before these trials."""
    study, found = own(job), []
    while True:
        if len(found) in breaks:
            study.close()
            study = own(job)
        group = study.ask()
        if group is None:
            return found
        found.append(dict(group.parameters[0]))
        study.finish(group.trials, epoch(1, [1.0 / (1.0 + found[-1]["training.clip_norm"])] * 2))


def test_what_is_drawn_depends_on_the_seed_and_the_trials_before_not_on_restarts(own, job, tmp_path):
    def fresh(name, **changes):
        return replace(job, storage=tmp_path / f"{name}.journal", trials=16, fuse=1, **changes)

    whole = drawn(own, fresh("whole"))
    assert drawn(own, fresh("broken"), breaks=(3, 12)) == whole
    assert drawn(own, fresh("other", seed=1)) != whole
    assert len({tuple(one.items()) for one in whole}) == 16, "a restarted sampler repeats no draw"


@pytest.fixture(params=["journal", "database"])
def stored(request, job, tmp_path):
    """The same job, its study in the journal or in a database."""
    return job if request.param == "journal" else replace(job, storage=f"sqlite:///{tmp_path / 'study.db'}")


@pytest.fixture
def readings(monkeypatch):
    """Counts how often all trials of a study are read."""

    def count(study, made):
        storage = study.ledger.study._storage
        read = storage.get_all_trials
        monkeypatch.setattr(storage, "get_all_trials", lambda *given, **named: made.append(1) or read(*given, **named))
        return made

    return count


@pytest.mark.parametrize(("sampler", "most"), [(Random(), 0), (TPE(), 1)])
def test_to_draw_and_end_a_trial_the_others_are_not_read(own, stored, readings, sampler, most):
    sweep = spiral_sweep(sampler=sampler, trials=30)
    study = own(replace(stored, sweep=sweep, trials=30, fuse=1))
    made = readings(study, [])
    while group := study.ask():
        study.finish(group.trials, epoch(1, [0.5 + 0.01 * group.trials[0]] * 2))
    assert len(made) <= most, "TPE reads what there is before its first draw"
    assert states(study.job) == ["COMPLETE"] * 30


def test_to_end_a_twin_the_other_trials_are_not_read(own, stored, readings):
    sweep = spiral_sweep(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer), sampler=Random())
    study = own(replace(stored, sweep=sweep))
    made = readings(study, [])
    study.finish(study.ask().trials, epoch(1, [0.25, 0.75]))
    assert study.ask() is None, "the others are its twins"
    assert not made
    assert [(record.state, record.value) for record in study.records()] == [("COMPLETE", 0.5)] * 6
    assert study.ledger.record(3).reason == "the same parameters as trial 0"


class Counting(optuna.samplers.RandomSampler):
    """Notes how many trials Optuna's cache has at each draw."""

    def __init__(self):
        super().__init__(seed=0)
        self.found = []

    def infer_relative_search_space(self, study, trial):
        self.found.append(len(study._get_trials(deepcopy=False, use_cache=True)))
        return super().infer_relative_search_space(study, trial)


def test_what_a_sampler_reads_from_optunas_cache_is_as_of_this_draw(own, stored, monkeypatch):
    monkeypatch.setattr(Counting, "__deepcopy__", lambda self, memo: self, raising=False)
    study = own(replace(stored, sweep=spiral_sweep(sampler=(counting := Counting())), fuse=1))
    for _ in range(3):
        study.ask()
    assert counting.found == [1, 2, 3]


def test_a_history_retold_is_the_history_told(own, job):
    study = own(job, told := Buffer())
    group = study.ask()
    study.report(group.trials, epoch(1, [0.5] * 6, failures=(None, None, "why", None, None, None)))

    def facts(buffer):
        """Every event without the clock, in an order of its own."""
        plain = [(m, {k: v for k, v in a.items() if k != "time" or m == "log"}) for m, a in buffer.drain()]
        return sorted(json.dumps(event, sort_keys=True) for event in plain)

    study.finish(group.trials[:1] + group.trials[2:], epoch(2, [0.5] * 4))
    retell(study.records()[:3], retold := Buffer())
    assert facts(retold) == facts(told)


def test_a_larger_number_of_trials_extends_a_finished_study(own, job):
    study = own(job)
    while group := study.ask():
        study.finish(group.trials, epoch(1, [0.5] * 6))
    study.close()
    longer = own(replace(job, trials=8))
    assert longer.ask().trials == (6, 7)
    assert longer.ask() is None


def test_peek_reads_a_study_that_another_owns(own, job):
    assert peek(job.storage, job.name) == []
    study = own(job)
    study.ask()
    assert states(job) == ["RUNNING"] * 3
    assert peek(job.storage, "another") == []


@contextmanager
def no_file_longer_than(size):
    """As a full disk does it: the write that would make a file longer fails, in part or in whole."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 30])
def test_a_full_disk_is_told_and_leaves_a_journal_that_can_go_on(own, job, room):
    study = own(job)
    group = study.ask()
    size = job.storage.stat().st_size
    with no_file_longer_than(size + room), pytest.raises(WorldFault, match=r"cannot be written \(.*; every trial"):
        study.finish(group.trials, epoch(1, [0.5] * 6))
    assert job.storage.stat().st_size == size
    study.close()
    again = own(job)
    assert again.ask().trials == group.trials
    again.finish(group.trials, epoch(1, [0.5] * 6))
    assert [record.state for record in again.records()] == ["COMPLETE"] * 3


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    first = Checkpoint((0,), (((0,), epoch(1, [0.5])),), {"W": np.zeros(10)})
    checkpoints.save("g", first)
    later = Checkpoint((0,), (*first.reports, ((0,), epoch(2, [0.5]))), {"W": np.zeros(100_000)})
    with no_file_longer_than(10_000), pytest.raises(WorldFault, match="the one before it is kept"):
        checkpoints.save("g", later)
    assert checkpoints.load("g").epoch == 1
    assert [path.name for path in tmp_path.iterdir()] == ["g.npz"]


def test_a_study_of_another_homes_sweep_in_the_same_database_is_not_joined(tmp_path):
    database = f"sqlite:///{tmp_path / 'studies.db'}"
    mine, another = (Job(spiral_sweep(), "s", database, tmp_path, trials=6, id=id) for id in ("mine", "another"))
    Study(mine, Buffer()).close()
    Study(mine, Buffer()).close()
    with pytest.raises(UserMistake, match="another home's sweep"):
        Study(another, Buffer())
