"""Nodes, the pods bound to them, and the budgets over those pods, as the API has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import KubeError, NoSuchNode, Refused

if TYPE_CHECKING:
    from .client import Api

Json = dict[str, Any]


def get_node(api: Api, name: str, *, retry_for: float | None = None) -> Json:
    """Return the node; if there is none, the error lists those there are."""
    try:
        return api.get(f"/api/v1/nodes/{name}", retry_for=retry_for)
    except Refused as error:
        if error.status != 404:
            raise
    others = sorted(node["metadata"]["name"] for node in list_nodes(api))
    raise NoSuchNode(
        f"There is no node named {name} in the cluster at {api.server}; its nodes are: {', '.join(others) or 'none'}. "
        "Set unshim_node_name for this host, or unshim_kubeconfig if this is another cluster. A node that was deleted from the "
        "API comes back when its kubelet is started anew (systemctl restart kubelet)."
    )


def list_nodes(api: Api) -> list[Json]:
    return api.list_objects("/api/v1/nodes")


def pods_on(api: Api, node: str, *, retry_for: float | None = None) -> list[Json]:
    """Return the pods bound to ``node``, of every namespace."""
    return api.list_objects("/api/v1/pods", fieldSelector=f"spec.nodeName={node}", retry_for=retry_for)


def patch_node(api: Api, name: str, patch: Json, resource_version: str = "") -> Json:
    """Patch the node; with ``resource_version``, only if nobody changed it since (else Refused, status 409)."""
    if resource_version:
        patch = dict(patch, metadata=dict(patch.get("metadata") or {}, resourceVersion=resource_version))
    return api.patch(f"/api/v1/nodes/{name}", patch)


def budget_version(api: Api) -> str:
    """Return the group version the server has PodDisruptionBudgets in: "policy/v1", "policy/v1beta1", "" if none."""
    groups = api.get("/apis").get("groups") or []
    served = {
        version["groupVersion"]
        for group in groups
        if group.get("name") == "policy"
        for version in group.get("versions") or ()
    }
    for version in ("policy/v1", "policy/v1beta1"):  # policy/v1 exists from 1.21, v1beta1 until 1.24
        if version in served:
            resources = api.get(f"/apis/{version}").get("resources") or []
            if any(resource.get("name") == "poddisruptionbudgets" for resource in resources):
                return version
    return ""


def list_budgets(api: Api, version: str) -> list[Json]:
    return api.list_objects(f"/apis/{version}/poddisruptionbudgets") if version else []


def eviction_version(api: Api) -> str:
    """Return the group version of the Eviction the server takes, as its list of resources says."""
    for resource in api.get("/api/v1").get("resources") or []:
        if resource.get("name") == "pods/eviction" and resource.get("kind") == "Eviction":
            return f"{resource.get('group') or 'policy'}/{resource.get('version') or 'v1beta1'}"
    raise KubeError(
        f"The Kubernetes API server at {api.server} cannot evict pods (it has no pods/eviction), so a drain is not possible."
    )
