"""Faults of the pods' network."""

import pytest

CONFIG = "/etc/cni/net.d/10-lab.conflist"


@pytest.mark.fault(13, "the CNI configuration is missing")
def test_cni_configuration_missing(fault):
    """It goes while the pods leave. The running kubelet has read it, one that starts would find none, on Docker as well."""
    run = fault.start()
    run.wait_for_task("drain : Cordon the node and evict its pods")
    fault.on(f"mv {CONFIG} /root/10-lab.conflist")
    fault.undo(lambda: fault.on(f"mv /root/10-lab.conflist {CONFIG}"))
    fault.injected("during the drain")
    fault.failed(run.finish(), "/etc/cni/net.d", "put back on Docker")
    fault.safe("docker")
    fault.remove_cause()
    fault.keeps_data()
    fault.rerun()
