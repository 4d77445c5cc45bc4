"""What a cluster of some version can do, as far as manifests for Docker-in-Docker depend on it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .model import Cluster, DindError

#: First minor version of 1.x in which each is on without a feature gate; the last in which it is served.
_SINCE = {
    # kubernetes.io/docs/concepts/workloads/pods/sidecar-containers: beta, on by default.
    "native_sidecar": 29,
    # kubernetes.io/docs/concepts/security/pod-security-admission: beta, on by default, in 1.23; before, labels do nothing.
    "pod_security": 23,
}
_UNTIL = {
    # kubernetes.io/docs/reference/using-api/deprecation-guide: removed in 1.25.
    "pod_security_policy": 24,
}
OLDEST = 18  # startup probes; older clusters were not looked at


@dataclass(frozen=True)
class Features:
    native_sidecar: bool
    pod_security: bool
    pod_security_policy: bool


def of(cluster: Cluster) -> Features:
    """Return what a cluster can do; raises DindError if its version says nothing, or is too old."""
    match = re.match(r"v?(\d+)\.(\d+)", cluster.version)
    if not match or match[1] != "1":
        raise DindError(f"{cluster.version!r} is not a version of Kubernetes. Write it as 1.29.")
    minor = int(match[2])
    if minor < OLDEST:
        raise DindError(f"Kubernetes {cluster.version} is too old for these manifests; they need 1.{OLDEST} or newer.")
    served = cluster.has_pod_security_policy
    return Features(
        native_sidecar=minor >= _SINCE["native_sidecar"],
        pod_security=minor >= _SINCE["pod_security"],
        pod_security_policy=minor <= _UNTIL["pod_security_policy"] if served is None else served,
    )
