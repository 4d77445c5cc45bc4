"""The controller is killed with SIGKILL. What it had started on the node goes on there, as behind a broken connection, or is
killed, too, as by a node's own trouble; nobody puts anything back. The next run has to go on from there."""

import pytest
from images_left import FORGET

FLAGS = "/var/lib/kubelet/kubeadm-flags.env"


@pytest.mark.fault(2, "controller killed during the image import")
def test_during_image_import(fault):
    fault.on(FORGET)
    run = fault.start()
    run.wait_for_task("images : Move the images of this node's pods to containerd")
    fault.lab.wait_for_step(fault.victim, "move images to containerd")
    run.kill()
    fault.injected("SIGKILL while images went from Docker to containerd; the import itself goes on")
    fault.safe("docker")
    # At once, while the node is still at it.
    fault.rerun()


@pytest.mark.representative
@pytest.mark.fault(3, "controller killed between the stop of Docker and the start of the kubelet on containerd")
def test_after_docker_was_stopped(fault):
    strike = fault.strike_when("'docker stopping' in now and not exists('/run/docker.pid')")
    run = fault.start()
    strike.wait()
    run.kill()
    strike.kill()
    fault.injected("SIGKILL of controller and module: dockerd has ended, its units are not yet masked, no kubelet runs")
    fault.rerun()


@pytest.mark.fault(4, "controller killed after the kubelet's files changed, before its start")
def test_between_files_and_start(fault):
    strike = fault.strike_when(f"'--container-runtime=remote' in text('{FLAGS}')")
    run = fault.start()
    strike.wait()
    run.kill()
    strike.kill()
    assert fault.on("systemctl is-active kubelet", check=False).strip() != "active"
    fault.injected("SIGKILL of controller and module between the kubelet's new files and its start")
    fault.rerun()


@pytest.mark.fault(5, "controller killed during the uncordon")
def test_during_uncordon(fault):
    run = fault.start()
    run.wait_for_task("Let pods come to the node again")
    run.kill()
    fault.injected("SIGKILL at the uncordon")
    fault.rerun()
