"""The part of a plan that concerns Docker: its settings, the containers that are not Kubernetes', its units."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from . import carry_over, docker_settings, kubelet_command_line, registries, unit_environment
from .kubelet_flags import FlagError
from .plan_draft import Draft
from .plan_images import is_kubernetes

# Not in question, whatever the settings say: loopback is always insecure to Docker, and Docker Hub never: moby
# registry/config.go, loadInsecureRegistries.
ALWAYS = {"127.0.0.0/8", "::1/128", *registries.HUB_NAMES}
QUOTA = re.compile(
    r"(overlay2\.|zfs\.|btrfs\.|dm\.base)?size="
)  # docs.docker.com/reference/cli/dockerd, storage driver options
# cri-dockerd's own unit is cri-docker.service; kubespray's is called cri-dockerd.service
# (roles/container-engine/cri-dockerd/templates).
DOCKER_UNITS = (
    "docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service", "cri-dockerd.socket", "cri-dockerd.service",
)  # fmt: skip


def read_docker_settings(draft: Draft) -> None:
    """Read what dockerd runs with into the draft: daemon.json and its flags. What cannot be trusted blocks.

    The running process is the truth; where Docker was stopped for the move, its files say what it ran with.
    """
    moved = draft.source == "containerd"
    in_files, flags_fault = _flags_in_files(draft)
    running = draft.facts.docker.command_line
    argv = running or in_files
    path = docker_settings.config_file(argv)
    file = _read_file(draft, path)
    effective = docker_settings.merge(file, path, docker_settings.from_flags(argv))
    draft.daemon_json, draft.docker_origins = effective.values, effective.origins
    if moved:
        return
    if flags_fault and not running and not draft.docker_was_stopped_by_us:  # else they were read while it ran
        draft.block("docker-flags-unparsable", flags_fault, "Correct the file.")
    for key in effective.both:
        draft.block(
            "docker-setting-twice",
            f"{effective.origins[key]} and dockerd's flags both give {key}, with which dockerd does not start again",
            "Keep one of them, restart Docker, and plan again.",
        )
    for key, lost, counts in file.twice:
        draft.warn(
            "daemon-json-key-twice",
            f"{path}:{counts} gives {key} again after line {lost}; Docker takes the later one, and so does this plan",
            "Keep one of them.",
        )
    for key, line in file.lines.items():
        if key not in carry_over.BY_KEY and key.lower() in carry_over.BY_KEY:
            draft.block(
                "daemon-json-key",
                f"{path}:{line}: {key!r} is spelt {key.lower()!r}; dockerd does not start with this file",
                "Correct the file, restart Docker, and plan again.",
            )
    _compare_with_running(draft, path)
    if running and in_files:
        _compare_flags(draft, docker_settings.from_flags(in_files), docker_settings.from_flags(running))


def _read_file(draft: Draft, path: str) -> docker_settings.DaemonJson:
    """Return daemon.json; one that cannot be read blocks a node that is still on Docker."""
    empty = docker_settings.DaemonJson({}, {})
    if draft.source == "containerd" and draft.file(path).content is None:
        return empty
    try:
        return docker_settings.read_daemon_json(draft.text(path) or "")
    except docker_settings.DaemonJsonError as error:
        place = f":{error.line}:{error.column}" if error.line else ""
        if draft.source != "containerd":
            draft.block(
                "daemon-json-malformed",
                f"{path}{place}: {error.message}",
                "Correct the file; `dockerd --validate` checks it.",
            )
        return empty


def _flags_in_files(draft: Draft) -> tuple[tuple[str, ...], str]:
    """Return the command line that docker.service's files give dockerd, () if there is none, and why it is not known."""
    unit = unit_environment.unmasked(draft.unit("docker.service"), draft.facts.files)
    if unit.fragment_path not in draft.facts.files:
        return (), ""
    try:
        known = kubelet_command_line.specifiers(draft.facts)
        return kubelet_command_line.resolve(unit, draft.facts.files, known).argv, ""
    except FlagError as error:
        return (), str(error)


def _compare_with_running(draft: Draft, path: str) -> None:
    """Block where dockerd says it has other registries than its settings say: they were edited since.

    What a node would lose otherwise depends on which of both was meant.
    """
    docker, settings = draft.facts.docker, draft.daemon_json
    if not docker.answers:
        return
    has: dict[str, set[str]] = {}
    if docker.registry_mirrors is not None:
        has["registry-mirrors"] = {_as_compared("registry-mirrors", entry) for entry in docker.registry_mirrors}
    if docker.insecure_registries is not None:
        has["insecure-registries"] = {_as_compared("insecure-registries", e) for e in docker.insecure_registries}
    for key, running in has.items():
        value = settings.get(key) or []
        said = {_as_compared(key, entry) for entry in (value if isinstance(value, list) else [value])}
        said, running = said - ALWAYS, running - ALWAYS
        if said != running:
            where = draft.docker_origins.get(key, path)
            draft.block(
                "docker-settings-differ",
                f"{key} of the running dockerd is {carry_over.shown(key, sorted(running))}, but its settings say"
                f" {carry_over.shown(key, sorted(said))} ({where})",
                "Run `systemctl reload docker`, or take the change back, and plan again.",
            )


def _as_compared(key: str, entry: Any) -> str:
    """Return an entry in one of the forms that mean the same: dockerd shows some as they were written, some as it reads them."""
    text = str(entry).strip()
    if key == "registry-mirrors":
        return text.rstrip("/")
    if key == "insecure-registries":
        text = re.sub(r"^https?://", "", text.lower()).rstrip("/")
        try:
            return str(ipaddress.ip_network(text, strict=False)) if "/" in text else text
        except ValueError:
            return text
    return text


def _compare_flags(draft: Draft, files: dict[str, Any], running: dict[str, Any]) -> None:
    """Tell where the next start of dockerd would change a setting that matters to pods."""
    unit = draft.unit("docker.service").fragment_path
    for key in sorted(files.keys() | running.keys()):
        row = carry_over.BY_KEY.get(key)
        if files.get(key) == running.get(key) or row is None or row.how == "not-carried":
            continue
        if key not in files:
            draft.warn(
                "docker-flags-differ",
                f"the running dockerd has {key} = {carry_over.shown(key, running[key])}, which {unit} and its files no longer"
                " give it; what runs is carried over",
                "Restart Docker first if it should not be.",
            )
            continue
        has = f"has {carry_over.shown(key, running[key])}" if key in running else "does not have it"
        draft.block(
            "docker-flags-differ",
            f"{unit} and its files give dockerd {key} = {carry_over.shown(key, files[key])}, but the running dockerd {has}",
            "Restart Docker, or take the change back, and plan again.",
        )


def judge_docker_settings(draft: Draft) -> None:
    """Put every setting of dockerd's that is not carried over where the operator sees it, with its reason."""
    for key, value in draft.daemon_json.items():
        row = carry_over.BY_KEY.get(key)
        if row is None or row.how not in ("warns", "blocks") or value in row.harmless:
            continue
        message = f"{draft.docker_origins[key]}: {key} = {carry_over.shown(key, value)}: {row.reason}"
        if row.how == "blocks":
            draft.block(f"docker-{key}", message, row.remedy)
        else:
            draft.warn(f"docker-{key}", message, row.remedy)
    _warn_of_quotas(draft, "storage-opts")
    draft.not_carried += carry_over.not_carried(draft.daemon_json, draft.docker_origins)


def check_docker(draft: Draft) -> None:
    """Block where Docker should answer and does not."""
    docker = draft.facts.docker
    unit = draft.unit("docker.service")
    if draft.facts.units and (docker.answers or docker.command_line) and unit.active_state in ("inactive", "failed"):
        # Its containers would go on beside those of containerd.
        started = f" ({docker.command_line[0]})" if docker.command_line else ""
        draft.block(
            "docker-not-a-unit",
            f"dockerd runs{started}, but docker.service is {unit.load_state} and {unit.active_state}: what started it is not "
            "known, so unshim could not stop it at the switch",
            "Run Docker as the systemd unit docker.service (a snap's has another name), and plan again.",
        )
        return
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
    elif not docker.has_client:
        package = "docker-ce-cli" if draft.has_package("docker-ce") else "docker-cli"
        draft.block(
            "docker-client-missing",
            "Docker runs, but the command docker is not on this node, so its containers and images cannot be seen",
            f"Install the package {package} on this node, and plan again.",
        )
    else:
        draft.block(
            "docker-not-running",
            "Docker does not answer, so its containers and images cannot be seen",
            "Start docker.service and plan again.",
        )


def _warn_of_quotas(draft: Draft, key: str) -> None:
    options = draft.daemon_json.get(key)
    if not isinstance(options, list):
        return
    quotas = [option for option in options if QUOTA.match(str(option))]
    if quotas:
        draft.warn(
            "docker-storage-quota",
            f"{draft.docker_origins[key]}: {key} = {carry_over.shown(key, quotas)}: it limited what each container may write to"
            " its own file system; containerd has no such limit",
            "Give pods a limit of ephemeral-storage.",
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
