"""The part of a plan that concerns the kubelet: how it runs now, on what, and its files after the switch."""

from __future__ import annotations

import re

from . import compat, kubelet_configuration, registries, unit_environment
from .kubelet_command_line import (
    SECRET,
    CommandLine,
    difference,
    flag_value,
    flags,
    resolve,
    specifiers,
)
from .kubelet_flags import FlagError
from .kubelet_switch import switch_runtime
from .plan_draft import Draft, same_endpoint
from .plan_log_rotation import rotation_to_set
from .plan_model import NotCarried


def read_kubelet(draft: Draft) -> CommandLine | None:
    """Read how the kubelet runs and how its files say it should; returns the latter, None if that cannot be told."""
    facts = draft.facts
    kubelet, unit = facts.kubelet, draft.unit("kubelet.service")
    draft.kubelet_version = kubelet.version
    if not kubelet.installed and not kubelet.pid and unit.load_state == "not-found":
        draft.block(
            "no-kubelet",
            "there is no kubelet on this node",
            "Use provision.yml for a node without Kubernetes, or take it out of the group kube_node.",
        )
        return None
    draft.argv = tuple(kubelet.command_line)
    line = None
    if unit.load_state in ("not-found", "masked") or not unit.fragment_path:
        draft.block(
            "kubelet-not-a-unit",
            f"kubelet.service is {unit.load_state}: unshim cannot tell how the kubelet is started",
            "Run the kubelet as the systemd unit kubelet.service.",
        )
    else:
        try:
            line = resolve(unit, facts.files, specifiers(facts))
        except FlagError as error:
            draft.block(
                "kubelet-flags-unparsable",
                f"the kubelet's flags cannot be read: {error}",
                "Correct that line; `systemctl cat kubelet` shows what systemd makes of the unit.",
            )
    if line is not None:
        _check_files(draft, line)
    if not draft.argv:
        if not draft.docker_was_stopped_by_us:
            draft.block(
                "kubelet-not-running",
                "the kubelet does not run, so nothing proves what it runs with",
                "Start it, wait until the node is Ready, and plan again.",
            )
        if line is not None:
            draft.argv = line.argv
    elif line is not None and _files_are_untouched(draft):
        differs = difference(line.argv, draft.argv)
        if differs:
            where = ", ".join(
                dict.fromkeys(
                    path
                    for path in (unit.fragment_path, *unit.drop_in_paths, *line.environment_files)
                    if draft.file(path).kind != "missing"
                )
            )
            draft.block(
                "files-and-process-disagree",
                f"the kubelet was not restarted since its files changed, or runs differently: {differs} (files: {where})",
                "Restart the kubelet or take the change back, so that what is moved is what runs.",
            )
    _read_kubelet_config(draft)
    if not compat.kubelet_cri_api(kubelet.version):
        draft.block(
            "kubelet-version-unknown",
            f"the kubelet calls its version {kubelet.version!r}, which unshim does not know",
            "Kubelets from 1.16 on are known.",
        )
    return line


def _files_are_untouched(draft: Draft) -> bool:
    """Return whether no switch has begun to change the kubelet's files, so that they must say what it runs with."""
    if draft.state == "drained":  # while the pods left, somebody may have edited them
        remembered = draft.journal.get("files") or {}
        return not any(isinstance(one, dict) and one.get("role") == "kubelet" for one in remembered.values())
    return draft.state in ("docker", "prepared")


def _check_files(draft: Draft, line: CommandLine) -> None:
    """Say what is odd about the files that make the kubelet's command line."""
    unit = draft.unit("kubelet.service")
    for path in line.missing:
        draft.warn("kubelet-file-not-seen", f"{path} is part of the kubelet's unit and is not there")
    for path in dict.fromkeys(line.environment_files):
        if (draft.file(path).content or "").startswith("\ufeff"):
            draft.warn(
                "byte-order-mark",
                f"{path} begins with a byte order mark, so systemd takes its first line for nothing",
                "Take the mark out, and look at what the kubelet then starts with.",
            )
    for path in (unit.fragment_path, *unit.drop_in_paths):
        needed = REQUIRES_DOCKER.search(draft.file(path).content or "")
        if needed and draft.state in ("docker", "prepared"):
            draft.block(
                "kubelet-requires-docker",
                f"{path} makes the kubelet depend on {needed[2]} ({needed[0].strip()}): with Docker stopped it would not start",
                "Take that out (After= may stay), systemctl daemon-reload, and plan again; a drop-in cannot undo it.",
            )
    if unit.need_daemon_reload and draft.state in ("docker", "prepared"):
        draft.block(
            "kubelet-needs-daemon-reload",
            "kubelet.service or its drop-ins changed and systemd has not read them again: the move would bring that change in",
            "Run systemctl daemon-reload, restart the kubelet, and plan again.",
        )


def _read_kubelet_config(draft: Draft) -> None:
    path = flag_value(draft.argv, "config")
    draft.kubelet_config_path = path or ""
    directory = (flag_value(draft.argv, "config-dir") or "").rstrip("/")
    drop_ins = sorted(
        name
        for name, file in draft.facts.files.items()
        if directory and name.startswith(f"{directory}/") and name.endswith(".conf") and file.kind != "missing"
    )
    if path and path not in draft.facts.files:
        draft.warn(
            "kubelet-config-not-seen",
            f"the kubelet's configuration {path} was not looked at, so its cgroupDriver is not known",
        )
    found = []
    for name in [*([path] if path else []), *drop_ins]:
        text = draft.text(name)
        if text is None:
            continue
        try:
            found.append(kubelet_configuration.parse(text))
        except kubelet_configuration.YamlError as error:
            draft.block("kubelet-config-unparsable", f"{name} is not valid: {error.args[0]}", f"Correct {name}.")
        else:
            draft.kubelet_config_paths += (name,)
    draft.kubelet_config = kubelet_configuration.merged(found)
    if flag_value(draft.argv, "dynamic-config-dir"):
        draft.warn(
            "kubelet-config-in-the-api",
            "the kubelet has --dynamic-config-dir: what the API gives it wins over its files, and unshim does not look at that",
            "Compare the node's spec.configSource, and take it out: Kubernetes 1.24 has it no more.",
        )


# systemd.unit(5): with these, a unit is not started without the other one, or ends with it.
REQUIRES_DOCKER = re.compile(
    r"(?m)^[ \t]*(Requires|Requisite|BindsTo)[ \t]*=[^\n]*?(?<![^\s=])((?:docker|cri-dockerd?)\.(?:service|socket))(?!\S).*$"
)


def source(draft: Draft) -> str:
    """Return what runtime the kubelet uses: "dockershim", "cri-dockerd", "containerd" or "unknown".

    Defaults: dockershim below 1.24, containerd's socket from 1.24 on (cmd/kubelet/app/options/options.go).
    """
    parsed = compat.parse_version(draft.kubelet_version) or (0, 0, 0)
    endpoint = flag_value(draft.argv, "container-runtime-endpoint")
    if parsed < (1, 24, 0) and (flag_value(draft.argv, "container-runtime") or "docker") == "docker":
        return "dockershim"
    if endpoint is None and parsed >= (1, 27, 0):
        configured = draft.kubelet_config.get(kubelet_configuration.ENDPOINT)
        endpoint = configured if isinstance(configured, str) else None
    if not endpoint:
        endpoint = (
            "unix:///run/containerd/containerd.sock" if parsed >= (1, 24, 0) else "unix:///var/run/dockershim.sock"
        )
    if same_endpoint(endpoint, draft.endpoint):
        return "containerd"
    usual = re.search(r"cri-docker|dockershim\.sock", endpoint)
    return "cri-dockerd" if usual or any(same_endpoint(endpoint, own) for own in _endpoints(draft)) else "unknown"


def _cri_dockerd_unit(draft: Draft) -> str:
    """Return the name of cri-dockerd's service on this node."""
    names = ("cri-docker.service", "cri-dockerd.service")
    return next((name for name in names if draft.unit(name).load_state != "not-found"), names[0])


def _endpoints(draft: Draft) -> list[str]:
    """Return where cri-dockerd listens: by its flag, and for fd:// by its socket units."""
    given = flag_value(draft.facts.cri_dockerd, "container-runtime-endpoint")
    found = [given] if given and not given.startswith("fd:") else []
    for name in ("cri-docker.socket", "cri-dockerd.socket"):
        unit = unit_environment.unmasked(draft.unit(name), draft.facts.files)
        for path in (unit.fragment_path, *unit.drop_in_paths):
            text = draft.facts.files[path].content if path in draft.facts.files else ""
            found += re.findall(r"(?m)^\s*ListenStream\s*=\s*(\S+)\s*$", text or "")
    return [endpoint.replace("%t/", "/run/") for endpoint in found]


# Carried, or judged, or about cri-dockerd's own socket.
_CARRIED_OF_CRI_DOCKERD = (
    "cni-bin-dir", "cni-conf-dir", "container-runtime-endpoint", "network-plugin", "pod-infra-container-image",
)  # fmt: skip


def read_shim(draft: Draft) -> None:
    """Read the flags about CNI and the sandbox image: the kubelet's for dockershim, else cri-dockerd's own, which took them over.

    cri-dockerd never sees the kubelet's; its own are those of its process, else of its unit's files. Source: cri-dockerd
    config/options.go.
    """
    if draft.source != "cri-dockerd":
        draft.shim_argv = draft.argv
        return
    draft.shim_argv = draft.facts.cri_dockerd
    name = _cri_dockerd_unit(draft)
    unit = unit_environment.unmasked(draft.unit(name), draft.facts.files)
    if draft.facts.cri_dockerd and draft.facts.units and draft.unit(name).active_state in ("inactive", "failed"):
        draft.block(
            "cri-dockerd-not-a-unit",
            f"cri-dockerd runs ({draft.facts.cri_dockerd[0]}), but {name} is {draft.unit(name).load_state} and"
            f" {draft.unit(name).active_state}: what started it is not known, so unshim could not stop it at the switch",
            "Run it as the systemd unit cri-docker.service, and plan again.",
        )
    if not draft.shim_argv and unit.fragment_path in draft.facts.files:
        try:
            draft.shim_argv = resolve(unit, draft.facts.files, specifiers(draft.facts)).argv
        except FlagError as error:
            message = f"cri-dockerd's flags cannot be read: {error}"
            draft.block("cri-dockerd-flags-unparsable", message, "Correct the file.")
    elif not draft.shim_argv and not draft.docker_was_stopped_by_us:
        draft.warn(
            "cri-dockerd-not-seen",
            "neither cri-dockerd's process nor its unit cri-docker.service was seen, so the CNI's directories are taken as its "
            "defaults, and the sandbox image as that of the newest pod",
            "If it runs with flags for them, run it as cri-docker.service and plan again.",
        )
    for flag in flags(draft.shim_argv):
        if flag.name not in _CARRIED_OF_CRI_DOCKERD:
            written = f"--{flag.name}={flag.value}" if flag.value is not None else f"--{flag.name}"
            place = unit.fragment_path or name
            reason = "only cri-dockerd used it, which goes with Docker"
            draft.not_carried.append(NotCarried(place, registries.redacted(written), reason))


def kubelet_cgroup_driver(draft: Draft) -> str:
    """Return what the kubelet uses: its flag, else its configuration, else cgroupfs (KubeletConfiguration's default)."""
    return flag_value(draft.argv, "cgroup-driver") or str(draft.kubelet_config.get("cgroupDriver") or "") or "cgroupfs"


def plan_cgroup_driver(draft: Draft) -> None:
    """Take the cgroup driver from the kubelet; Docker's must be the same."""
    draft.cgroup_driver = driver = kubelet_cgroup_driver(draft)
    dockers = draft.facts.docker.cgroup_driver
    if driver not in ("systemd", "cgroupfs"):
        draft.block(
            "cgroup-driver-unknown", f"the kubelet's cgroup driver is {driver!r}", "Set it to systemd or cgroupfs."
        )
    elif dockers and dockers != driver:
        draft.block(
            "cgroup-driver-mismatch",
            f"the kubelet uses the cgroup driver {driver}, Docker uses {dockers}: the node is broken before any move",
            "Make both the same (exec-opts native.cgroupdriver in daemon.json), restart both, and plan again.",
        )


def plan_sandbox_image(draft: Draft) -> None:
    """Take the sandbox image from the kubelet's flag, else from the newest sandbox that runs, else its version's default.

    cri-dockerd ignores the kubelet's flag and has one of its own; where that is not given, the sandboxes say it first.
    """
    flag = flag_value(draft.argv, "pod-infra-container-image")
    own = flag_value(draft.shim_argv, "pod-infra-container-image")
    sandboxes = sorted(
        (container.started_at, container.image)
        for container in draft.facts.docker.containers
        if container.running and container.labels.get("io.kubernetes.docker.type") == "podsandbox"
    )
    running = sandboxes[-1][1] if sandboxes else ""
    if running.startswith("sha256:"):
        running = ""
    known = (own, running, flag) if draft.source == "cri-dockerd" else (flag, running)
    default = compat.default_sandbox_image(draft.kubelet_version)
    draft.sandbox_image = next((image for image in known if image), default)
    if not any(known) and draft.source == "cri-dockerd":
        draft.note(
            "sandbox-image-default", "cri-dockerd's own sandbox image is not known; the kubelet's default is used"
        )


def plan_kubelet(draft: Draft, line: CommandLine | None) -> None:
    """Plan the kubelet's files after the switch."""
    _check_docker_endpoint(draft)
    if line is None:
        return
    in_config = isinstance(draft.kubelet_config.get(kubelet_configuration.ENDPOINT), str) and (
        compat.parse_version(draft.kubelet_version) or (0, 0, 0)
    ) >= (1, 27, 0)
    rotation = rotation_to_set(draft)
    in_file = draft.kubelet_config_path in draft.kubelet_config_paths
    rotation_flags = () if in_file else tuple(f"--{_FLAGS[key]}={value}" for key, value in rotation.items())
    try:
        switch = switch_runtime(
            draft.unit("kubelet.service"),
            draft.facts.files,
            draft.kubelet_version,
            draft.endpoint,
            in_config,
            specifiers(draft.facts),
            rotation_flags,
        )
    except FlagError as error:
        draft.block(
            "kubelet-flags-unparsable",
            f"the kubelet's flags cannot be changed: {error}",
            "Write that line more plainly, or set the flags by hand and plan again.",
        )
        return
    for path, text in sorted(switch.texts.items()):
        secret = any(SECRET.search(flag) for flag in re.findall(r"--[\w-]+", text))
        draft.change(path, "switch", "the kubelet's flags", text, "kubelet", secret)
    for place, written, reason in switch.removed:
        draft.not_carried.append(NotCarried(place, registries.redacted(written), reason))
    draft.argv_after = switch.after.argv
    _plan_configuration(draft, in_config, rotation if in_file else {})


def _check_docker_endpoint(draft: Draft) -> None:
    """Block where the kubelet's Docker is one that the modules would not find: they ask it at its usual socket."""
    named = flag_value(draft.argv, "docker-endpoint")
    if draft.source != "dockershim" or not named or same_endpoint(named, DOCKER_ENDPOINT):
        return
    hosts = draft.daemon_json.get("hosts") or ["fd://"]
    if isinstance(hosts, list) and any(
        str(host).startswith("fd://") or str(host) == "unix://" or same_endpoint(str(host), DOCKER_ENDPOINT)
        for host in hosts
    ):
        return
    draft.block(
        "docker-endpoint",
        f"the kubelet reaches Docker at {named}, and Docker does not listen at {DOCKER_ENDPOINT}, where unshim asks it",
        "Let Docker listen there, too (hosts in daemon.json, or -H), and plan again.",
    )


DOCKER_ENDPOINT = "unix:///var/run/docker.sock"
_FLAGS = {
    kubelet_configuration.LOG_MAX_SIZE: "container-log-max-size",
    kubelet_configuration.LOG_MAX_FILES: "container-log-max-files",
}


def _plan_configuration(draft: Draft, in_config: bool, rotation: dict[str, str | int]) -> None:
    """Plan the kubelet's YAML files: the endpoint in each that has it, the rotation of logs in the main one."""
    for path in dict.fromkeys((*draft.kubelet_config_paths, kubelet_configuration.INSTANCE_CONFIG)):
        before = draft.text(path)
        if before is None:
            continue
        after, reasons = before, []
        try:
            if in_config or path == kubelet_configuration.INSTANCE_CONFIG:
                after = kubelet_configuration.set_endpoint(after, draft.endpoint)
                reasons += ["the runtime's endpoint"] if after != before else []
            if rotation and path == draft.kubelet_config_path:
                after = kubelet_configuration.set_values(after, rotation)
                reasons.append("the rotation of container logs")
        except kubelet_configuration.YamlError as error:
            names = " and ".join((kubelet_configuration.ENDPOINT, *rotation))
            remedy = f"Set {names} there by hand, or write the file more plainly."
            draft.block("kubelet-config-unparsable", f"{path}: {error.args[0]}", remedy)
        else:
            draft.change(path, "switch", " and ".join(reasons), after, "kubelet")
