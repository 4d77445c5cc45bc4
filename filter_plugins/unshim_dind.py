"""Filters of Docker-in-Docker: what was seen of a node, what it needs, and the files of a host without Kubernetes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from ansible.errors import AnsibleFilterError

from unshim import records
from unshim.dind import address_pools, host, registry_settings, unit
from unshim.dind.model import DindError, Networks
from unshim.facts import Facts
from unshim_kube import dind_run
from unshim_kube.errors import KubeError


def unshim_dind_host(printed: str) -> dict[str, Any]:
    """Return what the probe printed on a node as data."""
    return records.to_data(host.parse(printed))


def unshim_dind_preparation(seen: dict[str, Any], iptables: str) -> dict[str, Any]:
    """Return what a node needs before dockerd can work in a pod there."""
    return records.to_data(host.prepare(records.from_data(host.Host, seen), iptables))


def unshim_dind_files(settings: dict[str, Any], facts: dict[str, Any], seen: dict[str, Any]) -> list[dict[str, str]]:
    """Return the files of Docker-in-Docker on a host without Kubernetes: path, content, mode."""
    try:
        known, chosen = records.from_data(host.Host, seen), dind_run.settings_of(settings)
        networks = Networks(nodes=tuple(address_pools.routed(known.routes)), given=tuple(chosen.reserved_ranges))
        found = registry_settings.of_node(records.from_data(Facts, facts))
        made = unit.files(chosen, found, networks, host.prepare(known, chosen.iptables).iptables)
    except (DindError, KubeError) as error:
        raise AnsibleFilterError(str(error)) from None
    return [
        {"path": path, "content": text, "mode": "0600" if path in made.secret else "0644"}
        for path, text in sorted(made.files.items())
    ]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "unshim_dind_files": unshim_dind_files,
            "unshim_dind_host": unshim_dind_host,
            "unshim_dind_preparation": unshim_dind_preparation,
        }
