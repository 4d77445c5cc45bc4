"""The canary pod's manifest and how its answers are judged."""

import subprocess

import pytest

from unshim import canary_pod


def make(**changes):
    arguments = dict({"has_shell": True}, **changes)
    return canary_pod.manifest("c", "default", "n1", "busybox", "token", **arguments)


def test_the_pod_goes_to_a_cordoned_node_and_may_nothing():
    spec = make()["spec"]
    assert spec["nodeName"] == "n1"
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "command" in spec["containers"][0]
    assert "command" not in make(has_shell=False)["spec"]["containers"][0]
    assert make(command=["/run", "me"])["spec"]["containers"][0]["command"] == ["/run", "me"]


def test_the_script_prints_its_token_and_ends_at_once_when_told():
    process = subprocess.Popen(
        ["/bin/sh", "-c", canary_pod.SCRIPT], env={"UNSHIM_TOKEN": "here"}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "here\n"
    process.terminate()
    assert process.wait(timeout=5) == 0


def pod(phase="Running", **state):
    return {"status": {"phase": phase, "containerStatuses": [{"containerID": "containerd://abc", "state": state}]}}


@pytest.mark.parametrize(
    ("one", "running", "hopeless"),
    [
        (pod(running={}), True, ""),
        ({"status": {"phase": "Pending"}}, False, ""),
        (pod("Pending", waiting={"reason": "ContainerCreating"}), False, ""),
        (pod("Pending", waiting={"reason": "ErrImagePull", "message": "no"}), False, ""),
        (pod("Pending", waiting={"reason": "ImagePullBackOff", "message": "no"}), False, "ImagePullBackOff: no"),
        (
            pod("Failed", terminated={"exitCode": 127, "reason": "Error"}),
            False,
            "it ended at once (exit code 127): Error",
        ),
        (
            {"status": {"phase": "Failed", "reason": "OutOfpods", "message": "too many"}},
            False,
            "it ended at once: OutOfpods: too many",
        ),
    ],
)
def test_states(one, running, hopeless):
    assert canary_pod.is_running(one) is running
    assert canary_pod.hopeless(one) == hopeless


@pytest.mark.parametrize(
    ("output", "passed"),
    [("67108864\n", True), ("9223372036854771712", False), ("max\n", False), ("unseen", None), ("", None)],
)
def test_limit_gate(output, passed):
    assert canary_pod.limit_gate(output).passed is passed


@pytest.mark.parametrize(("identity", "passed"), [("containerd://a", True), ("docker://a", False), ("", False)])
def test_runtime_gate(identity, passed):
    assert canary_pod.runtime_gate(identity, "containerd").passed is passed


@pytest.mark.parametrize(
    ("output", "expected"),
    [("nc\nconnected\n", ("nc", "connected")), ("nc\n", ("nc", "")), ("none\n", ("", "")), ("", ("", ""))],
)
def test_tool_answer(output, expected):
    assert canary_pod.tool_answer(output) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\n", "cluster.local."),
        ("search ns.svc.corp.example svc.corp.example. corp.example\n\n", "corp.example."),
        ("nameserver 10.96.0.10\n", "cluster.local."),
        ("", "cluster.local."),
    ],
)
def test_service_name(text, expected):
    assert canary_pod.service_name(text) == "kubernetes.default.svc." + expected


def test_connecting_by_shell_tells_open_from_closed(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        tool, answer = run(canary_pod.CONNECT_SCRIPT, "127.0.0.1", port)
    assert tool
    assert answer == ("connected" if tool != "curl" else "")
    assert run(canary_pod.CONNECT_SCRIPT, "127.0.0.1", port) == (tool, "")


def run(script, *arguments):
    done = subprocess.run(["/bin/sh", "-c", script, *arguments], capture_output=True, text=True, timeout=20, check=True)
    return canary_pod.tool_answer(done.stdout)


@pytest.mark.parametrize(
    ("finalizers", "state", "words"),
    [
        (["mesh.example/traffic"], {"terminated": {}}, ["finalizer mesh.example/traffic of another program holds it"]),
        (["a/b", "c/d"], {"running": {}}, ["finalizers a/b, c/d of another program hold it"]),
        ([], {"running": {}}, ["the runtime does not stop its container canary"]),
        ([], {"terminated": {}}, ["journalctl -u kubelet"]),
    ],
)
def test_why_not_deleted(finalizers, state, words):
    pod = {
        "metadata": {"namespace": "default", "name": "unshim-canary-1", "finalizers": finalizers},
        "status": {"containerStatuses": [{"name": "canary", "state": state}]},
    }
    told = canary_pod.why_not_deleted(pod, 60)
    assert "default/unshim-canary-1 is still terminating after 60 s" in told
    assert all(word in told for word in words), told
