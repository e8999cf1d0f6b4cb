"""Slots: sweeps that share a cluster get equal shares of what they use most, and no usable resource is idle."""

import random

import pytest

from searchlab.cluster.slots import Demand, bundles_to_request, fair_slots
from searchlab.errors import UserMistake
from searchlab.space.resources import Resources

CPU4, GPU = {"CPU": 4.0, "memory": 8e9}, {"CPU": 8.0, "GPU": 1.0, "memory": 32e9}


def demand(max_groups=None, placement="cpu", **resources):
    return Demand.of(Resources(**resources), placement, max_groups)


def test_one_sweep_has_the_whole_cluster():
    assert fair_slots([CPU4, CPU4], {"a": demand()}) == {"a": {"cpu": 8}}


def test_a_limit_is_kept_and_the_others_get_the_rest():
    assert fair_slots([CPU4, CPU4], {"a": demand(2), "b": demand()}) == {"a": {"cpu": 2}, "b": {"cpu": 6}}


def test_two_sweeps_share_equally_by_the_cores_they_use():
    assert fair_slots([CPU4, CPU4], {"a": demand(), "b": demand(cpus=2)}) == {"a": {"cpu": 4}, "b": {"cpu": 2}}


def test_an_odd_slot_goes_to_the_first_by_name():
    assert fair_slots([{"CPU": 3.0}], {"b": demand(), "a": demand()}) == {"a": {"cpu": 2}, "b": {"cpu": 1}}


def test_several_groups_share_a_gpu():
    assert fair_slots([GPU], {"a": demand(placement="cuda", gpus=0.25)}) == {"a": {"cuda": 4}}


def test_tenths_of_a_gpu_make_a_whole_one():
    assert fair_slots([{**GPU, "CPU": 16.0}], {"a": demand(placement="cuda", gpus=0.1)}) == {"a": {"cuda": 10}}


def test_either_takes_the_gpus_first_and_then_processors():
    assert fair_slots([GPU, CPU4], {"a": demand(placement="either", gpus=0.5)}) == {"a": {"cuda": 2, "cpu": 10}}


def test_a_group_lies_on_one_node():
    assert fair_slots([{"CPU": 1.0}, {"CPU": 1.0}], {"a": demand(cpus=2)}) == {"a": {}}


def test_memory_limits_the_groups_of_a_node():
    assert fair_slots([CPU4], {"a": demand(memory="3GB")}) == {"a": {"cpu": 2}}


def test_gpu_and_cpu_sweeps_do_not_take_resources_from_each_other():
    found = fair_slots([GPU, CPU4], {"g": demand(placement="cuda"), "c": demand()})
    assert found["g"] == {"cuda": 1}
    assert found["c"]["cpu"] == 11


def test_a_sweep_that_wants_nothing_gets_nothing():
    assert fair_slots([CPU4], {"a": demand(0), "b": demand()}) == {"a": {}, "b": {"cpu": 4}}


def test_random_demands_are_met_without_overbooking_and_idle_resources():
    generator = random.Random(0)
    for _ in range(200):
        nodes = [{"CPU": float(generator.randint(1, 8)), "GPU": float(generator.randint(0, 2))} for _ in range(3)]
        demands = {
            name: demand(
                generator.choice([None, 1, 5]),
                generator.choice(["cpu", "cuda", "either"]),
                cpus=generator.choice([0.5, 1, 2]),
                gpus=generator.choice([0.25, 0.5, 1]),
            )
            for name in "abc"[: generator.randint(1, 3)]
        }
        found = fair_slots(nodes, demands)
        for resource in ("CPU", "GPU"):
            used = sum(
                count * dict(demands[name].needs)[device].get(resource, 0.0)
                for name, slots in found.items()
                for device, count in slots.items()
            )
            assert used <= sum(node[resource] for node in nodes) + 1e-6
        for name, slots in found.items():
            limit = demands[name].max_groups
            assert limit is None or sum(slots.values()) <= limit
        alone = {name: fair_slots(nodes, {name: lone})[name] for name, lone in demands.items()}
        assert all(sum(found[name].values()) <= sum(alone[name].values()) for name in found)
        assert any(found.values()) == any(alone.values())


def test_an_autoscaler_is_requested_twice_the_slots_up_to_the_limit():
    demands = {"a": demand(), "b": demand(3), "c": demand(placement="either", gpus=0.5)}
    requested = bundles_to_request(demands, {"a": {"cpu": 2}, "b": {"cpu": 2}, "c": {}})
    assert requested.count({"CPU": 1.0}) == 4 + 3
    assert requested.count({"CPU": 1.0, "GPU": 0.5}) == 1, "without any slot, one group is requested"
    assert bundles_to_request({"a": demand(0)}, {"a": {}}) == []


def test_groups_without_gpu_leave_the_cores_of_gpu_nodes_free():
    found = fair_slots([{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}], {"c": demand(), "g": demand(placement="cuda")})
    assert found == {"c": {"cpu": 1}, "g": {"cuda": 1}}


@pytest.mark.parametrize(
    "arguments",
    [{"cpus": 0}, {"cpus": -1}, {"cpus": 1.5}, {"gpus": 0}, {"gpus": "1"}, {"memory": "2 apples"}, {"memory": 0}],
)
def test_invalid_resources_are_a_mistake(arguments):
    with pytest.raises(UserMistake, match=r"^Resources\("):
        Resources(**arguments)


def test_resources_for_ray():
    assert Resources(cpus=2, gpus=0.25, memory="2GB").ray_resources("cuda") == {"CPU": 2.0, "GPU": 0.25, "memory": 2e9}
    assert Resources().ray_resources("cpu") == {"CPU": 1.0}
    assert (Resources(cpus=2).blas_threads, Resources(cpus=0.5).blas_threads) == (2, 1)
