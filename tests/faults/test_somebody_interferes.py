"""Somebody else changes the node, or starts a second move, in the middle of the first."""

import json
import time

import pytest

START = "point the kubelet at unix:///run/containerd/containerd.sock"  # a step in the journal
# Private: else what is mounted inside, such as hosts and resolv.conf in a container, would go with it in the end.
READ_ONLY = "mount --rbind /etc /etc && mount --make-rprivate /etc && mount -o remount,ro,bind /etc"


@pytest.mark.representative
@pytest.mark.fault(25, "somebody restarts docker.service by hand in the middle")
def test_docker_started_by_hand(fault):
    run = fault.start()
    fault.lab.wait_for_step(fault.victim, START)
    # What they try first does nothing: the unit is masked.
    assert "masked" in fault.on("systemctl restart docker 2>&1", check=False)
    fault.on("systemctl unmask docker.service docker.socket && systemctl restart docker")
    fault.injected("unmasked and restarted while the kubelet starts on containerd")
    fault.failed(run.finish(), "docker.service", "was put back on Docker")
    fault.safe("docker")
    fault.keeps_data()
    fault.rerun()


@pytest.mark.fault(28, "/etc is read-only")
def test_read_only_etc(fault):
    fault.undo(lambda: fault.on("umount -l /etc", check=False))
    fault.on(READ_ONLY)
    fault.failed(fault.migrate(), "/etc/containerd", "read-only")  # refused before anything is written
    assert fault.lab.is_untouched(fault.victim)
    fault.remove_cause()

    run = fault.start()
    run.wait_for_task("drain : Cordon the node and evict its pods")
    fault.undo(lambda: fault.on("umount -l /etc", check=False))
    fault.on(READ_ONLY)
    fault.injected("before the run, which refused; again during the drain, after containerd had got its files")
    fault.failed(run.finish(), "/etc/systemd/system", "read-only", "containerd still has unshim's files")
    fault.safe("docker")
    fault.remove_cause()
    fault.rerun()


@pytest.mark.fault(26, "a second controller")
def test_second_controller(fault):
    first = fault.start(controller="other-controller")
    first.wait_for_task("drain : Cordon the node and evict its pods")
    fault.injected(
        "during the drain of a run from another controller, which is killed later without a chance to give back its lock"
    )
    second = fault.migrate()
    fault.failed(
        second, "Another run of unshim changes nodes of this cluster", "@other-controller", "last sign of life"
    )
    first.kill()
    lease = fault.lab.get("lease", "-n", "kube-system", "unshim")["spec"]
    holder = lease["holderIdentity"]
    assert "@other-controller pid" in holder
    time.sleep(65)
    fault.failed(fault.migrate(), holder, "unshim_take_over")
    run = fault.rerun("-e", json.dumps({"unshim_take_over": holder}))
    assert f"taken over from {holder}" in " ".join(run.output.split())
