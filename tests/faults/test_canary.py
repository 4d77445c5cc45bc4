"""Faults of the canary pod."""

import threading

import pytest

# As service meshes and policy engines do it to every pod: a finalizer that nobody takes off.
FINALIZER = '{"metadata": {"finalizers": ["mesh.example/traffic"]}}'
NONE = '{"metadata": {"finalizers": null}}'
SELECTOR = "app.kubernetes.io/managed-by=unshim"


def canaries(lab):
    pods = lab.get("pods", "-n", "default", "-l", SELECTOR)["items"]
    return [pod["metadata"]["name"] for pod in pods]


@pytest.mark.fault(16, "the canary pod cannot be deleted")
def test_canary_cannot_be_deleted(fault):
    ended = threading.Event()

    def hold():
        while not ended.is_set():
            for name in canaries(fault.lab):
                if fault.lab.api("-n", "default", "patch", "pod", name, "--type", "merge", "-p", FINALIZER):
                    fault.injected("on the canary pod, when it was made")
                    return
            ended.wait(0.2)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    fault.undo(lambda: (ended.set(), release(fault.lab)))
    run = fault.migrate()
    fault.failed(run, "mesh.example/traffic", "unshim-canary-", "put back on Docker")
    fault.safe("docker")
    fault.remove_cause()
    fault.keeps_data()
    fault.rerun()
    assert canaries(fault.lab) == []


def release(lab):
    for name in canaries(lab):
        lab.api("-n", "default", "patch", "pod", name, "--type", "merge", "-p", NONE)
    lab.wait_until(lambda: canaries(lab) == [], "the canary pods are gone", 60)
