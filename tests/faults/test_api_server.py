"""The controller loses the API server: while the pods leave, and after the switch. It stays away until the run has ended."""

import pytest


@pytest.mark.fault(17, "API server unreachable during the drain")
def test_unreachable_during_drain(fault, through_a_proxy):
    proxy, kubeconfig = through_a_proxy
    run = fault.start(unshim_kubeconfig=kubeconfig, unshim_drain_timeout=20, unshim_ready_timeout=20)
    run.wait_for_task("drain : Cordon the node and evict its pods")
    fault.lab.wait_until(lambda: not fault.lab.safe_state(fault.victim)[0], "cordoned")
    proxy.close()
    fault.undo(proxy.open)
    fault.injected("once the node was cordoned, until the run had ended")
    fault.failed(run.finish(), "API server", "could not be asked", "migrate.yml")
    # On Docker, and closed for pods: nobody could open it.
    ready, runtime = fault.lab.api(
        "get", "node", fault.victim, "-o",
        'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.nodeInfo.containerRuntimeVersion}',
    ).split()  # fmt: skip
    assert (ready, runtime.partition(":")[0]) == ("True", "docker")
    fault.remove_cause()
    fault.rerun(unshim_kubeconfig=kubeconfig)


@pytest.mark.fault(18, "API server unreachable after the switch")
def test_unreachable_after_switch(fault, through_a_proxy):
    proxy, kubeconfig = through_a_proxy
    run = fault.start(unshim_kubeconfig=kubeconfig, unshim_ready_timeout=20)
    run.wait_for_task("verify : Prove that containerd answers the kubelet and has a network for pods")
    proxy.close()
    fault.undo(proxy.open)
    fault.injected("between the kubelet's start on containerd and the gates, until the run had ended")
    fault.failed(run.finish(), "API server", "could not be asked", "rollback.yml")
    fault.remove_cause()
    fault.rerun(unshim_kubeconfig=kubeconfig)
