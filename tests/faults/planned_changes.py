"""What a move may change on a node and leave there, as node_snapshot names it."""

# What a rolled-back move leaves, and may: its own records.
LEFT = ("file /var/lib/unshim",)

LEFTOVERS = """
find /etc /var/lib/kubelet /var/lib/unshim /opt /usr/local /lib/systemd /var/lib/dpkg -xdev \\( -name '.unshim-*' -o -name '.archives-*' \
  -o -name '*.unshim-link' \\) -not -path '/var/lib/kubelet/pods/*' 2>/dev/null
true
"""

# Beside the files in the journal: what the switch makes of Docker's units, and directories' own lines.
UNITS = ("unit docker.service", "unit docker.socket", "unit containerd.service", "unit kubelet.service", "kubelet")


def is_planned(key, planned):
    """Tell if a difference (a key of node_snapshot) is one that a move with these files in its journal makes."""
    if key in UNITS or key.startswith("package "):
        return True
    path = key.removeprefix("file ")
    if path in planned or any(other.startswith(path + "/") for other in planned):
        return True
    return path.startswith("/etc/systemd/system/") and "docker" in path
