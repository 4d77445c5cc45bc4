"""What must be true on Docker and on containerd of a pod that serves a port below 1024 and has nothing of root."""

import time


def check(lab, runtime):
    """Ask the pod of Deployment kiosk, and look at its own network's sysctls."""
    deadline = time.monotonic() + 60
    while True:
        pods = lab.get("pods", "-n", "shop", "-l", "app=kiosk")["items"]
        pod = next((one for one in pods if "deletionTimestamp" not in one["metadata"]), None)
        status = (pod["status"].get("containerStatuses") or [{"ready": False}])[0] if pod else {"ready": False}
        if status["ready"]:
            break
        assert time.monotonic() < deadline, f"the pod of kiosk does not answer on port 80: {status}"
        time.sleep(0.5)
    name, address = pod["metadata"]["name"], pod["status"]["podIP"]
    assert status["containerID"].startswith(f"{runtime}://")
    assert lab.on(lab.control_plane, f"curl -fsS -m 5 http://{address}:80/").strip() == name
    script = "id -u; grep -E 'Cap(Prm|Eff)' /proc/self/status; cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range"
    assert lab.kubectl("exec", "-n", "shop", name, "--", "sh", "-c", script).split() == [
        "65534", "CapPrm:", "0000000000000000", "CapEff:", "0000000000000000", "0", "0", "2147483647",
    ]  # fmt: skip
