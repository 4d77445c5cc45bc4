"""Reading one node: one probe in one round trip, beside the tasks that a playbook without it would ask with."""

from __future__ import annotations

import tempfile
from pathlib import Path

from timing import BIN, Contestant, Goal, Row, in_turn, seconds

NODES, ROUNDS = 1, 5

PROBE = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - runtime_facts:
"""

SMALL_TASKS = """
- hosts: localhost
  connection: local
  gather_facts: true
  tasks:
    - ansible.builtin.service_facts:
    - ansible.builtin.package_facts:
    - ansible.builtin.stat: {path: /var/lib/kubelet/kubeadm-flags.env}
    - ansible.builtin.stat: {path: /var/lib/kubelet/config.yaml}
    - ansible.builtin.stat: {path: /etc/docker/daemon.json}
    - ansible.builtin.stat: {path: /etc/containerd/config.toml}
    - ansible.builtin.find: {paths: /etc/cni/net.d}
    - ansible.builtin.shell: "docker info 2>/dev/null || true"
    - ansible.builtin.shell: "docker ps -a 2>/dev/null || true"
    - ansible.builtin.shell: "ctr -n k8s.io images ls 2>/dev/null || true"
"""


def measure(nodes: int = NODES, rounds: int = ROUNDS) -> Row:
    del nodes
    with tempfile.TemporaryDirectory() as directory:
        contestants = []
        for name, text in (("runtime_facts", PROBE), ("setup and ten tasks", SMALL_TASKS)):
            path = Path(directory, f"{name.split()[0]}.yml")
            path.write_text(text)
            contestants.append(Contestant(name, [BIN / "ansible-playbook", "-i", "localhost,", path]))
        in_turn(contestants, rounds)
    probe, small = contestants
    return Row(
        "Reading one node",
        "This machine is the node; whole runs of ansible-playbook.",
        (probe, small),
        (Goal("times the small tasks", probe.median(seconds) / small.median(seconds), 1),),
    )
