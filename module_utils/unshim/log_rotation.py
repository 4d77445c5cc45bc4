"""Docker's log driver and its options, as the kubelet's rotation of container logs.

With Docker the daemon writes and rotates; on containerd the runtime writes files under /var/log/pods and the kubelet
rotates them: 10Mi and 5 files unless told otherwise, from 1.11 on. Sources: moby daemon/logger/jsonfilelog/jsonfilelog.go,
daemon/logger/local/local.go and config.go (units.FromHumanSize: a "m" is 1000000 bytes); kubernetes
pkg/kubelet/logs/container_log_manager.go (fewer than two files is an error); kubelet.config.k8s.io/v1beta1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FEWEST_FILES = 2
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_SUFFIXES = (("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))
_BINARY_SUFFIXES = (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))

# What a pod's log reached by way of Docker, and no longer does.
SENDS = "Docker sent the pods' output to {}, which containerd does not: nothing arrives there from this node's pods any more"
DRIVERS = {
    "journald": "Docker wrote the pods' output to the journal; on containerd it is in files under /var/log/pods, and neither "
    "journalctl CONTAINER_NAME=... nor what forwards the journal sees it any more",
    "syslog": SENDS.format("syslog"),
    "fluentd": SENDS.format("fluentd, with labels and env as fields"),
    "gelf": SENDS.format("a GELF server"),
    "awslogs": SENDS.format("Amazon CloudWatch Logs"),
    "gcplogs": SENDS.format("Google Cloud Logging"),
    "splunk": SENDS.format("Splunk"),
    "logentries": SENDS.format("Logentries"),
    "none": "Docker threw the pods' output away; on containerd it is kept in files under /var/log/pods, which needs room",
}
# Options that say how much is kept; every other one belongs to a driver or adds fields to what it sends.
SIZES = ("max-size", "max-file")
OPTIONS = {
    "compress": "the kubelet always compresses rotated logs (all but the newest of them)",
    "mode": "containerd's way to a log file blocks when the disk does",
    "max-buffer-size": "containerd's way to a log file has no such buffer",
    "labels": "a log file on containerd holds output only; collectors take labels from the API",
    "labels-regex": "a log file on containerd holds output only; collectors take labels from the API",
    "env": "a log file on containerd holds output only; collectors take what they add from the API",
    "env-regex": "a log file on containerd holds output only; collectors take what they add from the API",
    "tag": "a log file on containerd holds output only; its name says pod, container and namespace",
    "cache-disabled": "there is no second copy on containerd: kubectl logs reads the files",
    "cache-max-size": "there is no second copy on containerd: kubectl logs reads the files",
    "cache-max-file": "there is no second copy on containerd: kubectl logs reads the files",
    "cache-compress": "there is no second copy on containerd: kubectl logs reads the files",
}


@dataclass(frozen=True)
class Rotation:
    """What Docker kept of a container's log."""

    driver: str
    size: int | None = None  # bytes in a file before the next begins; None: no limit
    files: int = 1  # the one being written counts
    odd: dict[str, str] = field(default_factory=dict)  # options that cannot be read, as written


def from_docker(settings: Mapping[str, Any]) -> Rotation:
    """Return Docker's rotation, from the effective settings of dockerd by the keys of daemon.json."""
    driver = str(settings.get("log-driver") or "json-file")
    options = settings.get("log-opts")
    options = options if isinstance(options, dict) else {}
    size, files = (20 * 2**20, 5) if driver == "local" else (None, 1)
    odd = {}
    if "max-size" in options:
        given = from_human_size(str(options["max-size"]))
        if given:
            size = given
        else:
            odd["max-size"] = str(options["max-size"])
    if "max-file" in options:
        text = str(options["max-file"])
        if re.fullmatch(r"\+?[0-9]{1,9}", text) and int(text):
            files = int(text)
        else:
            odd["max-file"] = text
    return Rotation(driver, size, files, odd)


def from_human_size(text: str) -> int | None:
    """Return bytes as docker/go-units' FromHumanSize reads them (decimal, also for "10MiB"), None if it does not."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?", text, re.IGNORECASE | re.ASCII)
    return int(float(match[1]) * _UNITS[match[2].lower()]) if match else None


def quantity(size: int) -> str:
    """Return bytes as a Kubernetes quantity, as short as is exact: 10000000 -> "10M", 20971520 -> "20Mi"."""
    for suffix, unit in (*_SUFFIXES, *_BINARY_SUFFIXES):
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
