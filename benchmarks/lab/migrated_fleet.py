"""What migrate.yml costs for each node that is already migrated.

The lab's workers stand in the inventory under several names each: a node that is done is only looked at.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import yaml
from bench_lab import ROOT, BenchLab
from competitors import Unshim
from record import Figure, Row

HOSTS, FORKS = 20, 20


def inventory_of(lab: BenchLab, hosts: int, directory: Path) -> Path:
    """Write an inventory with ``hosts`` names for the lab's workers; its variables are the lab's own."""
    given = yaml.safe_load((ROOT / lab.inventory / "hosts.yml").read_text())["all"]["vars"]
    names = {
        f"alias-{number:03}": {
            "ansible_host": lab.workers[number % len(lab.workers)],
            "unshim_node_name": lab.workers[number % len(lab.workers)],
        }
        for number in range(hosts)
    }
    variables = {**given, "unshim_kubeconfig": str((ROOT / lab.kubeconfig).resolve())}
    path = directory / f"aliases-{hosts}.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": {"kube_node": {"hosts": names}}}}))
    return path


def seconds_of_a_run(lab: BenchLab, inventory: Path) -> float:
    began = time.monotonic()
    said = lab.run(["ansible-playbook", "-i", inventory, "playbooks/migrate.yml", "--forks", str(FORKS)])
    if re.search(r" (changed|unreachable)=[1-9]", said):
        raise SystemExit(f"a migrated fleet was changed:\n{said[-3000:]}")
    return time.monotonic() - began


def row(lab: BenchLab, pairs: int) -> Row:
    """Needs every worker on containerd; moves them there and back."""
    unshim = Unshim(lab)
    lab.ansible("playbooks/migrate.yml", "--limit", ",".join(lab.workers), "-e", '{"unshim_batches": [1, 2]}')
    one, many = (inventory_of(lab, hosts, lab.records) for hosts in (1, HOSTS))
    for inventory in (one, many):  # not counted
        seconds_of_a_run(lab, inventory)
    taken = [(seconds_of_a_run(lab, one), seconds_of_a_run(lab, many)) for _ in range(pairs)]
    unshim.go_back(*lab.workers)
    return Row(
        f"migrate.yml on a migrated fleet, per node beyond the first, {HOSTS} hosts, {FORKS} forks",
        Figure("unshim", tuple((all_ - first) / (HOSTS - 1) for first, all_ in taken)),
        None,
        goal=0.5,
        notes=(f"one host takes {min(first for first, _ in taken):.1f} s; the nodes share this machine's cores",),
    )
