"""Docker's runtimes as containerd's: names, programs, arguments, shims, and what cannot be carried."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim.runtimes import RUNC, WRAPPERS, Runtime, carried

CRUN = {"path": "/usr/bin/crun"}
FOUND = {
    "/usr/bin/crun": "/usr/bin/crun",
    "nvidia-container-runtime": "/usr/bin/nvidia-container-runtime",
    "containerd-shim-kata-v2": "/usr/bin/containerd-shim-kata-v2",
    "/gone": "",
    "containerd-shim-gone-v1": "",
}


@pytest.mark.parametrize("name", ["", None, "runc", RUNC, "io.containerd.runc.v1", "io.containerd.runtime.v1.linux"])
def test_dockers_names_for_runc_are_containerds_default(name):
    assert carried({"default-runtime": name}, {}) == carried({}, {})
    assert carried({}, {}, name or "").default == ""


@pytest.mark.parametrize(
    "definition, expected",
    [
        (CRUN, Runtime("x", RUNC, {"BinaryName": "/usr/bin/crun"})),
        ({**CRUN, "runtimeArgs": []}, Runtime("x", RUNC, {"BinaryName": "/usr/bin/crun"})),
        ({"path": "nvidia-container-runtime"}, Runtime("x", RUNC, {"BinaryName": "/usr/bin/nvidia-container-runtime"})),
        ({"path": "not-looked-for"}, Runtime("x", RUNC, {"BinaryName": "not-looked-for"})),
        ({"runtimeType": RUNC}, Runtime("x", RUNC)),
        (
            {
                "runtimeType": RUNC,
                "options": {"BinaryName": "/usr/bin/crun", "SystemdCgroup": True, "NoPivotRoot": True},
            },
            Runtime("x", RUNC, {"BinaryName": "/usr/bin/crun", "NoPivotRoot": True}),
        ),
        ({"runtimeType": "io.containerd.runtime.v1.linux"}, Runtime("x", RUNC)),
        (
            {"runtimeType": "io.containerd.kata.v2", "options": {"ConfigPath": "/etc/kata.toml"}},
            Runtime("x", "io.containerd.kata.v2", {"ConfigPath": "/etc/kata.toml"}),
        ),
    ],
)
def test_a_runtime_becomes_the_same_in_containerd(definition, expected):
    made = carried({"runtimes": {"x": definition}, "default-runtime": "x"}, FOUND)
    assert made.runtimes == (expected,)
    assert (made.default, made.scripts, made.problems) == ("x", {}, ())


@pytest.mark.parametrize("is_default", [True, False])
@pytest.mark.parametrize(
    "definition, words",
    [
        ({"path": "/gone"}, "/gone is not there"),
        ({"runtimeType": "io.containerd.gone.v1"}, "containerd-shim-gone-v1 is not on the node's PATH"),
        ({"runtimeType": "/opt/kata/bin/containerd-shim-kata-v2"}, "no shim that containerd's CRI finds by name"),
        ({}, "neither path nor runtimeType"),
        ("/usr/bin/crun", "no description of a runtime"),
        ({**CRUN, "runtimeArgs": "--debug"}, "not a list of words"),
    ],
)
def test_one_that_cannot_be_carried_is_a_problem_and_left_out(definition, words, is_default):
    settings = {"runtimes": {"x": definition, "crun": CRUN}, "default-runtime": "x" if is_default else "crun"}
    made = carried(settings, FOUND)
    assert [runtime.name for runtime in made.runtimes] == ["crun"]
    (problem,) = made.problems
    assert words in problem.message
    assert problem.remedy
    assert problem.is_default is is_default


def test_a_default_that_is_nowhere_defined():
    (problem,) = carried({"default-runtime": "crun"}, FOUND).problems
    assert problem.is_default
    assert "crun is not among the runtimes" in problem.message


def test_a_default_that_only_the_running_docker_has():
    made = carried({}, FOUND, "crun", {"crun": "/usr/bin/crun", "runc": "runc"})
    assert made.runtimes == (Runtime("crun", RUNC, {"BinaryName": "/usr/bin/crun"}),)
    assert made.default == "crun"


def test_a_default_by_its_shims_type_alone():
    made = carried({"default-runtime": "io.containerd.kata.v2"}, FOUND)
    assert (made.default, made.runtimes) == ("kata", (Runtime("kata", "io.containerd.kata.v2"),))
    assert carried({"default-runtime": "io.containerd.gone.v1"}, FOUND).problems[0].is_default


def test_a_name_that_would_be_a_path_is_refused():
    made = carried({"runtimes": {"../../etc/x": {**CRUN, "runtimeArgs": ["a"]}}}, FOUND)
    assert made.scripts == {}
    assert made.problems


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=4))
def test_arguments_reach_the_runtime_as_they_are(arguments):
    settings = {"runtimes": {"x": {"path": "/usr/bin/printf", "runtimeArgs": [r"%s\0", *arguments]}}}
    made = carried(settings, {})
    script = WRAPPERS + "x"
    assert made.runtimes == (Runtime("x", RUNC, {"BinaryName": script}),)
    ran = subprocess.run(
        ["/bin/sh", "-c", made.scripts[script].split("\n", 1)[1], "sh", "create", "a b"],
        capture_output=True,
        check=True,
    )
    assert [os.fsdecode(word) for word in ran.stdout.split(b"\0")[:-1]] == [*arguments, "create", "a b"]
