"""The probe pods: one with the pod's own network, one with the node's, one that only pulls images."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

LABELS = {"app.kubernetes.io/name": "unshim-compat", "app.kubernetes.io/managed-by": "unshim"}
SELECTOR = ",".join(f"{key}={value}" for key, value in sorted(LABELS.items()))
LIFETIME = 900  # seconds after which the kubelet stops them, should their creator have died
GRACE = 30  # seconds: far more than a container takes that gets its SIGTERM
PORT = 8099
LONG_LINE = 20_000  # characters; containerd and Docker cut lines at 16 KiB
EXIT_CODE = 7
LAST_WORDS = "said before the end"
HOST_ALIAS = ("192.0.2.7", "compat.unshim.invalid")  # RFC 5737, RFC 6761: nobody's
PORT_RANGE = "20000 30000"
USER = 65534
MEMORY_LIMIT = "16Mi"

RUNNING = ("plain", "user", "slow")
ENDING = ("ends", "console", "greedy")

# The trap comes first: whoever has seen a line may stop it.
PLAIN = f"""
trap 'exit 0' TERM
head -c {LONG_LINE} /dev/zero | tr '\\0' x; echo
echo "$UNSHIM_COMPAT_TOKEN on stdout"; echo "$UNSHIM_COMPAT_TOKEN on stderr" >&2
(while :; do echo "$UNSHIM_COMPAT_TOKEN" | nc -l -p {PORT} >/dev/null || sleep 1; done) 2>/dev/null &
while :; do sleep 3600 & wait $!; done
"""
SLEEP = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"
# Asked of the host's container; prints its tool first.
ASK = 'if command -v nc >/dev/null; then echo nc; nc -w 4 "$0" "$1" </dev/null; else echo none; fi'


def free_port(pods: Iterable[Json]) -> int:
    """Return a port of the node that no container of these pods has as its hostPort."""
    taken = {
        port.get("hostPort")
        for pod in pods
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
    }
    return random.choice([port for port in range(20_100, 29_900) if port not in taken])


def probe_pod(name: str, namespace: str, node: str, image: str, token: str, host_port: int) -> dict[str, Any]:
    """Return the pod whose containers are looked at.

    ``plain`` has no settings of its own, so it shows the runtime's defaults; ``user`` asks for what a careful manifest
    does; ``slow`` has a probe that takes longer than it may; the others end, each in its way.
    """
    pod = _pod(name, namespace, node)
    shared = {
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "UNSHIM_COMPAT_TOKEN", "value": token},
            {"name": "UNSHIM_COMPAT_VALUE", "value": "made of $(UNSHIM_COMPAT_TOKEN)"},
        ],
    }
    mounts = [
        {"name": "data", "mountPath": "/data"},
        {"name": "data", "mountPath": "/below", "subPath": "below"},
        {"name": "data", "mountPath": "/read-only", "readOnly": True},
        {"name": "data", "mountPath": "/received", "mountPropagation": "HostToContainer"},
    ]
    pod["spec"].update(
        {
            "volumes": [{"name": "data", "emptyDir": {}}],
            "hostAliases": [{"ip": HOST_ALIAS[0], "hostnames": [HOST_ALIAS[1]]}],
            "dnsConfig": {"options": [{"name": "ndots", "value": "3"}]},
            "securityContext": {"sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": PORT_RANGE}]},
            "initContainers": [
                {
                    **shared,
                    **_shell("first", 'echo "$UNSHIM_COMPAT_VALUE" >/data/from-init'),
                    "volumeMounts": mounts[:1],
                }
            ],
            "containers": [
                {
                    **shared,
                    **_shell("plain", PLAIN),
                    "ports": [{"containerPort": PORT, "hostPort": host_port}],
                    "volumeMounts": mounts,
                },
                {
                    **shared,
                    **_shell("user", SLEEP),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                        "runAsNonRoot": True,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                },
                {
                    **shared,
                    **_shell("slow", SLEEP),
                    "readinessProbe": {
                        "exec": {"command": ["/bin/sh", "-c", "sleep 3"]},
                        "timeoutSeconds": 1,
                        "periodSeconds": 4,
                    },
                },
                {**shared, **_shell("ends", f"echo '{LAST_WORDS}' >/dev/termination-log; exit {EXIT_CODE}")},
                {
                    **shared,
                    **_shell("console", "[ -t 0 ] && echo in; [ -t 1 ] && echo out; echo TERM=$TERM"),
                    "stdin": True,
                    "tty": True,
                },
                {
                    **shared,
                    **_shell("greedy", "exec tail /dev/zero"),
                    "resources": {"limits": {"memory": MEMORY_LIMIT}, "requests": {"memory": MEMORY_LIMIT}},
                },
            ],
        }
    )
    return pod


def host_pod(name: str, namespace: str, node: str, image: str) -> dict[str, Any]:
    """Return a pod in the node's network, from where the other's ports are asked."""
    pod = _pod(name, namespace, node)
    pod["spec"]["hostNetwork"] = True
    pod["spec"]["containers"] = [{"image": image, "imagePullPolicy": "IfNotPresent", **_shell("host", SLEEP)}]
    return pod


def pull_pod(name: str, namespace: str, node: str, images: Sequence[str]) -> dict[str, Any]:
    """Return a pod whose images the kubelet must ask for, whether it has them or not; what they do does not matter."""
    pod = _pod(name, namespace, node)
    pod["spec"]["terminationGracePeriodSeconds"] = 1
    pod["spec"]["containers"] = [
        {"name": f"image-{number}", "image": image, "imagePullPolicy": "Always"} for number, image in enumerate(images)
    ]
    return pod


def _pod(name: str, namespace: str, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": GRACE,
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
        },
    }


def _shell(name: str, script: str) -> dict[str, Any]:
    return {"name": name, "command": ["/bin/sh", "-c", script]}


def states(pod: Json) -> dict[str, Json]:
    """Return {container: its status} of a pod, init containers included."""
    status = pod.get("status") or {}
    return {
        one["name"]: one for kind in ("initContainerStatuses", "containerStatuses") for one in status.get(kind) or ()
    }


def exit_codes(pod: Json) -> list[str]:
    """Return "container=exit code" of the containers that ran until the pod was deleted, as far as its status says."""
    ended = ((name, (one.get("state") or {}).get("terminated")) for name, one in states(pod).items() if name in RUNNING)
    return [f"{name}={state.get('exitCode')}" for name, state in sorted(ended, key=lambda one: one[0]) if state]


def is_settled(pod: Json) -> bool:
    """Tell if every container of the probe pod runs that shall run, and every other has ended."""
    seen = states(pod)
    return all("running" in (seen.get(name, {}).get("state") or {}) for name in RUNNING) and all(
        "terminated" in (seen.get(name, {}).get("state") or {}) for name in ENDING
    )


def hopeless(pod: Json) -> str:
    """Return why the pod will never be settled, "" if it may yet."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded"):
        said = ": ".join(part for part in (status.get("reason"), status.get("message")) if part)
        return f"its pod ended at once ({said or status['phase']})"
    for name, one in states(pod).items():
        state = one.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("reason") in (
            "ErrImageNeverPull",
            "InvalidImageName",
            "ImagePullBackOff",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
        ):
            return f"container {name}: {waiting['reason']}: {waiting.get('message', '')}"
        if name in RUNNING and "terminated" in state:
            ended = state["terminated"]
            return f"container {name} ended at once (exit code {ended.get('exitCode')}): {ended.get('message') or ended.get('reason')}"
    return ""


def pulled(pod: Json) -> dict[str, str]:
    """Return {container: "" as long as it is not known, "pulled", or why not} of the pull pod."""
    found = {}
    for name, one in states(pod).items():
        waiting = (one.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
            found[name] = f"{reason}: {waiting.get('message', '')}"
        elif reason in ("", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"):
            found[name] = "pulled" if one.get("state") else ""
        else:
            found[name] = ""
    return found


def digest_of(image_id: str) -> str:
    """Return "repository@sha256:..." of a status' imageID, "" where it names no repository."""
    reference = image_id.removeprefix("docker-pullable://")
    return reference if "@sha256:" in reference and not reference.startswith("docker://") else ""
