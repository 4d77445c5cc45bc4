"""The filters of a rolling move."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def filters():
    path = Path(__file__).parents[3] / "filter_plugins" / "unshim.py"
    specification = spec_from_file_location("tested_filters", path)
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.FilterModule().filters()


HOSTVARS = {
    "a": {"ansible_facts": {"runtime_plan": {"node_name": "node-a", "state": "docker", "done": False}}},
    "b": {
        "ansible_facts": {"runtime_plan": {"node_name": "", "state": "verified", "done": True}},
        "move_failed": "why",
    },
    "c": {"move_failed": ""},
}


def test_members_are_the_hosts_that_have_a_plan(filters):
    assert filters["unshim_members"](["b", "a", "c"], HOSTVARS, ["a"]) == [
        {"host": "b", "node": "b", "state": "verified", "done": True, "control_plane": False},
        {"host": "a", "node": "node-a", "state": "docker", "done": False, "control_plane": True},
    ]


def test_node_names_of_hosts_and_of_what_is_no_host(filters):
    assert filters["unshim_node_names"](["a", "b", "c", "worker-9"], HOSTVARS) == ["node-a", "b", "c", "worker-9"]


def test_hosts_whose_move_failed(filters):
    assert filters["unshim_failed"](["a", "b", "c"], HOSTVARS) == ["b"]


def test_decisions_are_told_by_reason(filters):
    decisions = [
        {"pod": "shop/web-1", "action": "evict", "reason": "ReplicaSet/web creates it again"},
        {"pod": "shop/agent", "action": "skip", "reason": "DaemonSet/agent would put it back at once"},
        {"pod": "shop/web-2", "action": "evict", "reason": "ReplicaSet/web creates it again"},
    ]
    assert filters["unshim_decisions"](decisions) == (
        "leave: shop/web-1, shop/web-2 (ReplicaSet/web creates it again)\n"
        "stay: shop/agent (DaemonSet/agent would put it back at once)"
    )
    assert filters["unshim_decisions"]([]) == "It has no pods."
