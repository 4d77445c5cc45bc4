"""Nodes, the pods bound to them, and the budgets over those pods, as the API has them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from .errors import KubeError, NoSuchNode, Refused
from .followed import Followed, Pulse

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
    raise no_such_node(api, name)


def no_such_node(api: Api, name: str) -> NoSuchNode:
    others = sorted(node["metadata"]["name"] for node in list_nodes(api))
    return NoSuchNode(
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


class NodeAndPods:
    """A node and the pods bound to it as the API has them, kept up to date while the ``with`` block runs.

    Args:
        retry_for: seconds for which an API server that does not answer is asked again, at the beginning.
    """

    def __init__(self, api: Api, name: str, *, retry_for: float) -> None:
        self._api, self._name = api, name
        self._pulse = Pulse()
        self._nodes = Followed(
            api, "/api/v1/nodes", pulse=self._pulse, retry_for=retry_for, fieldSelector=f"metadata.name={name}"
        )
        self._pods = Followed(
            api, "/api/v1/pods", pulse=self._pulse, retry_for=retry_for, fieldSelector=f"spec.nodeName={name}"
        )
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for one in (self._nodes, self._pods):
            self._running.enter_context(one)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def is_current(self) -> bool:
        """Whether the API has answered when it was asked last; else begin anew, with all the patience of a beginning."""
        return self._nodes.is_current and self._pods.is_current

    def node(self) -> Json:
        """Return the node; NoSuchNode if it is gone."""
        for node in self._nodes.objects().values():
            return node
        raise no_such_node(self._api, self._name)

    def pods(self) -> list[Json]:
        return list(self._pods.objects().values())

    def wait(self, seconds: float) -> None:
        """Return when something of it has changed, at the latest after ``seconds``."""
        self._pulse.wait(seconds)
