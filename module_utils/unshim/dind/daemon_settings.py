"""dockerd's settings in a pod, as daemon.json; what only the pod itself knows is added by start.sh when dockerd starts."""

from __future__ import annotations

import json
from typing import Any

from .address_pools import AddressPools
from .model import Registries, Settings

#: Seconds dockerd gives its containers to end; the pod's own grace period is longer.
SHUTDOWN_TIMEOUT = 20
GRACE_PERIOD = 40
#: Drivers that keep layers apart without copying them; with "vfs" or "native" every layer is a full copy (moby#42171).
STORAGE_DRIVERS = ("overlay2", "fuse-overlayfs", "btrfs", "zfs")


def of(settings: Settings, registries: Registries, pools: AddressPools) -> dict[str, Any]:
    """Return daemon.json.

    Not in here, since it depends on where dockerd starts: MTU, cgroup parent, limits, listeners. All of them are flags, and
    dockerd refuses a setting that is given in both places.
    """
    found: dict[str, Any] = {
        "bip": pools.bip,
        "default-address-pools": [{"base": pools.base, "size": pools.size}],
        # Without a name Docker 29 falls back to copying every layer when overlayfs cannot be mounted (moby daemon/daemon.go).
        "storage-driver": settings.storage_driver,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "log-driver": "json-file",
        "log-opts": {"max-file": "3", "max-size": "10m"},
        "shutdown-timeout": SHUTDOWN_TIMEOUT,
    }
    if registries.mirrors:
        found["registry-mirrors"] = list(registries.mirrors)
    if registries.insecure:
        found["insecure-registries"] = list(registries.insecure)
    return found


def text(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True) + "\n"
