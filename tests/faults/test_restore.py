"""The way back after a failed gate, where it has to do more than its usual: rows of no fault, but of the promise."""

import pytest


def bad_canary(lab):
    return {"unshim_canary_image": f"{lab.registry}:5000/no-such-image:1"}


@pytest.mark.fault(None, "a failed gate, with unshim_on_failure: hold")
def test_hold(fault):
    """The node stays where it is, closed, with what to do in the message; the next run goes on from there."""
    node = fault.victim
    run = fault.migrate(unshim_on_failure="hold", **bad_canary(fault.lab))
    fault.failed(run, "left as it is, switched", "unshim_on_failure: hold", f"playbooks/rollback.yml --limit {node}")
    assert fault.lab.get("node", node)["spec"].get("unschedulable") is True
    assert fault.lab.runtime(node) == "containerd"
    assert fault.lab.journal(node)["state"] == "switched"
    fault.rerun()


@pytest.mark.fault(None, "a failed gate on a node that was cordoned before")
def test_a_node_cordoned_before_stays_so(fault):
    node = fault.victim
    fault.undo(lambda: fault.lab.kubectl("uncordon", node))
    fault.lab.kubectl("cordon", node)
    run = fault.migrate(**bad_canary(fault.lab))
    fault.failed(run, "was put back on Docker and stays cordoned, as it was before")
    seen = fault.lab.get("node", node)
    assert seen["spec"].get("unschedulable") is True
    assert {c["type"]: c["status"] for c in seen["status"]["conditions"]}["Ready"] == "True"
    assert fault.lab.runtime(node) == "docker"
    fault.remove_cause()
    fault.safe("docker")
    fault.keeps_data()


@pytest.mark.fault(None, "the API away from a failed gate on, on the control plane")
@pytest.mark.victim(lambda lab: lab.control_plane)
def test_the_way_back_of_a_control_plane_needs_no_api(fault, through_a_proxy):
    """Nobody but the node itself can ask its API server: the node goes back on Docker all the same, and says what is left."""
    fault.service_may_fail = True
    fault.may_differ = (*fault.may_differ, "file /root/.kube/cache")  # kubectl's own, on the control plane
    proxy, kubeconfig = through_a_proxy
    run = fault.start(unshim_kubeconfig=kubeconfig, unshim_ready_timeout=45)
    run.wait_for_task("verify : Prove that containerd answers the kubelet and has a network for pods")
    proxy.close()
    fault.undo(proxy.open)
    fault.injected("after the switch")
    fault.failed(
        run.finish(),
        "could not be put back either",
        'Then "Wait for the node to be Ready on Docker, with its own pods back" failed: The Kubernetes API server',
        "playbooks/rollback.yml --limit",
    )
    assert fault.on("systemctl is-active docker kubelet").split() == ["active", "active"]
    assert fault.on("docker ps --format '{{.Names}}' | grep -c k8s_kube-apiserver").strip() == "1"
    fault.remove_cause()
    back = fault.lab.run("rollback", limit=fault.victim)
    assert back.code == 0, back.output[-3000:]
    fault.safe("docker")
    fault.keeps_data()


@pytest.mark.fault(None, "the controller killed in the outage of the only control plane")
@pytest.mark.victim(lambda lab: lab.control_plane)
def test_the_only_control_plane_comes_back_from_a_run_cut_short(fault):
    """Its API server is gone with Docker, and with it everything that a new run would ask first."""
    fault.may_differ = (*fault.may_differ, "file /root/.kube/cache")  # kubectl's own, on the control plane
    run = fault.start()
    run.wait_for_task("kubelet : Switch the node from Docker to containerd")
    fault.lab.wait_for_step(fault.victim, "retire Docker")  # from here on it goes on without its controller
    run.kill()
    fault.injected("while Docker was being stopped")
    fault.lab.wait_until(lambda: fault.lab.api("get", "--raw", "/healthz") is None, "the API server is gone", 120)
    again = fault.rerun(unshim_drain_timeout=240, unshim_ready_timeout=300)
    assert "was cut short: it is completed first" in " ".join(again.output.split())
