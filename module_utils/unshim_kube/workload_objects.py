"""Reads from a cluster what the workload scan looks at: templates, pods and settings; never a Secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unshim.workloads.model import Document, Problem

from .errors import Refused

if TYPE_CHECKING:
    from .client import Api

Json = dict[str, Any]
#: Seconds for which a kind that may not be listed is asked again; the server itself has answered by then.
PATIENCE = 4.0

#: By API group: the resources to read. What a cluster does not serve is passed over. The same list, with the verbs get and
#: list, is deploy/workload-scan-rbac.yml.
RESOURCES: dict[str, tuple[str, ...]] = {
    "": ("configmaps", "persistentvolumes", "pods", "podtemplates", "replicationcontrollers"),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "batch": ("cronjobs", "jobs"),
    "node.k8s.io": ("runtimeclasses",),
    # Custom resources that hold pods to be, or what Prometheus evaluates.
    "actions.github.com": ("autoscalingrunnersets",),
    "actions.summerwind.dev": ("runnerdeployments", "runnersets", "runners"),
    "argoproj.io": ("clusterworkflowtemplates", "cronworkflows", "rollouts", "workflowtemplates"),
    "monitoring.coreos.com": ("alertmanagers", "prometheuses", "prometheusrules"),
    "tekton.dev": ("clustertasks", "pipelines", "tasks"),
}


@dataclass(frozen=True)
class _Resource:
    path: str
    kind: str
    api_version: str
    namespaced: bool
    name: str


def read(api: Api, namespaces: Sequence[str] = ()) -> tuple[list[Document], list[Problem]]:
    """Return the objects of a cluster, or of some namespaces and what belongs to none, and what may not be read."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for resource in _served(api, problems):
        for path in _paths(resource, namespaces):
            try:
                objects = api.list_objects(path, retry_for=PATIENCE)
            except Refused as error:
                if error.status == 404:
                    continue
                problems.append(_not_allowed(error, path))
                continue
            documents += [
                Document({**one, "kind": resource.kind, "apiVersion": resource.api_version}) for one in objects
            ]
    return documents, problems


def _served(api: Api, problems: list[Problem]) -> Iterator[_Resource]:
    """Yield the resources to read, each in the version that the cluster prefers of those it serves it in."""
    groups: dict[str, list[str]] = {"": ["/api/v1"]}
    for group in api.get("/apis").get("groups") or ():
        versions = [str(entry["groupVersion"]) for entry in group.get("versions") or ()]
        preferred = str((group.get("preferredVersion") or {}).get("groupVersion") or "")
        ordered = sorted(versions, key=lambda version: version != preferred)
        groups[str(group["name"])] = [f"/apis/{version}" for version in ordered]
    for group_name, wanted in RESOURCES.items():
        left = set(wanted)
        for base in groups.get(group_name, ()):
            if not left:
                break
            try:
                listed = api.get(base, retry_for=PATIENCE).get("resources") or ()
            except Refused as error:
                problems.append(_not_allowed(error, base))
                continue
            for entry in listed:
                if entry["name"] in left and "list" in (entry.get("verbs") or ()):
                    left.discard(entry["name"])
                    version = base.removeprefix("/apis/").removeprefix("/api/")
                    yield _Resource(
                        base, str(entry["kind"]), version, bool(entry.get("namespaced")), str(entry["name"])
                    )


def _paths(resource: _Resource, namespaces: Sequence[str]) -> list[str]:
    if namespaces and resource.namespaced:
        return [f"{resource.path}/namespaces/{namespace}/{resource.name}" for namespace in namespaces]
    return [f"{resource.path}/{resource.name}"]


def _not_allowed(error: Refused, path: str) -> Problem:
    if error.status == 403:
        said = error.said or f"{path} may not be listed"
        return Problem(f"The scan's user may not read {path}: {said}. deploy/workload-scan-rbac.yml has what it needs.")
    return Problem(f"{path} could not be read: {error.message}")
