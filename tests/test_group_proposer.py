"""Drawing: twins are not trained twice, what is forbidden not at all, what is known comes first, generations hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from models.mlp import MLP
from searchlab import SGD, Choice, Grid, Space, Trainer
from searchlab.engine import local
from searchlab.fusion.groups import Later
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.space.samplers import Random
from searchlab.space.structure import structural
from searchlab.study.study import Study
from tests.sweeps import spiral_sweep
from tests.test_study import epoch

FEW = {  # six points in all
    "model": Space(MLP, hidden=Choice(5, 9)),
    "optimizer": Space(SGD, lr=Choice(0.1, 0.5, 2.0)),
    "training": Space(Trainer, batch_size=10, epochs=2),
    "sampler": Random(),
}


@pytest.fixture
def study(tmp_path):
    """Opens studies of spiral sweeps; those left open are closed in the end."""
    opened, numbers = [], count()

    def open_study(sweep=None, *, storage=None, tracker=None, **changes):
        sweep = sweep or spiral_sweep()
        place = storage or tmp_path / f"{next(numbers)}.journal"
        job = Job(sweep, "spiral", place, tmp_path / "c", **{"trials": 6, "fuse": 1} | changes)
        opened.append(Study(job, tracker or Buffer()))
        return opened[-1]

    yield open_study
    for one in opened:
        one.close()


def score(number, score=0.5, trials=1):
    return epoch(number, [score] * 2 * trials)


def through(study, value=lambda group: 0.5):
    """Train nothing, end everything; the groups that were handed out."""
    groups = []
    while group := study.ask():
        groups.append(group)
        study.finish(group.trials, score(1, value(group), len(group.trials)))
    return groups


def test_the_same_point_is_trained_once(study):
    told = Buffer()
    one = study(spiral_sweep(**FEW, trials=30), trials=30, tracker=told)
    groups = through(one, lambda group: 0.1 * group.parameters[0]["optimizer.lr"])
    trained = [tuple(group.parameters[0].values()) for group in groups]
    assert len(trained) == len(set(trained)) == 6
    records = one.records()
    assert [record.state for record in records] == ["COMPLETE"] * 30
    first = {tuple(record.parameters.values()): record for record in reversed(records)}
    for record in records:
        twin = first[tuple(record.parameters.values())]
        assert (record.value, record.curve.scores) == (twin.value, twin.curve.scores)
        assert record.reason == (None if record is twin else f"the same parameters as trial {twin.number}")
    assert sum(record.curve.seconds for record in records) == pytest.approx(6 * 0.6), "no time is spent twice"
    events = told.drain()
    for method in ("start", "log", "finish"):
        assert sorted(event["trial"] for name, event in events if name == method) == list(range(30))


def test_thousands_of_twins_end_at_once_and_are_trained_by_nobody(study):
    one = study(spiral_sweep(**FEW, trials=1500), trials=1500)
    assert len(through(one)) == 6
    assert len(one.records()) == 1500
    assert one.ledger.spent.epochs == 6
    one.close()
    again = study(spiral_sweep(**FEW, trials=1500), storage=one.job.storage, trials=1500)
    assert again.ledger.spent.epochs == 6, "nor counted when it is read again"


def test_a_twin_of_a_trial_under_way_ends_when_that_one_does(study):
    one = study(spiral_sweep(**FEW, trials=30), trials=30)
    groups = []
    while (group := one.ask()) and len(groups) < 6:
        groups.append(group)
    assert one.ask() is None, "every point is under way"
    assert {record.state for record in one.records()} == {"RUNNING"}
    one.fail(groups[0].trials, "no luck")
    for group in groups[1:]:
        one.finish(group.trials, score(1))
    records = one.records()
    assert all(record.state != "RUNNING" for record in records)
    unlucky = [record for record in records if record.parameters == groups[0].parameters[0]]
    assert {record.state for record in unlucky} == {"FAIL"}


def test_a_twin_of_a_trial_that_a_kill_left_open_is_one_after_it_too(study, tmp_path):
    place = tmp_path / "killed.journal"
    sweep = spiral_sweep(**FEW, trials=30)
    before = study(sweep, storage=place, trials=30)
    while before.ask():
        pass
    before.close()
    groups = through(study(sweep, storage=place, trials=30))
    assert len(groups) == 6
    assert [record.state for record in study(sweep, storage=tmp_path / "other", trials=1).records()] == []


def test_what_breaks_the_constraint_is_not_trained_and_does_not_count(study):
    told = Buffer()
    sweep = spiral_sweep(constraint=lambda candidate: candidate["training.clip_norm"] - 2.0)
    one = study(sweep, trials=12, tracker=told)
    through(one)
    records = one.records()
    kept = [record for record in records if record.state == "COMPLETE"]
    out = [record for record in records if record.state == "INFEASIBLE"]
    assert len(kept) == 12
    assert out
    assert all(record.parameters["training.clip_norm"] <= 2.0 for record in kept)
    assert all(record.parameters["training.clip_norm"] > 2.0 for record in out)
    assert all(record.reason and record.value is None for record in out)
    ends = {event["trial"]: event["state"] for method, event in told.drain() if method == "finish"}
    assert ends == {record.number: record.state for record in records}


def test_in_a_grid_what_breaks_the_constraint_is_one_of_its_points(study):
    sweep = spiral_sweep(
        **FEW | {"sampler": Grid()}, trials=None, constraint=lambda candidate: candidate["optimizer.lr"] - 1.0
    )
    one = study(sweep, trials=6)
    through(one)
    assert [record.state for record in one.records()].count("INFEASIBLE") == 2
    assert len(one.records()) == 6


def test_a_constraint_that_nothing_meets_ends_the_search_with_the_reason(study):
    told = Buffer()
    one = study(spiral_sweep(constraint=lambda candidate: 1.0), tracker=told)
    assert one.ask() is None
    assert "broke the constraint" in one.over
    assert not one.more()
    assert any("broke the constraint" in event["text"] for method, event in told.drain() if method == "note")


def test_what_the_file_would_try_first_is_tried_first_and_alone(study):
    points = [{"model.hidden": 15, "optimizer": "Adam", "optimizer.Adam.lr": 0.02}, {"model.hidden": 5}]
    one = study(spiral_sweep(enqueue=points), fuse=4, trials=10)
    first, second, third = one.ask(), one.ask(), one.ask()
    assert (len(first.trials), len(second.trials), len(third.trials)) == (1, 1, 4)
    assert {**first.parameters[0]}.items() >= points[0].items()
    assert "model.dropout" in first.parameters[0], "what was left open is drawn"
    assert second.parameters[0]["model.hidden"] == 5


def test_what_was_to_be_tried_first_is_so_after_a_kill(study, tmp_path):
    sweep, place = spiral_sweep(enqueue=[{"model.hidden": 15}, {"model.hidden": 20}]), tmp_path / "k.journal"
    before = study(sweep, storage=place)
    before.ask()
    before.close()
    again = study(sweep, storage=place)
    assert [again.ask().parameters[0]["model.hidden"] for _ in range(2)] == [15, 20]


def test_a_warm_start_teaches_the_sampler_and_adds_no_trial(study, tmp_path):
    earlier = study(spiral_sweep(trials=30), trials=30)
    through(earlier, lambda group: 1.0 / (1.0 + abs(group.parameters[0]["training.clip_norm"] - 3.0)))
    known = [(record.parameters, [record.value]) for record in earlier.records()]
    place = tmp_path / "warm.journal"
    warm = study(storage=place, known=known, trials=20, seed=5)
    groups = through(warm)
    records = warm.records()
    assert [record.number for record in records] == list(range(20)) == [n for g in groups for n in g.trials]
    assert not {frozenset(p.items()) for p, _ in known} & {frozenset(r.parameters.items()) for r in records}
    near = [abs(record.parameters["training.clip_norm"] - 3.0) for record in records[:10]]
    cold = study(trials=20, seed=5)
    through(cold)
    blind = [abs(record.parameters["training.clip_norm"] - 3.0) for record in cold.records()[:10]]
    assert sum(near) < sum(blind), "its first ten draws are not at random any more"
    warm.close()
    again = study(storage=place, known=known, trials=22, seed=5)
    assert [again.ask().trials for _ in range(2)] == [(20,), (21,)], "known trials are not added twice"


def test_a_group_with_room_takes_followers_when_it_is_known_how_many_pay(study):
    one = study(fuse="auto", trials=60, workers=2)
    alone = [one.ask() for _ in range(10)]
    assert all((len(group.trials), group.room) == (1, 0) for group in alone), "while the sampler starts up"
    leader = one.ask()
    assert (len(leader.trials), leader.room) == (1, 5), "a tenth of all trials"
    group = one.grow(leader, 4)
    assert group.trials == (10, 11, 12, 13)
    assert len({frozenset(structural(one.sweep, p).items()) for p in group.parameters}) == 1
    for other in iter(one.ask, None):
        known = structural(one.sweep, other.parameters[0]) == structural(one.sweep, leader.parameters[0])
        assert (other.room == 0) == known or len(other.trials) == 1
        if known:
            assert len(other.trials) <= 4
    assert {record.state for record in one.records()} == {"RUNNING"}
    assert len(one.records()) == 60, "no trial is drawn and forgotten"


def test_growing_stops_where_the_trials_end(study):
    one = study(fuse="auto", trials=12, workers=1, sweep=spiral_sweep(sampler=Random(), trials=12))
    leader = one.ask()
    assert leader.room == 0, "a tenth of twelve is one"
    many = study(fuse="auto", trials=200, workers=1, sweep=spiral_sweep(sampler=Random(), trials=200))
    many._drawing.ledger.count = 197
    leader = many.ask()
    assert many.grow(leader, 16).trials == (197, 198, 199)


def order_of(study, lanes):
    """Carry out a search with so many groups under way at once, the slowest first to be asked and last to end."""
    under_way = []
    while True:
        while len(under_way) < lanes and isinstance(group := study.ask(), Later | type(None)) is False:
            under_way.append(group)
        if not under_way:
            return study.records()
        group = under_way.pop()  # the youngest ends first
        value = 1.0 / (1.0 + group.parameters[0]["training.clip_norm"])
        study.finish(group.trials, score(1, value, len(group.trials)))


@pytest.mark.parametrize("lanes", [2, 3, 8])
def test_a_generation_is_drawn_alike_however_many_train_at_once(study, lanes):
    def found(width):
        records = order_of(study(trials=26, generation=8, fuse="auto", workers=width), width)
        return [(record.number, record.parameters, record.value) for record in records]

    assert found(lanes) == found(1)
    assert len(found(1)) == 26


def test_without_generations_it_does_depend_on_who_ends_first(study):
    found = [order_of(study(trials=26, fuse=1, workers=width), width) for width in (1, 3)]
    assert [r.parameters for r in found[0]] != [r.parameters for r in found[1]]


@pytest.mark.parametrize("killed_after", [3, 9, 13])
def test_a_generation_broken_by_a_kill_is_drawn_as_unbroken(study, tmp_path, killed_after):
    whole = order_of(study(trials=20, generation=8), 1)
    place = tmp_path / "broken.journal"
    before = study(storage=place, trials=20, generation=8)
    for _ in range(killed_after):
        group = before.ask()
        value = 1.0 / (1.0 + group.parameters[0]["training.clip_norm"])
        before.finish(group.trials, score(1, value, len(group.trials)))
    before.close()
    after = order_of(study(storage=place, trials=20, generation=8), 1)
    assert [(r.parameters, r.value) for r in after] == [(r.parameters, r.value) for r in whole]


def test_local_searches_under_auto_end_with_the_number_asked_for(tmp_path):
    sweep = spiral_sweep(trials=40, pruner=None, epochs=6)
    job = Job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "c", 40)
    found = local.search(job, Buffer()).trials
    assert len(found) == 40
    assert {trial.state for trial in found} == {"COMPLETE", "PRUNED"}
    longer = local.search(replace(job, trials=44), Buffer()).trials
    assert len(longer) == 44
    assert [trial.curve.scores for trial in longer[:40]] == [trial.curve.scores for trial in found]
