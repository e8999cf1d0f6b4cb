"""Memory: what a group will take is measured before it is built, and cut to what fits without changing a trial."""

from __future__ import annotations

import tracemalloc
from contextlib import ExitStack

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Adam, Choice, Float, Holdout, Int, Mnist, Momentum, Relu, Sigmoid, Space, Trainer
from searchlab.engine import local, memory_limits
from searchlab.engine.checkpoints import Checkpoint, Checkpoints
from searchlab.engine.payload import payload_for_study
from searchlab.engine.study_actor import StudyActor
from searchlab.engine.worker import Worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.estimate.memory_range import memory_of
from searchlab.fusion import memory
from searchlab.fusion.corner_points import extreme
from searchlab.fusion.groups import Group, build
from searchlab.fusion.memory import Needs
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.runs.study_client import Decision
from searchlab.space.byte_size import size
from searchlab.space.resources import Resources
from searchlab.study.study import Study
from tests.sweeps import spiral_sweep

LR = {"optimizer": "Adam", "optimizer.Adam.lr": 0.01}


def wide(hidden, optimizer=Adam, batch_size=30, **changes):
    """A sweep with one point: a network of this width."""
    model = Space(MLP, hidden=hidden, dropout=0.2)
    training = Space(Trainer, batch_size=batch_size, epochs=3, clip_norm=1.0)
    return spiral_sweep(model=model, optimizer=Space(optimizer), training=training, **changes)


def really_taken(sweep, replicas):
    """Bytes at the peak of training so many replicas for two epochs, a checkpoint after each."""
    table = sweep.data.training()
    split = sweep.validation.split(table)
    tracemalloc.start()
    trainer = build(sweep, [{}], table, split[np.arange(replicas) % split.folds], 0, "cpu")
    for _ in range(2):
        trainer.advance()
        kept = {name: array.copy() for name, array in trainer.state().items()}
        del kept
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "sweep",
    [
        wide(10, SGD),
        wide(100),
        wide((300, 200), Momentum),
        wide((700, 700), batch_size=30),
        wide(400, validation=Holdout(0.3)),
    ],
    ids=["10", "100", "300-200", "700-700", "one fold"],
)
def test_what_is_measured_on_a_few_holds_for_many(sweep):
    need = Needs(sweep, sweep.data.training()).of({})
    for replicas in (1, 5, 20):
        assert 0.65 < need.bytes(replicas) / really_taken(sweep, replicas) < 1.35


def test_a_structure_is_measured_once(monkeypatch):
    built = []
    monkeypatch.setattr(memory, "build", lambda *given: built.append(given[1]) or build(*given))
    sweep = spiral_sweep()
    needs = Needs(sweep, sweep.data.training())
    trials = [{"model.hidden": 10, "model.dropout": rate, "training.clip_norm": 1.0} | LR for rate in (0.1, 0.3, 0.2)]
    assert needs.most(trials, 10**9) == 3
    assert len(built) == 1, "where there is plenty of room, one replica answers"
    assert needs.of(trials[1]) == needs.of(trials[2]) == needs.of(trials[0])
    assert len(built) == 2
    off = needs.of({**trials[0], "model.dropout": 0.0})
    assert off.replica < needs.of(trials[0]).replica, "what is switched off takes nothing"


def test_on_a_gpu_the_optimizers_step_is_counted_uncut():
    """What the probe cannot see from the host: there no array is worked on in blocks."""
    sweep = wide(10_000)  # so large that Python's own objects do not count
    here, there = (Needs(sweep, sweep.data.training(), device).of({}) for device in ("cpu", "cuda"))
    assert there.replica - here.replica == pytest.approx(2 * 4 * here.parameters, rel=0.1)


def test_measuring_leaves_a_tracing_as_it_was():
    sweep = wide(10_000)  # so large that Python's own objects do not count
    needs = Needs(sweep, sweep.data.training())
    tracemalloc.start()
    try:
        first = needs.of({})
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    assert Needs(sweep, sweep.data.training()).of({}).replica == pytest.approx(first.replica, rel=0.2)
    assert not tracemalloc.is_tracing()


def job(folder, sweep=None, *, limit=None, trials=6, fuse=6):
    return Job(sweep or spiral_sweep(), "m", folder / "j", folder / "checkpoints", trials, fuse=fuse, memory=limit)


def limit_for(sweep, parameters, trials):
    """Bytes in which so many trials fit, and no more."""
    needs = Needs(sweep, sweep.data.training())
    need = needs.of(parameters)
    return needs.data + need.bytes(trials * needs.folds) + need.replica // 2


def told(buffer, method):
    return [arguments for name, arguments in buffer.drain() if name == method]


def test_a_group_too_large_trains_in_parts_and_nothing_else_changes(tmp_path, monkeypatch):
    sweep = spiral_sweep()
    free, cut = Buffer(), Buffer()
    (tmp_path / "a").mkdir()
    whole = local.search(job(tmp_path / "a", trials=12), free).trials
    largest = max((record.parameters for record in whole), key=lambda p: p["model.hidden"])
    sizes = []
    train = Worker._train
    monkeypatch.setattr(
        Worker, "_train", lambda self, part, **how: sizes.append(len(part.trials)) or train(self, part, **how)
    )
    (tmp_path / "b").mkdir()
    parts = local.search(job(tmp_path / "b", trials=12, limit=limit_for(sweep, largest, 2)), cut).trials
    assert sum(sizes) == 12
    assert max(sizes) < 6
    for one, other in zip(whole, parts, strict=True):
        assert (one.parameters, one.value, one.curve.scores) == (other.parameters, other.value, other.curve.scores)
    assert told(free, "note") == []
    notes = [note["text"] for note in told(cut, "note")]
    assert len(notes) == len(set(notes))
    assert 1 <= len(notes) <= 2, "once for a structure"
    assert "a replica, 2 a trial; of a group of 6 trials" in notes[0]


class Notes:
    """A judge that writes down."""

    def __init__(self):
        self.reports, self.done, self.failed, self.notes = [], [], {}, []

    def report(self, numbers, report, at_once=True):
        self.reports.append((report.epoch, tuple(numbers)))
        return lambda: Decision(tuple(numbers))

    def recall(self, reports):
        for numbers, report in reports:
            self.report(numbers, report)

    def finish(self, numbers, report):
        self.done.append(tuple(numbers))

    def fail(self, numbers, reason):
        self.failed |= dict.fromkeys(numbers, reason)

    def note(self, about, text):
        self.notes.append((about, text))


POINT = {"model.hidden": 10, "model.dropout": 0.2, "training.clip_norm": 1.0} | LR
GROUP = Group("g", tuple(range(5)), tuple(POINT | {"optimizer.Adam.lr": 0.01 * n} for n in range(1, 6)), seed=7)


def test_what_a_dead_worker_had_begun_is_finished_first(tmp_path):
    """Its checkpoint holds trials 2 and 3 after an epoch; 0 and 1 have ended."""
    sweep, checkpoints = spiral_sweep(), Checkpoints(tmp_path)
    worker = Worker(sweep, judge := Notes(), checkpoints, memory=limit_for(sweep, POINT, 2))
    split = sweep.validation.split(worker.table)
    trainer = build(sweep, GROUP.of([2, 3]).parameters, worker.table, split, 7, "cpu")
    checkpoints.save("g", Checkpoint((2, 3), (((2, 3), trainer.advance()),), trainer.state()))
    worker.train(GROUP.of([2, 3, 4]))
    assert judge.reports[:2] == [(1, (2, 3)), (2, (2, 3))], "told again, and gone on with"
    assert judge.done == [(2, 3), (4,)]
    assert not list(tmp_path.iterdir())


def test_the_desk_hands_out_again_what_has_not_ended(tmp_path):
    parcel = payload_for_study(job(tmp_path, fuse=3))
    desk = StudyActor(parcel)
    desk.open()
    group = desk.take("a")
    desk.fail([group.trials[1]], "why")
    again = desk.take("a")
    assert again.trials == (group.trials[0], group.trials[2])
    assert again.parameters == (group.parameters[0], group.parameters[2])
    desk.close()


def test_a_trial_that_does_not_fit_fails_with_the_numbers_and_the_search_goes_on(tmp_path):
    model = Space(MLP, hidden=Choice(10, 2000))
    sweep = spiral_sweep(model=model, optimizer=Space(SGD, lr=Float(0.1, 1.0)), trials=8)
    records = local.search(job(tmp_path, sweep, limit=10**6, trials=8, fuse=1), Buffer()).trials
    for record in records:
        assert record.state == ("COMPLETE" if record.parameters["model.hidden"] == 10 else "FAIL")
    reasons = {record.reason for record in records if record.state == "FAIL"}
    (reason,) = reasons
    assert reason.startswith("infeasible: one trial of hidden=2000 needs ")
    assert "(2 folds x " in reason
    assert reason.endswith("and a worker has 1 MB")


def test_what_goes_wrong_while_measuring_fails_the_trial_for_its_own_reason(tmp_path):
    sweep = spiral_sweep(model=Space(MLP, hidden=(5, 5), layers=2))
    (record,) = local.search(job(tmp_path, sweep, limit=10**9, trials=1), Buffer()).trials
    assert record.state == "FAIL"
    assert record.reason.startswith("MLP takes a width and a number of layers")


def test_a_note_is_told_once_for_what_it_is_about(tmp_path):
    with ExitStack() as stack:
        study = Study(job(tmp_path), heard := Buffer())
        stack.callback(study.close)
        for about in ("hidden=5", "hidden=9", "hidden=5"):
            study.note(about, f"{about} is large")
        assert [note["text"] for note in told(heard, "note")] == ["hidden=5 is large", "hidden=9 is large"]


def test_a_sweep_of_which_nothing_fits_is_refused_before_anything_is_written(tmp_path):
    sweep = spiral_sweep(model=Space(MLP, hidden=Choice(3000, 2000)), optimizer=Choice(Space(Adam), Space(SGD)))
    with pytest.raises(
        UserMistake, match=r"one trial of hidden=2000, optimizer=SGD needs .* a worker has 500 kB; fewer"
    ):
        sweep.run(home=tmp_path / "home", memory=0.0005)
    assert not (tmp_path / "home").exists()
    with pytest.raises(UserMistake, match=r"--memory is a number of GB above 0, got 0"):
        sweep.run(home=tmp_path / "home", memory=0)


def test_the_extremes_of_a_space_follow_its_choices_and_conditions():
    sweep = spiral_sweep(
        model=Space(
            MLP, hidden=Choice(8, 64, 16), layers=Int(1, 3), activation=Choice(Sigmoid, Relu), dropout=Float(0.0, 0.4)
        ),
        optimizer=Choice(Space(SGD), Space(Adam, lr=Float(0.1, 0.2))),
    )
    needs = Needs(sweep, sweep.data.training())
    largest = extreme(sweep, largest=True, weigh=lambda one: needs.of(one).replica)
    smallest = extreme(sweep, largest=False, weigh=lambda one: needs.of(one).replica)
    assert (largest["model.hidden"], largest["model.layers"], largest["optimizer"]) == (64, 3, "Adam")
    assert (smallest["model.hidden"], smallest["model.layers"], smallest["optimizer"]) == (8, 1, "SGD")
    assert "optimizer.Adam.lr" in largest
    assert "optimizer.Adam.lr" not in smallest


def test_show_tells_both_ends_and_how_many_fit():
    found = memory_of(spiral_sweep(model=Space(MLP, hidden=Int(5, 2000)), optimizer=Space(SGD)))
    assert (found.smallest.parameters, found.largest.parameters) == (5 * 6 + 3, 2000 * 6 + 3)
    assert found.told.startswith("memory: ")
    assert "33 to 12,003 parameters; the largest is hidden=2000" in found.told
    assert "trials of the largest fit beside" in found.told
    assert found.plain()["fit"] > 10


def test_show_says_so_where_data_are_not_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("fetched"))
    found = memory_of(spiral_sweep(data=Mnist()))
    assert "memory: not known, " in found.told
    assert "is not there yet; a run fetches it." in found.told
    assert found.plain()["largest"] is None
    monkeypatch.undo()
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))

    def unreachable(*_, **__):
        raise OSError("asked")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(WorldFault, match="asked"):
        Mnist().training()


def test_a_machine_and_a_container_say_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limits, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory_limits, "GROUP", tmp_path)
    assert memory_limits.available() is None
    assert memory_limits.share("cpu", 2) is None
    (tmp_path / "meminfo").write_text("MemTotal:  2000 kB\nMemAvailable:    1000 kB\n")
    assert memory_limits.available() == 1024 * 1000
    assert memory_limits.share("cpu", 2) == int(0.8 * 1024 * 500)
    (tmp_path / "memory.max").write_text("900000\n")
    (tmp_path / "memory.current").write_text("500000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    assert memory_limits.available() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limits.available() == 1024 * 1000


def test_an_allowance_is_what_was_given_or_a_share_or_for_a_cluster_to_say(monkeypatch):
    monkeypatch.setattr(memory_limits, "available", lambda: 1000)
    monkeypatch.setattr(memory_limits, "free_memory", lambda: 100)
    monkeypatch.setattr(memory_limits, "total_memory", lambda: 120)
    monkeypatch.setattr(memory_limits, "device_here", lambda placement: placement)
    some = Resources()
    assert memory_limits.allowance(1.5, some, "cpu", 4, None) == 1_500_000_000
    assert memory_limits.allowance(None, some, "cpu", 4, None) == 200
    assert memory_limits.allowance(None, some, "cuda", 4, None) == 80
    assert memory_limits.allowance(None, Resources(gpus=0.25), "cuda", 4, None) == 24
    assert memory_limits.allowance(None, Resources(memory="2GB"), "cpu", 4, "auto") == 2_000_000_000
    assert memory_limits.allowance(None, some, "cpu", 4, "auto") is None
    assert memory_limits.allowance(None, some, "either", 4, None) is None


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (12_345, "12.3 kB"), (620e6, "620 MB"), (999_700, "1 MB"), (3.1e9, "3.1 GB")]
)
def test_sizes_are_written_for_people(count, text):
    assert size(count) == text
