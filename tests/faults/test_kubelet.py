"""Faults of the kubelet: it does not start, or it starts and its node is never Ready."""

import pytest

DEFAULTS = "/etc/default/kubelet"
# As a firewall or a network agent that takes against whatever is new: the API is closed to this node while its kubelet runs
# on containerd.
FIREWALL = """
systemd-run --collect --unit lab-firewall --property Restart=no sh -c '
closed=
while :; do
  if tr "\\0" " " <"/proc/$(systemctl show kubelet -p MainPID --value)/cmdline" | grep -q containerd.sock; then
    [ -n "$closed" ] || iptables -w -I OUTPUT -p tcp --dport 6443 -j REJECT; closed=yes
  else
    [ -z "$closed" ] || iptables -w -D OUTPUT -p tcp --dport 6443 -j REJECT; closed=
  fi
  sleep 0.1
done'
"""
OPEN = """
systemctl stop lab-firewall.service
while iptables -w -D OUTPUT -p tcp --dport 6443 -j REJECT; do :; done
true
"""


@pytest.mark.fault(14, "the kubelet would not start: a flag it does not know")
def test_bad_flag(fault):
    """Somebody edits the kubelet's flags while its pods leave; the running kubelet does not know of it."""
    run = fault.start()
    run.wait_for_task("drain : Cordon the node and evict its pods")
    fault.on(f"echo 'KUBELET_EXTRA_ARGS=--no-such-flag=1' >{DEFAULTS}")
    fault.undo(lambda: fault.on(f"rm -f {DEFAULTS}"))
    fault.injected("during the drain")
    fault.failed(run.finish(), "--no-such-flag", DEFAULTS)
    fault.safe("docker")
    assert fault.on(f"cat {DEFAULTS}") == "KUBELET_EXTRA_ARGS=--no-such-flag=1\n"
    fault.remove_cause()
    fault.keeps_data()
    fault.rerun()


@pytest.mark.fault(15, "the kubelet starts, and its node is never Ready")
def test_never_ready(fault):
    run = fault.start(unshim_ready_timeout=50)
    run.wait_for_task("drain : Cordon the node and evict its pods")
    fault.on(FIREWALL)
    fault.undo(lambda: fault.on(OPEN))
    run.wait_for_task("verify : Wait for the node to be Ready on containerd, with its own pods back")
    fault.injected("with the kubelet's start on containerd")
    fault.failed(run.finish(), "is not as wanted after", "put back on Docker")
    fault.safe("docker")
    fault.keeps_data()
    fault.remove_cause()
    fault.rerun()
