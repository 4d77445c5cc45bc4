"""A moved worker is restarted: it comes back Ready on containerd, Docker does not start, and nobody notices.

Named to run last in its phase. As before any reboot, its pods are moved away first.
"""

import restarts

NODE = "unshim-w1"


def test_it_comes_back_on_containerd(lab):
    restarts.check(lab, NODE)
    for unit in ("docker.service", "docker.socket"):
        assert lab.on(NODE, f"systemctl is-enabled {unit} || true").strip() == "masked"
