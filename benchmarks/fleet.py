"""SSH targets of this machine's own, as the inventories of Ansible and of pyinfra."""

from __future__ import annotations

import base64
import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import ROOT

sys.path[:0] = [str(ROOT / "tests/audit"), str(ROOT / "module_utils")]

import sshd_farm
import yaml

from unshim.probe_command import PACKED, PACKED_END


@contextmanager
def inventory(nodes: int, targets: int = 0) -> Iterator[Path]:
    """Give the path of an inventory of so many nodes; with fewer targets, several nodes are one target."""
    with sshd_farm.farm(up=targets or nodes, caches=True) as farm:
        yield _inventory(farm, farm.up, nodes)


@contextmanager
def recorded(*nodes: int, targets: int) -> Iterator[list[Path]]:
    """Give the paths of inventories of so many nodes each, which answer with a recorded probe at no cost of theirs."""
    probe = gzip.compress((ROOT / "tests/data/probes/dockershim-worker.probe").read_bytes())
    answer = f"{PACKED}\n{base64.encodebytes(probe).decode()}{PACKED_END}\n"
    with sshd_farm.farm(up=0, recorded=targets, answer=answer) as farm:
        yield [_inventory(farm, farm.recorded, number) for number in nodes]


def _inventory(farm: sshd_farm.Farm, targets: list[int], nodes: int) -> Path:
    ports = [targets[number % len(targets)] for number in range(nodes)]
    # Connections are shared as with ansible.cfg's own settings.
    path: Path = farm.inventory(
        {f"n{number:04}": {"ansible_port": port} for number, port in enumerate(ports)},
        ansible_ssh_common_args="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
    )
    return path


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
    written = path.with_name(f"{path.stem}_of_pyinfra.py")
    written.write_text(f"nodes = {data!r}\n")
    return written
