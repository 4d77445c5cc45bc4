"""Faults on Docker's side: a container that is not Kubernetes'."""

import pytest

IMAGE = "busybox:1.35"
STATE = "docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.State.Running}}' billing"


@pytest.mark.fault(21, "a foreign container on Docker")
def test_foreign_container(fault):
    """It is started while the pods leave, after the plan found none."""
    run = fault.start()
    run.wait_for_task("drain : Cordon the node and evict its pods")
    fault.undo(lambda: fault.on("docker rm -f -v billing; rm -rf /srv/billing", check=False))
    image = f"{fault.lab.registry}:5000/{IMAGE}"
    script = "echo paid >>/data/ledger; while :; do sleep 1; done"
    fault.on(f"docker run -d --name billing -v /srv/billing:/data {image} sh -c '{script}'")
    fault.injected("during the drain")
    before = fault.on(STATE)
    fault.failed(run.finish(), "billing", "unshim_stop_foreign_containers")
    fault.safe("docker")
    assert fault.on(STATE) == before, "the container was touched"
    fault.keeps_data()

    # It may be stopped, says its owner: it goes with Docker, and comes back with it.
    fault.rerun("-e", '{"unshim_stop_foreign_containers": ["billing"]}')
    fault.lab.back_to_docker(fault.victim)
    identity, _, running = fault.on(STATE).split()
    assert (identity, running) == (before.split()[0], "true")
    assert fault.on("cat /srv/billing/ledger").split() == ["paid"] * 2
