"""The canary pod: its manifest, the commands run in it and how their output is judged. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .node_gate import Gate

Json = Mapping[str, Any]

LABELS = {"app.kubernetes.io/name": "unshim-canary", "app.kubernetes.io/managed-by": "unshim"}
SELECTOR = ",".join(f"{key}={value}" for key, value in sorted(LABELS.items()))
CONTAINER = "canary"
LIFETIME = 900  # seconds after which the kubelet stops it, should its creator have died
MEMORY_LIMIT = 64 * 1024 * 1024

# Sleeps in the background, so that the shell gets SIGTERM at once although it is process 1. The trap comes first: whoever
# has seen the token may stop it.
SCRIPT = 'trap "kill \\$! 2>/dev/null; exit 0" TERM INT; echo "$UNSHIM_TOKEN"; while :; do sleep 3600 & wait $!; done'

# Each prints its tool first; "none" if the image has none.
CONNECT_SCRIPT = """
if command -v nc >/dev/null 2>&1; then echo nc; nc -w 4 "$0" "$1" </dev/null >/dev/null 2>&1 && echo connected
elif command -v bash >/dev/null 2>&1; then echo bash; bash -c "exec 3<>/dev/tcp/$0/$1" 2>/dev/null && echo connected
elif command -v curl >/dev/null 2>&1; then echo curl; curl -sk -m 4 -o /dev/null "https://$0:$1/" && echo connected
else echo none; fi; true
"""
RESOLVE_SCRIPT = """
if command -v nslookup >/dev/null 2>&1; then echo nslookup; nslookup "$0" 2>&1 && echo resolved
elif command -v getent >/dev/null 2>&1; then echo getent; getent hosts "$0" && echo resolved
else echo none; fi; true
"""
MEMORY_SCRIPT = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max 2>/dev/null || echo unseen"


def manifest(
    name: str,
    namespace: str,
    node: str,
    image: str,
    token: str,
    *,
    has_shell: bool,
    command: Iterable[str] = (),
    pull_policy: str = "IfNotPresent",
) -> dict[str, Any]:
    """Return the pod. It is bound by ``nodeName``, so a cordoned node takes it; it may nothing that a pod can do without.

    Args:
        token: printed to its log where the image has a shell.
        command: instead of the built-in script; must print ``$UNSHIM_TOKEN`` and keep running.
    """
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": pull_policy,
        "env": [{"name": "UNSHIM_TOKEN", "value": token}],
        "resources": {
            "requests": {"cpu": "1m", "memory": "8Mi"},
            "limits": {"cpu": "500m", "memory": f"{MEMORY_LIMIT // 1024 // 1024}Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
        },
    }
    if has_shell:
        container["command"] = list(command) or ["/bin/sh", "-c", SCRIPT]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }


def hopeless(pod: Json) -> str:
    """Return why the pod will never run, "" if it may yet."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded"):
        state = _state(pod)
        ended = state.get("terminated") or {}
        said = ": ".join(
            part
            for part in (status.get("reason") or ended.get("reason"), status.get("message") or ended.get("message"))
            if part
        )
        code = f" (exit code {ended['exitCode']})" if "exitCode" in ended else ""
        return f"it ended at once{code}" + (f": {said}" if said else "")
    waiting = _state(pod).get("waiting") or {}
    if waiting.get("reason") in (
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImagePullBackOff",
        "CreateContainerConfigError",
    ):
        return f"{waiting['reason']}: {waiting.get('message', '')}"
    return ""


def waiting_for(pod: Json) -> str:
    """Return what keeps the pod from running, in the kubelet's words."""
    waiting = _state(pod).get("waiting") or {}
    said = ": ".join(part for part in (waiting.get("reason"), waiting.get("message")) if part)
    return (
        said or f"phase {(pod.get('status') or {}).get('phase', 'unknown')}; the kubelet has not reported a container"
    )


def is_running(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running" and "running" in _state(pod)


def container_id(pod: Json) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return statuses[0].get("containerID", "") if statuses else ""


def runtime_gate(identity: str, runtime: str) -> Gate:
    if not identity:
        return Gate("runtime", False, "the pod shows no container ID")
    shown = identity.partition("://")[0] + "://" + identity.partition("://")[2][:12]
    if identity.startswith(runtime + "://"):
        return Gate("runtime", True, shown)
    return Gate("runtime", False, f"its container is {shown}, not one of {runtime}")


def limit_gate(output: str) -> Gate:
    """Judge the memory limit that the container's own cgroup shows."""
    text = output.strip()
    if not re.fullmatch(r"[0-9]{1,20}", text):
        return Gate(
            "limits",
            None if text in ("", "unseen") else False,
            f"memory limit {text or 'unseen'} in the container's cgroup",
        )
    return Gate("limits", int(text) == MEMORY_LIMIT, f"memory limit {text} bytes in force, {MEMORY_LIMIT} asked for")


def tool_answer(output: str) -> tuple[str, str]:
    """Split what CONNECT_SCRIPT or RESOLVE_SCRIPT printed into the tool ("" for none) and the rest."""
    tool, _, rest = output.strip().partition("\n")
    return ("" if tool in ("none", "") else tool), rest.strip()


def service_name(resolv_conf: str) -> str:
    """Return the full name of the API server's service in the domain that a pod's /etc/resolv.conf searches.

    Full, with its last dot, since not every image's nslookup tries the search list.
    """
    for line in resolv_conf.splitlines():
        keyword, *domains = line.split() or [""]
        for domain in domains if keyword == "search" else ():
            if domain.startswith("svc."):
                return f"kubernetes.default.{domain.rstrip('.')}."
    return "kubernetes.default.svc.cluster.local."


def _state(pod: Json) -> Json:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return (statuses[0].get("state") or {}) if statuses else {}


def why_not_deleted(pod: Json, seconds: float) -> str:
    """Return why a pod is still there ``seconds`` after its deletion was asked for, and what to do."""
    name = f"{pod['metadata'].get('namespace', 'default')}/{pod['metadata']['name']}"
    finalizers = pod["metadata"].get("finalizers") or []
    running = [
        status["name"]
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
        if "running" in (status.get("state") or {})
    ]
    told = f"{name} is still terminating after {seconds:.0f} s: "
    if finalizers:
        held = f"finalizer{'s' if len(finalizers) > 1 else ''} {', '.join(finalizers)}"
        return (
            f"{told}{held} of another program hold{'' if len(finalizers) > 1 else 's'} it, and the node's pods most likely, too. See to that "
            "program, or exempt the canary's namespace from it (unshim_canary_namespace)"
        )
    if running:
        return f"{told}the runtime does not stop its container {', '.join(running)}"
    return f"{told}its containers have ended, and the kubelet does not finish it; see its log (journalctl -u kubelet)"
