"""Time one probe against the small tasks it replaces, on this machine, in turn; print medians and their ratio."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5

PROBE = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - runtime_facts:
"""

# What a playbook without the probe would ask for, a task each.
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


def seconds(playbook: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", playbook],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        playbooks = {name: Path(directory, f"{name}.yml") for name in ("probe", "small")}
        playbooks["probe"].write_text(PROBE)
        playbooks["small"].write_text(SMALL_TASKS)
        taken: dict[str, list[float]] = {name: [] for name in playbooks}
        for _ in range(ROUNDS):
            for name, playbook in playbooks.items():
                taken[name].append(seconds(playbook))
    probe, small = (statistics.median(taken[name]) for name in ("probe", "small"))
    ratios = sorted(b / a for a, b in zip(taken["probe"], taken["small"], strict=True))
    print(
        f"runtime_facts: {probe:.2f} s, setup and ten tasks: {small:.2f} s (medians of {ROUNDS}, whole ansible-playbook runs)"
    )
    print(
        f"the small tasks take {statistics.median(ratios):.1f} times as long (from {ratios[0]:.1f} to {ratios[-1]:.1f})"
    )


if __name__ == "__main__":
    main()
