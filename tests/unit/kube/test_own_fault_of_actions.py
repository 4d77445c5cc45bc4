"""What an operator reads where unshim itself is wrong, and what programs read."""

from unshim_kube import action_run
from unshim_kube.errors import KubeError, Unreachable


def act(error):
    def raises():
        raise error

    return raises


def test_a_fault_of_our_own_names_its_place_and_shows_no_traceback():
    said = action_run.outcome("node_runtime", act(KeyError("metadata")))
    assert said["failed"] and not said["changed"]
    assert said["msg"].startswith(
        "internal error in node_runtime (please report): KeyError: 'metadata' at test_own_fault"
    )
    assert "Traceback" not in said["msg"] and "\n" not in said["msg"]


def test_what_is_wrong_with_the_cluster_is_said_as_it_is():
    assert action_run.outcome("node_runtime", act(KubeError("It is full.", {"pods": 3}))) == {
        "changed": False, "failed": True, "msg": "It is full.", "pods": 3,
    }  # fmt: skip
    assert action_run.outcome("node_runtime", act(Unreachable("No answer.")))["api_unreachable"] is True
