"""The part of a plan that concerns Docker: its settings, the containers that are not Kubernetes', its units."""

from __future__ import annotations

import re

from . import docker_settings, registries
from .plan_draft import Draft
from .plan_images import is_kubernetes

DOCKER_UNITS = ("docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service")


def read_daemon_json(draft: Draft) -> None:
    """Read daemon.json into the draft; a malformed one blocks."""
    text = draft.text(registries.DAEMON_JSON)
    if text is None:
        return
    try:
        draft.daemon_json = docker_settings.parse_daemon_json(text)
    except docker_settings.DaemonJsonError as error:
        place = f":{error.line}:{error.column}" if error.line else ""
        if draft.source != "containerd":
            draft.block(
                "daemon-json-malformed",
                f"{registries.DAEMON_JSON}{place}: {error.message}",
                "Correct the file; `dockerd --validate` checks it.",
            )


def check_docker(draft: Draft) -> None:
    """Block where Docker should answer and does not."""
    docker = draft.facts.docker
    if docker.answers or draft.docker_was_stopped_by_us:
        return
    if draft.facts.uid != 0 and draft.unit("docker.service").active_state == "active":
        return  # it runs, but this user may not ask it: not-root says so
    if not docker.installed:
        draft.block(
            "no-docker",
            f"the kubelet is set to run on Docker ({draft.source}), but Docker is not installed",
            "Reinstall Docker, or take the node out of the group kube_node.",
        )
    else:
        draft.block(
            "docker-not-running",
            "Docker does not answer, so its containers and images cannot be seen",
            "Start docker.service and plan again.",
        )


def note_docker_settings_elsewhere(draft: Draft) -> None:
    """Warn of what Docker is told outside daemon.json. Values are not shown: a proxy's address may hold a password."""
    for name in ("docker.service", "docker.socket"):
        unit = draft.unit(name)
        for path in (unit.fragment_path, *unit.drop_in_paths, "/etc/default/docker", "/etc/sysconfig/docker"):
            for number, line in enumerate((draft.file(path).content or "").splitlines(), 1):
                if line.lstrip().startswith(("#", ";")):
                    continue
                for found in re.findall(r"--(?:insecure-registry|registry-mirror|default-ulimit)\b", line):
                    draft.warn(
                        "docker-flags",
                        f"{path}:{number} gives dockerd {found}, which is not carried over",
                        "Move it to daemon.json, or write containerd's own setting.",
                    )
                if re.search(r"(?i)\b(?:https?|no)_proxy=", line):
                    draft.warn(
                        "docker-proxy",
                        f"{path}:{number} gives Docker a proxy, which is not carried over: pulls would go without it",
                        "Give containerd.service a drop-in with the same variables.",
                    )


def plan_foreign_containers(draft: Draft) -> None:
    """Block on running containers that are not Kubernetes', unless the user lets them be stopped."""
    foreign = [container for container in draft.facts.docker.containers if not is_kubernetes(container)]
    allowed = {name.lstrip("/") for name in draft.settings.stop_foreign_containers}
    running = sorted((c.name.lstrip("/") or c.id[:12]) for c in foreign if c.running)
    draft.stop_containers = [name for name in running if name in allowed]
    others = [name for name in running if name not in allowed]
    if others:
        draft.block(
            "foreign-container",
            f"Docker runs containers that are not Kubernetes', which stop with it: {', '.join(others)}",
            "Move them elsewhere, or name them in unshim_stop_foreign_containers.",
        )
    stopped = len(foreign) - len(running)
    if stopped:
        draft.note(
            "foreign-container-stopped",
            f"{stopped} stopped container{'s' * (stopped != 1)} that {'is' if stopped == 1 else 'are'} not Kubernetes' stay{'s' * (stopped == 1)} in Docker's store until commit",
        )


def plan_docker_units(draft: Draft) -> None:
    """Plan that Docker is stopped and stays so, in a way that can be taken back."""
    for name in DOCKER_UNITS:
        unit = draft.unit(name)
        masked = unit.load_state == "masked" or unit.unit_file_state == "masked"
        if unit.load_state == "not-found":
            continue
        if unit.active_state not in ("inactive", "failed"):
            draft.change_unit(
                unit,
                "switch",
                "stop",
                f"inactive, {unit.unit_file_state or 'not enabled'}",
                "Kubernetes no longer uses it",
            )
        if not masked:
            draft.change_unit(
                unit, "switch", "mask", "inactive, masked", "nothing may start it again before commit or rollback"
            )
