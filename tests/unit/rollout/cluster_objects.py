"""Nodes and pods as the API has them, for the tests of what a rolling move decides."""

from unshim import drain


def node(name, ready="True", closed=False, note=None, **spec):
    annotations = {drain.NOTE_ANNOTATION: note} if note else {}
    return {
        "metadata": {"name": name, "annotations": annotations, "labels": {"kubernetes.io/hostname": name}},
        "spec": {"unschedulable": closed, **spec},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "reason": "KubeletNotReady" if ready != "True" else ""}],
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
        },
    }


def pod(name, on="w1", owner="ReplicaSet", cpu="0", memory="0", port=None, **more):
    containers = [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]
    if port:
        containers[0]["ports"] = [{"containerPort": 80, "hostPort": port}]
    spec = {"nodeName": on, "containers": containers, **more}
    owners = [{"kind": owner, "name": "web", "controller": True}] if owner else []
    meta = {"namespace": "shop", "name": name, "uid": name, "labels": {"app": "web"}, "ownerReferences": owners}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}
