"""Seats: sweeps that share a cluster get equal parts of what they use most, and nothing of use lies idle."""

import random

import pytest

from searchlab.cluster.slots import Demand, shared, wished
from searchlab.errors import UserMistake
from searchlab.space.resources import Resources

CPU4, GPU = {"CPU": 4.0, "memory": 8e9}, {"CPU": 8.0, "GPU": 1.0, "memory": 32e9}


def demand(most=None, placement="cpu", **resources):
    return Demand.of(Resources(**resources), placement, most)


def test_one_sweep_has_the_whole_cluster():
    assert shared([CPU4, CPU4], {"a": demand()}) == {"a": {"cpu": 8}}


def test_a_cap_holds_and_the_others_have_the_rest():
    assert shared([CPU4, CPU4], {"a": demand(2), "b": demand()}) == {"a": {"cpu": 2}, "b": {"cpu": 6}}


def test_two_sweeps_share_equally_by_the_cores_they_take():
    assert shared([CPU4, CPU4], {"a": demand(), "b": demand(cpus=2)}) == {"a": {"cpu": 4}, "b": {"cpu": 2}}


def test_an_odd_seat_goes_to_the_first_by_name():
    assert shared([{"CPU": 3.0}], {"b": demand(), "a": demand()}) == {"a": {"cpu": 2}, "b": {"cpu": 1}}


def test_several_groups_share_a_gpu():
    assert shared([GPU], {"a": demand(placement="cuda", gpus=0.25)}) == {"a": {"cuda": 4}}


def test_tenths_of_a_gpu_make_a_whole_one():
    assert shared([{**GPU, "CPU": 16.0}], {"a": demand(placement="cuda", gpus=0.1)}) == {"a": {"cuda": 10}}


def test_either_takes_the_gpus_first_and_then_processors():
    assert shared([GPU, CPU4], {"a": demand(placement="either", gpus=0.5)}) == {"a": {"cuda": 2, "cpu": 10}}


def test_a_group_lies_on_one_node():
    assert shared([{"CPU": 1.0}, {"CPU": 1.0}], {"a": demand(cpus=2)}) == {"a": {}}


def test_memory_bounds_what_a_node_takes():
    assert shared([CPU4], {"a": demand(memory="3GB")}) == {"a": {"cpu": 2}}


def test_gpu_and_cpu_sweeps_do_not_take_from_each_other_what_they_do_not_use():
    found = shared([GPU, CPU4], {"g": demand(placement="cuda"), "c": demand()})
    assert found["g"] == {"cuda": 1}
    assert found["c"]["cpu"] == 11


def test_a_sweep_that_wants_nothing_gets_nothing():
    assert shared([CPU4], {"a": demand(0), "b": demand()}) == {"a": {}, "b": {"cpu": 4}}


def test_whatever_is_asked_nothing_is_given_twice_and_nothing_lies_idle():
    drawn = random.Random(0)
    for _ in range(200):
        nodes = [{"CPU": float(drawn.randint(1, 8)), "GPU": float(drawn.randint(0, 2))} for _ in range(3)]
        demands = {
            name: demand(
                drawn.choice([None, 1, 5]),
                drawn.choice(["cpu", "cuda", "either"]),
                cpus=drawn.choice([0.5, 1, 2]),
                gpus=drawn.choice([0.25, 0.5, 1]),
            )
            for name in "abc"[: drawn.randint(1, 3)]
        }
        found = shared(nodes, demands)
        for resource in ("CPU", "GPU"):
            used = sum(
                count * dict(demands[name].needs)[device].get(resource, 0.0)
                for name, seats in found.items()
                for device, count in seats.items()
            )
            assert used <= sum(node[resource] for node in nodes) + 1e-6
        for name, seats in found.items():
            assert demands[name].most is None or sum(seats.values()) <= demands[name].most
        alone = {name: shared(nodes, {name: one})[name] for name, one in demands.items()}
        assert all(sum(found[name].values()) <= sum(alone[name].values()) for name in found)
        assert any(seats for seats in found.values()) == any(seats for seats in alone.values())


def test_an_autoscaler_is_asked_for_twice_what_there_is_up_to_what_is_of_use():
    demands = {"a": demand(), "b": demand(3), "c": demand(placement="either", gpus=0.5)}
    asked = wished(demands, {"a": {"cpu": 2}, "b": {"cpu": 2}, "c": {}})
    assert asked.count({"CPU": 1.0}) == 4 + 3
    assert asked.count({"CPU": 1.0, "GPU": 0.5}) == 1, "from none, the first node comes all the same"
    assert wished({"a": demand(0)}, {"a": {}}) == []


def test_what_needs_no_gpu_leaves_the_cores_beside_the_gpus():
    found = shared([{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}], {"c": demand(), "g": demand(placement="cuda")})
    assert found == {"c": {"cpu": 1}, "g": {"cuda": 1}}


@pytest.mark.parametrize(
    "given",
    [{"cpus": 0}, {"cpus": -1}, {"cpus": 1.5}, {"gpus": 0}, {"gpus": "1"}, {"memory": "2 apples"}, {"memory": 0}],
)
def test_resources_that_cannot_be_taken_are_refused(given):
    with pytest.raises(UserMistake, match=r"^Resources\("):
        Resources(**given)


def test_resources_in_rays_words():
    assert Resources(cpus=2, gpus=0.25, memory="2GB").on("cuda") == {"CPU": 2.0, "GPU": 0.25, "memory": 2e9}
    assert Resources().on("cpu") == {"CPU": 1.0}
    assert (Resources(cpus=2).threads, Resources(cpus=0.5).threads) == (2, 1)
