"""The part of a plan that names who will miss Docker: whoever calls it from the node itself, outside of Kubernetes."""

from __future__ import annotations

from collections.abc import Sequence

from . import docker_callers
from .plan_draft import Draft

MOST_NAMED = 10
_REMEDY = (
    "Change them before the move: crictl lists, shows and removes (crictl ps, logs, rmi --prune), ctr -n k8s.io saves and loads; or take "
    "them off the node."
)


def note_docker_callers(draft: Draft) -> None:
    """Warn of what calls Docker on a node where it is to be stopped, or was."""
    facts = draft.facts
    if (
        draft.source == "containerd"
        and draft.unit("docker.service").active_state == "active"
        and draft.state == "docker"
    ):
        return  # beside Kubernetes, and left alone
    found = docker_callers.calls(facts)
    used = [call.place for call in found if call.is_used]
    if used:
        draft.warn(
            "docker-caller", f"cron or systemd runs what uses Docker, and fails without it: {_named(used)}", _REMEDY
        )
    idle = [call.place for call in found if not call.is_used]
    if idle:
        draft.note("docker-caller-idle", f"services that are not in use would use Docker: {_named(idle)}")
    clients = docker_callers.clients(facts)
    if clients:
        draft.warn(
            "docker-client",
            f"connected to Docker's socket when the node was looked at: {_named(clients)}",
            "Find out what for: it loses Docker at the switch, and sees no pod there any more. What reads containers can ask containerd's CRI.",
        )
    if facts.docker_group and draft.source != "containerd":
        draft.note(
            "docker-group",
            f"users in the group docker, who may have used it by hand: {_named(facts.docker_group)}",
            "Tell them; crictl and nerdctl take root.",
        )


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
