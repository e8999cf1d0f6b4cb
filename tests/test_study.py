"""The study: groups of equal structure, how trials end, and a storage that survives its owner."""

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
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.errors import WorldFault
from searchlab.runs.events import EpochFinished, EventBuffer, TrialFinished, TrialStarted, to_json
from searchlab.runs.trials import replay_events
from searchlab.space.structure import structural_parameters
from searchlab.study.reading import read_trials
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.jobs import make_job
from tests.sweeps import spiral_sweep


@pytest.fixture
def job(tmp_path):
    return make_job(spiral_sweep(), "spiral", tmp_path / "study.journal", tmp_path / "checkpoints", trials=6, fuse=3)


def changed(job, **changes):
    """The job with other options of RunConfig, or other fields."""
    options = {name: changes.pop(name) for name in ("fuse", "seed") if name in changes}
    return replace(job, config=replace(job.config, **options), **changes)


def epoch(number, scores, losses=None, failures=None):
    """A report of one epoch: one score per replica."""
    size = len(scores)
    losses = np.ones(size) if losses is None else losses
    return EpochReport(number, losses, np.array(scores, dtype=float), failures or (None,) * size, 0.6, 1000.0 + number)


def states(job):
    return [trial.state for trial in read_trials(job.storage, job.name)]


@pytest.fixture
def open_study():
    """Opens studies, and closes those that are still open at the end of the test."""
    with ExitStack() as stack:

        def opened(job, handler=None):
            study = Study(job, handler or EventBuffer())
            stack.callback(study.close)
            return study

        yield opened


def test_a_group_shares_its_structure_and_stays_within_the_space(open_study, job):
    study = open_study(job)
    first, second = study.ask(), study.ask()
    assert [group.trials for group in (first, second)] == [(0, 1, 2), (3, 4, 5)]
    assert study.ask() is None, "six trials were asked for"
    for group in (first, second):
        assert len({tuple(structural_parameters(job.sweep, p).items()) for p in group.parameters}) == 1
        rates = [p[f"optimizer.{p['optimizer']}.lr"] for p in group.parameters]
        assert len(set(rates)) == 3, "parameters that are not structural differ"
        for parameters in group.parameters:
            domains = {path: domain for path, domain, _ in job.sweep.iter_arguments()}
            assert all(domains[path].contains(value) for path, value in parameters.items() if path != "optimizer")


def test_the_value_of_a_trial_is_the_mean_over_folds_at_its_best_epoch(open_study, job):
    study = open_study(job, recorded := EventBuffer())
    group = study.ask()
    rows = [[0.5, 0.7, 0.1, 0.3, 0.0, 0.0], [0.8, 0.6, 0.4, 0.4, 0.0, 0.0], [0.6, 0.6, 0.5, 0.4, 0.0, 0.0]]
    for number, scores in enumerate(rows[:2], start=1):
        assert study.report(group.trials, epoch(number, scores)).trials == (0, 1, 2)
    study.finish(group.trials, epoch(3, rows[2]))
    first, second, _ = study.records()[:3]
    assert (first.value, first.epoch, list(first.folds)) == (pytest.approx(0.7), 2, [0.8, 0.6])
    assert (second.value, second.epoch) == (pytest.approx(0.45), 3)
    assert first.curve.seconds == pytest.approx(3 * 0.6 / 3), "a third of the group's time"
    events = [(type(event), getattr(event, "epoch", None)) for event in recorded.drain() if event.trial == 0]
    epochs = [(EpochFinished, epoch) for epoch in (1, 2, 3)]
    assert events == [(TrialStarted, None), *epochs, (TrialFinished, 2)]
    stored = optuna.load_study(study_name=job.name, storage=study.store.study._storage).trials[0]
    assert (stored.state.name, stored.value) == ("COMPLETE", pytest.approx(0.7))
    assert json.loads(stored.user_attrs["end"]["curve"])["scores"] == [[0.5, 0.7], [0.8, 0.6], [0.6, 0.6]]


def test_a_diverged_trial_fails_with_its_reason_and_leaves_the_group(open_study, job):
    study = open_study(job)
    group = study.ask()
    failures = (None, None, None, "diverged in epoch 1: the training loss is nan", None, None)
    assert study.report(group.trials, epoch(1, [0.5] * 6, failures=failures)).trials == (0, 2)
    study.finish([0, 2], epoch(2, [0.5] * 4))
    records = study.records()
    assert [record.state for record in records[:3]] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert records[1].reason == "diverged in epoch 1: the training loss is nan (fold 1)"
    assert records[1].value is None


def test_no_trial_is_compared_with_a_failed_one(open_study, job):
    """Nor after a restart: a loss that exploded leaves scores that are finite."""
    study = open_study(job)
    group = study.ask()
    failures = ("the training loss exploded",) * 2 + (None,) * 4
    study.report(group.trials, epoch(1, [0.9, 0.9, 0.4, 0.4, 0.5, 0.5], failures=failures))
    study.finish([1, 2], epoch(2, [0.4, 0.4, 0.5, 0.5]))
    for _ in range(2):
        curves = study.store.learning_curves
        assert curves.failed == {0}
        assert curves.trials[curves.leader_row(1)] == 2
        study.close()
        study = open_study(job)


def test_a_repeated_epoch_is_counted_once(open_study, job):
    study = open_study(job)
    group = study.ask()
    for number in (1, 2, 1, 2):
        study.report(group.trials, epoch(number, [0.5] * 6))
    study.finish(group.trials, epoch(3, [0.5] * 6))
    assert len(study.records()[0].curve.scores) == 3


def test_interrupted_trials_are_handed_out_again_under_their_numbers(open_study, job):
    study = open_study(job)
    first, second = study.ask(), study.ask()
    study.report(first.trials, epoch(1, [0.5] * 6))
    study.finish(first.trials[:2], epoch(2, [0.5] * 4))
    study.close()  # like a kill: two of six trials are stored as ended
    again = open_study(job)
    *groups, nothing = [again.ask(), again.ask(), again.ask()]
    assert nothing is None
    assert [(g.id, g.trials) for g in groups] == [(first.id, (2,)), (second.id, (3, 4, 5))]
    assert groups[0].parameters == first.parameters[2:]
    assert groups[1].parameters == second.parameters
    for group in groups:
        again.finish(group.trials, epoch(1, [0.5] * 2 * len(group.trials)))
    assert states(job) == ["COMPLETE"] * 6


def test_a_trial_killed_while_it_was_drawn_keeps_its_values_and_gets_the_missing_ones(open_study, job):
    study = open_study(job)
    trial = study.store.study.ask()
    trial.suggest_int("model.hidden", 5, 20, step=5)
    study.close()
    group = open_study(job).ask()
    assert group.trials == (0,)
    assert group.parameters[0]["model.hidden"] == trial.params["model.hidden"]
    assert "training.clip_norm" in group.parameters[0]


def test_missing_values_of_a_killed_trial_depend_on_seed_and_number(open_study, job, tmp_path):
    study = open_study(job)
    study.store.study.ask().suggest_int("model.hidden", 5, 20, step=5)
    study.close()
    (tmp_path / "copy.journal").write_bytes(job.storage.read_bytes())
    copies = [open_study(job), open_study(changed(job, storage=tmp_path / "copy.journal"))]
    first, second = (copy.ask().parameters for copy in copies)
    assert first == second


def test_an_incomplete_last_line_is_deleted_and_nothing_else(open_study, job):
    study = open_study(job)
    group = study.ask()
    study.finish(group.trials, epoch(1, [0.5] * 6))
    study.close()
    with job.storage.open("ab") as file:
        file.write(b'{"op_code":6,"trial_id":3,"va')
    again = open_study(job)
    assert [record.state for record in again.records()] == ["COMPLETE"] * 3
    assert again.ask().trials == (3, 4, 5)
    again.close()
    assert all(json.loads(line) for line in job.storage.read_text().splitlines())


def test_a_study_has_one_owner(open_study, job, monkeypatch):
    monkeypatch.setattr("searchlab.study.study.LOCK_TIMEOUT", 0.0)
    study = open_study(job)
    with pytest.raises(BlockingIOError):
        open_study(job)
    study.close()
    open_study(job).close()


def proposed_parameters(open_study, job, restarts=()):
    """The parameters of all trials, proposed one by one and scored by a formula; a new owner before these trials."""
    study, found = open_study(job), []
    while True:
        if len(found) in restarts:
            study.close()
            study = open_study(job)
        group = study.ask()
        if group is None:
            return found
        found.append(dict(group.parameters[0]))
        study.finish(group.trials, epoch(1, [1.0 / (1.0 + found[-1]["training.clip_norm"])] * 2))


def test_proposed_values_do_not_depend_on_restarts(open_study, job, tmp_path):
    def fresh(name, **changes):
        return changed(job, storage=tmp_path / f"{name}.journal", trials=16, fuse=1, **changes)

    whole = proposed_parameters(open_study, fresh("whole"))
    assert proposed_parameters(open_study, fresh("restarted"), restarts=(3, 12)) == whole
    assert proposed_parameters(open_study, fresh("other", seed=1)) != whole
    assert len({tuple(one.items()) for one in whole}) == 16, "a restarted sampler repeats no point"


@pytest.fixture
def count_reads(monkeypatch):
    """Counts how often all trials of a study are read."""

    def count(study, reads):
        storage = study.store.study._storage
        read = storage.get_all_trials
        monkeypatch.setattr(storage, "get_all_trials", lambda *args, **kwargs: reads.append(1) or read(*args, **kwargs))
        return reads

    return count


@pytest.mark.parametrize(("sampler", "max_reads"), [(Random(), 0), (TPE(), 1)])
def test_proposing_and_ending_a_trial_does_not_read_the_others(open_study, job, count_reads, sampler, max_reads):
    sweep = spiral_sweep(sampler=sampler, trials=30)
    study = open_study(changed(job, sweep=sweep, trials=30, fuse=1))
    reads = count_reads(study, [])
    while group := study.ask():
        study.finish(group.trials, epoch(1, [0.5 + 0.01 * group.trials[0]] * 2))
    assert len(reads) <= max_reads, "TPE reads the trials before its first proposal"
    assert states(study.job) == ["COMPLETE"] * 30


def test_ending_a_duplicate_does_not_read_the_other_trials(open_study, job, count_reads):
    sweep = spiral_sweep(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer), sampler=Random())
    study = open_study(changed(job, sweep=sweep))
    reads = count_reads(study, [])
    study.finish(study.ask().trials, epoch(1, [0.25, 0.75]))
    assert study.ask() is None, "the others are duplicates"
    assert not reads
    assert [(record.state, record.value) for record in study.records()] == [("COMPLETE", 0.5)] * 6
    assert study.store.record(3).reason == "the same parameters as trial 0"


class CountingSampler(optuna.samplers.RandomSampler):
    """A sampler that notes how many trials Optuna's cache has at each proposal."""

    def __init__(self):
        super().__init__(seed=0)
        self.counts = []

    def infer_relative_search_space(self, study, trial):
        self.counts.append(len(study._get_trials(deepcopy=False, use_cache=True)))
        return super().infer_relative_search_space(study, trial)


def test_a_sampler_reads_current_trials_from_optunas_cache(open_study, job, monkeypatch):
    monkeypatch.setattr(CountingSampler, "__deepcopy__", lambda self, memo: self, raising=False)
    study = open_study(changed(job, sweep=spiral_sweep(sampler=(sampler := CountingSampler())), fuse=1))
    for _ in range(3):
        study.ask()
    assert sampler.counts == [1, 2, 3]


def test_replayed_events_equal_the_first_ones(open_study, job):
    study = open_study(job, first := EventBuffer())
    group = study.ask()
    study.report(group.trials, epoch(1, [0.5] * 6, failures=(None, None, "why", None, None, None)))

    def facts(buffer):
        """Every event, sorted; without the times of starts and ends."""
        plain = [
            (name, {k: v for k, v in values.items() if k != "time"}) for name, values in map(to_json, buffer.drain())
        ]
        return sorted(json.dumps(event, sort_keys=True) for event in plain)

    study.finish(group.trials[:1] + group.trials[2:], epoch(2, [0.5] * 4))
    replay_events(study.records()[:3], replayed := EventBuffer())
    assert facts(replayed) == facts(first)


def test_a_larger_number_of_trials_extends_a_finished_study(open_study, job):
    study = open_study(job)
    while group := study.ask():
        study.finish(group.trials, epoch(1, [0.5] * 6))
    study.close()
    longer = open_study(changed(job, trials=8))
    assert longer.ask().trials == (6, 7)
    assert longer.ask() is None


def test_a_study_is_read_while_another_process_owns_it(open_study, job):
    assert read_trials(job.storage, job.name) == []
    study = open_study(job)
    study.ask()
    assert states(job) == ["RUNNING"] * 3
    assert read_trials(job.storage, "another") == []


@contextmanager
def file_size_limit(size):
    """Within the block files cannot grow beyond this size, as on a full disk: a write fails in part or as a whole."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("free_bytes", [0, 30])
def test_a_full_disk_is_an_error_and_leaves_a_usable_journal(open_study, job, free_bytes):
    study = open_study(job)
    group = study.ask()
    size = job.storage.stat().st_size
    with file_size_limit(size + free_bytes), pytest.raises(WorldFault, match=r"cannot be written \("):
        study.finish(group.trials, epoch(1, [0.5] * 6))
    assert job.storage.stat().st_size == size
    study.close()
    again = open_study(job)
    assert again.ask().trials == group.trials
    again.finish(group.trials, epoch(1, [0.5] * 6))
    assert [record.state for record in again.records()] == ["COMPLETE"] * 3


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path):
    checkpoints = CheckpointStore(tmp_path)
    first = Checkpoint((0,), (((0,), epoch(1, [0.5])),), {"W": np.zeros(10)})
    checkpoints.save("g", first)
    later = Checkpoint((0,), (*first.reports, ((0,), epoch(2, [0.5]))), {"W": np.zeros(100_000)})
    with file_size_limit(10_000), pytest.raises(WorldFault, match="the one before it is kept"):
        checkpoints.save("g", later)
    assert checkpoints.load("g").epoch == 1
    assert [path.name for path in tmp_path.iterdir()] == ["g.npz"]
