"""The gates that need a shell in the canary pod: which are tried, in which order they are told, and that none waits for another."""

import threading
import time

import pytest
from ansible.module_utils.unshim_kube.client import Executed
from ansible.module_utils.unshim_kube.errors import KubeError

import node_canary

TOKEN = "unshim-token-1"


class Module:
    def __init__(self):
        self.params = {"network_timeout": 0}


class Api:
    """Services of a cluster without DNS, and with kube-proxy."""

    def get(self, path, **_):
        return {"spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}}

    def list_objects(self, path, **_):
        return []


class Pod:
    """Answers a command by what its script has in it; ``meet`` is how many have to be under way at a time."""

    ANSWERS = (("cgroup/memory", "67108864"), ("cgroup", "4:memory:/kubepods/burstable/pod1/c1"))

    def __init__(self, meet=1, refuse=""):
        self.meeting = threading.Barrier(meet)
        self.meet, self.refuse = meet, refuse

    def log(self, container):
        return TOKEN

    def run(self, container, *command, timeout=15.0):
        script = command[2]
        if self.refuse and self.refuse in script:
            raise KubeError("exec broke off")
        if 'echo "$0"' in script:
            return Executed(0, TOKEN, "")
        if self.meet > 1:
            self.meeting.wait(10)
        if "nc -w" in script:
            return Executed(0, "nc\nconnected\n", "")
        return Executed(0, next(answer for word, answer in self.ANSWERS if word in script), "")


def gates(pod):
    return node_canary.shell_gates(Module(), Api(), pod, TOKEN)


def test_gates_are_told_in_their_order():
    found = gates(Pod())
    assert [gate.name for gate in found] == ["logs", "exec", "cgroup", "limits", "api", "dns"]
    assert [gate.passed for gate in found] == [True, True, True, True, True, None]


def test_commands_in_the_pod_do_not_wait_for_each_other():
    # The barrier lets three go on only together: cgroup, limits, api.
    assert [gate.passed for gate in gates(Pod(meet=3))][2:5] == [True, True, True]


def test_a_command_that_breaks_off_is_told():
    with pytest.raises(KubeError, match="exec broke off"):
        gates(Pod(refuse="cgroup/memory"))


def test_an_interrupt_does_not_wait_for_commands():
    released = threading.Event()

    def interrupted():
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        node_canary.at_once(interrupted, lambda: released.wait(20))
    released.set()
    assert time.monotonic() - began < 10
