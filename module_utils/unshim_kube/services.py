"""The cluster's own services that a pod must reach: the API server and DNS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import Refused

if TYPE_CHECKING:
    from .client import Api

Json = dict[str, Any]


def _get(api: Api, path: str) -> Json | None:
    try:
        return api.get(path)
    except Refused as error:
        if error.status in (403, 404):
            return None
        raise


def api_service(api: Api) -> tuple[str, int] | None:
    """Return address and port of the service default/kubernetes, None if it cannot be read."""
    service = _get(api, "/api/v1/namespaces/default/services/kubernetes")
    if service is None:
        return None
    return service["spec"]["clusterIP"], int(service["spec"]["ports"][0]["port"])


def api_endpoints(api: Api) -> list[tuple[str, int]]:
    """Return the addresses behind default/kubernetes."""
    return _addresses(_get(api, "/api/v1/namespaces/default/endpoints/kubernetes"))


def has_kube_proxy(api: Api) -> bool:
    """Tell if the cluster runs kube-proxy as pods: then service addresses must work on every node."""
    return bool(api.list_objects("/api/v1/pods", labelSelector="k8s-app=kube-proxy"))


def dns_service(api: Api) -> tuple[str, bool] | None:
    """Return the DNS service as "namespace/name" and if a pod of it is ready; None if the cluster has none."""
    found = api.list_objects("/api/v1/services", labelSelector="k8s-app=kube-dns")
    if not found:
        return None
    meta = found[0]["metadata"]
    return f"{meta['namespace']}/{meta['name']}", bool(
        _addresses(_get(api, f"/api/v1/namespaces/{meta['namespace']}/endpoints/{meta['name']}"))
    )


def _addresses(endpoints: Json | None) -> list[tuple[str, int]]:
    return [
        (address["ip"], int(port["port"]))
        for subset in (endpoints or {}).get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    ]
