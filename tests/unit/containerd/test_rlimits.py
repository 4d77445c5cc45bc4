"""Limits of containers: read as the kernel, systemd and Docker write them, and written as containerd reads them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim import rlimits

SPEC = json.dumps(
    {
        "ociVersion": "1.0.2-dev",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "linux": {"cgroupsPath": "/default", "maskedPaths": ["/proc/kcore"]},
    }
)
VALUE = st.one_of(st.just(rlimits.UNLIMITED), st.integers(0, (1 << 62)))
LIMITS = st.dictionaries(st.sampled_from(rlimits.NAMES), st.tuples(VALUE, VALUE))


@pytest.mark.parametrize(
    "text, value", [("1024", 1024), ("unlimited", -1), ("infinity", -1), ("18446744073709551615", -1), ("0", 0)]
)
def test_numbers(text, value):
    assert rlimits.number(text) == value


def test_dockers_default_ulimits():
    limits, odd = rlimits.default_ulimits(
        {
            "nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048},
            "memlock": {"Name": "memlock", "Soft": -1, "Hard": -1},
            "nofiles": {"Name": "nofiles", "Soft": 1, "Hard": 1},
            "core": {"Soft": 0},
            "nproc": 5,
        }
    )
    assert limits == {"nofile": (1024, 2048), "memlock": (-1, -1)}
    assert [entry.split(":")[0] for entry in odd] == ["nofiles", "core", "nproc"]
    assert rlimits.default_ulimits(None) == ({}, [])
    assert rlimits.default_ulimits([1]) == ({}, ["[1]"])


@pytest.mark.parametrize(
    "process, unit, gets",
    [
        # containerd 2.x, as seen on one: its unit says nothing, Go raises its own soft limit, containers get the first.
        ((524287, 524288), (1024, 524288), (1024, 524288)),
        # A host that does not grant what the unit asks for.
        ((20000, 20000), (-1, -1), (20000, 20000)),
        ((19999, 20000), (1024, 524288), (1024, 20000)),
        ((1048576, 1048576), (1048576, 1048576), (1048576, 1048576)),
        (None, (1024, 524288), (1024, 524288)),
        ((-1, -1), None, (-1, -1)),
    ],
)
def test_what_containers_inherit(process, unit, gets):
    found = rlimits.inherited({"nofile": process} if process else {}, {"nofile": unit} if unit else {})
    assert found == {"nofile": gets}


def test_only_what_differs_and_is_known_is_different():
    before = {"nofile": (1, 2), "core": (0, 0), "stack": (8, -1)}
    assert rlimits.different(before, {"nofile": (1, 3), "core": (0, 0)}) == {"nofile": (1, 2)}


@pytest.mark.parametrize("version, counts", [("1.4.13~ds1", False), ("1.5.0", True), ("1.6.20", True), ("2.1.9", True)])
def test_from_1_5_on_a_spec_counts(version, counts):
    assert rlimits.spec_counts(version) is counts


@given(LIMITS)
def test_a_spec_gives_its_limits_back_and_keeps_all_else(limits):
    text = rlimits.base_spec(SPEC, limits)
    assert rlimits.limits_of_spec(text) == limits
    made, before = json.loads(text), json.loads(SPEC)
    before["process"]["rlimits"] = made["process"]["rlimits"]
    assert made == before
    assert rlimits.base_spec(text, limits) == text


@given(LIMITS)
def test_a_drop_in_gives_its_limits_back(limits):
    assert rlimits.limits_of_drop_in(rlimits.drop_in(limits)) == limits


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"process": []}', "null"])
def test_what_is_no_spec_is_said_to_be_none(text):
    with pytest.raises(ValueError, match="no description of a container"):
        rlimits.base_spec(text, {"nofile": (1, 2)})
    assert rlimits.limits_of_spec(text) == {}
