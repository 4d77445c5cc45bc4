"""SSH targets of this machine's own, as the inventories of Ansible and of pyinfra."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/audit"))

import sshd_farm
import yaml


@contextmanager
def inventory(nodes: int, targets: int = 0) -> Iterator[Path]:
    """Give the path of an inventory of so many nodes; with fewer targets, several nodes are one target."""
    with sshd_farm.farm(up=targets or nodes) as farm:
        ports = [farm.up[number % len(farm.up)] for number in range(nodes)]
        # Connections are shared as with ansible.cfg's own settings.
        yield farm.inventory(
            {f"n{number:04}": {"ansible_port": port} for number, port in enumerate(ports)},
            ansible_ssh_common_args="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        )


def for_pyinfra(path: Path) -> Path:
    """Write the same targets as pyinfra's own command takes them, the least that it can do with a fleet."""
    hosts = yaml.safe_load(path.read_text())["all"]
    common = hosts["vars"]
    data = [
        (
            name,
            {
                "ssh_hostname": common["ansible_host"],
                "ssh_port": own["ansible_port"],
                "ssh_user": common["ansible_user"],
                "ssh_key": common["ansible_ssh_private_key_file"],
                "ssh_strict_host_key_checking": "no",
                "ssh_known_hosts_file": "/dev/null",
            },
        )
        for name, own in hosts["children"]["kube_node"]["hosts"].items()
    ]
    written = path.with_name("inventory_of_pyinfra.py")
    written.write_text(f"nodes = {data!r}\n")
    return written
