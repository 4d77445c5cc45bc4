"""A cluster as Docker-in-Docker's manifests depend on it: its version, the ranges that it uses, whether it has pod policies."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from unshim.dind.certificates import AUTHORITY, CLIENT, SERVER
from unshim.dind.model import Cluster, Networks, Registries

from .errors import KubeError, Refused

if TYPE_CHECKING:
    from .client import Api

Json = dict[str, Any]
#: In no range of Services: TEST-NET-1, RFC 5737.
_NO_SERVICE = "192.0.2.1"
_RANGE = re.compile(r"[0-9a-fA-F:.]+/\d{1,3}")


def look(api: Api, registries: Registries, routes: Sequence[str], reserved: Sequence[str], namespace: str) -> Cluster:
    """Return the cluster.

    Args:
        routes: what its nodes have routes to.
        reserved: ranges that somebody has given.
        namespace: DIND's own.

    Raises:
        KubeError: it cannot be asked, or the range of its Services cannot be found out and nobody has given one.
    """
    version = str(api.get("/version")["gitVersion"]).removeprefix("v")
    nodes = api.list_objects("/api/v1/nodes")
    kubeadm = _kubeadm(api)
    pods = [cidr for node in nodes for cidr in _pod_cidrs(node)] + _split(kubeadm.get("podSubnet"))
    pods += _beyond(pods, _pod_addresses(api))
    services = _service_ranges(api, _split(kubeadm.get("serviceSubnet")))
    if not services and not reserved:
        raise KubeError(
            f"The range of addresses of Services could not be found out at {api.server}, and dockerd's own networks must not meet "
            "it. Write it into unshim_dind_reserved_ranges."
        )
    addresses = [
        f"{entry['address']}/{32 if '.' in entry['address'] else 128}"
        for node in nodes
        for entry in (node.get("status") or {}).get("addresses") or ()
        if entry.get("type") in ("InternalIP", "ExternalIP")
    ]
    return Cluster(
        version,
        Networks(_once(pods), _once(services), _once([*routes, *addresses]), tuple(reserved)),
        registries,
        _uses_pod_security_policies(api, namespace),
    )


def certificates(api: Api, namespace: str) -> dict[str, dict[str, str]]:
    """Return the certificates that are in the cluster: texts by Secret and key."""
    found = {}
    for name in (AUTHORITY, SERVER, CLIENT):
        secret = _get(api, f"/api/v1/namespaces/{namespace}/secrets/{name}")
        if secret is not None:
            found[name] = {
                key: base64.b64decode(text).decode("utf-8", "replace")
                for key, text in (secret.get("data") or {}).items()
            }
    return found


def put_secret(api: Api, secret: Json, check_mode: bool) -> bool:
    """Create a Secret, or give it this data; return if that changed, or would change, anything."""
    meta = secret["metadata"]
    collection = f"/api/v1/namespaces/{meta['namespace']}/secrets"
    there = _get(api, f"{collection}/{meta['name']}")
    if there is None:
        if not check_mode:
            api.post(collection, secret)
        return True
    before = there.get("data") or {}
    if before == secret["data"]:
        return False
    if not check_mode:
        gone = dict.fromkeys(before.keys() - secret["data"].keys())
        api.patch(f"{collection}/{meta['name']}", {"data": {**gone, **secret["data"]}})
    return True


def ensure_namespace(api: Api, manifest: Json, check_mode: bool) -> bool:
    """Create a namespace if it is not there; return if it was not."""
    if _get(api, f"/api/v1/namespaces/{manifest['metadata']['name']}") is not None:
        return False
    if not check_mode:
        api.post("/api/v1/namespaces", manifest)
    return True


def _get(api: Api, path: str) -> Json | None:
    try:
        return api.get(path)
    except Refused as error:
        if error.status == 404:
            return None
        raise


def _kubeadm(api: Api) -> Json:
    """Return the networks that kubeadm was given, {} where it was not kubeadm."""
    try:
        found = api.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config")
        data = yaml.safe_load((found.get("data") or {}).get("ClusterConfiguration") or "") or {}
    except (Refused, yaml.YAMLError):
        return {}
    networking = data.get("networking") if isinstance(data, dict) else None
    return networking if isinstance(networking, dict) else {}


def _pod_cidrs(node: Json) -> list[str]:
    spec = node.get("spec") or {}
    return [str(one) for one in spec.get("podCIDRs") or [spec.get("podCIDR")] if one]


def _pod_addresses(api: Api) -> list[str]:
    """Return the addresses of pods that have their own; some add-ons take them from the site's network, not from podCIDR."""
    return [
        str(pod["status"]["podIP"])
        for pod in api.list_objects("/api/v1/pods")
        if (pod.get("status") or {}).get("podIP") and not (pod.get("spec") or {}).get("hostNetwork")
    ]


def _beyond(ranges: Iterable[str], addresses: Iterable[str]) -> list[str]:
    """Return the /24 of each IPv4 address that is in none of some ranges."""
    known = [ipaddress.ip_network(one, strict=False) for one in ranges]
    found = []
    for text in addresses:
        address = ipaddress.ip_address(text)
        if address.version == 4 and not any(address in one for one in known):
            found.append(str(ipaddress.ip_network(f"{address}/24", strict=False)))
    return found


def _service_ranges(api: Api, kubeadm: list[str]) -> list[str]:
    """Return the ranges that the API server takes Services' addresses from.

    Since 1.33 they are objects; before, no object names them but kubeadm's. The server's own answer to an address outside of
    them does (pkg/registry/core/service/ipallocator: "The range of valid IPs is"). Old ones, 1.20 for one, do not look at the
    address in a dry run; it is refused all the same when asked in earnest, and so nothing is stored.
    """
    listed = _get(api, "/apis/networking.k8s.io/v1/servicecidrs")
    if listed is not None:
        return [str(cidr) for one in listed.get("items") or () for cidr in (one.get("spec") or {}).get("cidrs") or ()]
    return _refused_ranges(api, dryRun="All") or kubeadm or _refused_ranges(api)


def _refused_ranges(api: Api, **query: Any) -> list[str]:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "unshim-service-range"},
        "spec": {"clusterIP": _NO_SERVICE, "ports": [{"port": 1}]},
    }
    try:
        api.post("/api/v1/namespaces/default/services", service, **query)
    except Refused as error:
        return _RANGE.findall(error.said) if "range" in error.said else []
    if not query:  # the cluster's Services are in the network for documentation, of all
        api.delete("/api/v1/namespaces/default/services/unshim-service-range")
    return []


def _uses_pod_security_policies(api: Api, own: str) -> bool:
    """Return whether pods need a PodSecurityPolicy: where the plug-in is on, there is one that is not DIND's."""
    listed = _get(api, "/apis/policy/v1beta1/podsecuritypolicies")
    return any(one["metadata"]["name"] != own for one in (listed or {}).get("items") or ())


def _split(value: Any) -> list[str]:
    return [part.strip() for part in str(value or "").split(",") if part.strip()]


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
