"""What must be true of a moved node that is rebooted."""

import time


def check(lab, node):
    """Restart a node's machine after its pods left, and compare the cluster before and after.

    Proved: the node is Ready on containerd; Docker did not start meanwhile; every controller has as many ready pods as before;
    no request through the Service failed.
    """
    before = lab.ready_by_owner()
    began = time.time()
    lab.kubectl("drain", node, "--ignore-daemonsets", "--timeout=120s")
    try:
        lab.restart(node)
        info = lab.get("node", node)["status"]["nodeInfo"]
        assert info["containerRuntimeVersion"].startswith("containerd://")
        # /run is empty after a restart: a Docker that had started would have made these.
        assert lab.on(node, "ls -d /run/docker /run/docker.pid /run/docker.sock 2>/dev/null || true") == ""
        assert lab.on(node, "pgrep -x dockerd || true") == ""
        assert lab.on(node, "systemctl list-units --failed --plain --no-legend") == ""
        lab.wait_for_pods(node)
    finally:
        lab.kubectl("uncordon", node)
    deadline = time.monotonic() + 120
    while lab.ready_by_owner() != before:
        assert time.monotonic() < deadline, f"before: {before}\nnow: {lab.ready_by_owner()}"
        time.sleep(1)
    asked = [answer for answer in lab.prober("service") if answer[0] >= began]
    failed = [answer for answer in asked if answer[1] != "200"]
    print(f"{node} restarted: {len(asked)} requests, {len(failed)} failed, {time.time() - began:.0f} s")
    assert asked and failed == []
