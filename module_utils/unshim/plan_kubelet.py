"""The part of a plan that concerns the kubelet: how it runs now, on what, and its files after the switch."""

from __future__ import annotations

import re

from . import compat, kubelet_configuration, registries
from .kubelet_command_line import SECRET, CommandLine, FlagError, difference, flag_value, resolve, switch_runtime
from .plan_draft import Draft, same_endpoint
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
            line = resolve(unit, facts.files)
        except FlagError as error:
            draft.block(
                "kubelet-flags-unparsable",
                f"the kubelet's flags cannot be read: {error}",
                "Correct that line; `systemctl cat kubelet` shows what systemd makes of the unit.",
            )
    if line is not None:
        for path in line.missing:
            draft.warn("kubelet-file-not-seen", f"{path} is part of the kubelet's unit and is not there")
    if not draft.argv:
        if not draft.docker_was_stopped_by_us:
            draft.block(
                "kubelet-not-running",
                "the kubelet does not run, so nothing proves what it runs with",
                "Start it, wait until the node is Ready, and plan again.",
            )
        if line is not None:
            draft.argv = line.argv
    elif line is not None and draft.state in ("docker", "prepared"):
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


def _read_kubelet_config(draft: Draft) -> None:
    path = flag_value(draft.argv, "config")
    if not path:
        return
    draft.kubelet_config_path = path
    if path not in draft.facts.files:
        draft.warn(
            "kubelet-config-not-seen",
            f"the kubelet's configuration {path} was not looked at, so its cgroupDriver is not known",
        )
        return
    text = draft.text(path)
    if text is None:
        return
    try:
        draft.kubelet_config = kubelet_configuration.parse(text)
    except kubelet_configuration.YamlError as error:
        draft.block("kubelet-config-unparsable", f"{path} is not valid: {error.args[0]}", f"Correct {path}.")


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
    return "cri-dockerd" if re.search(r"cri-docker|dockershim\.sock", endpoint) else "unknown"


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
    """Take the sandbox image from the kubelet's flag, else its version's default."""
    image = flag_value(draft.argv, "pod-infra-container-image")
    if not image and draft.source == "cri-dockerd":
        draft.note(
            "sandbox-image-default", "cri-dockerd's own sandbox image is not looked at; the kubelet's default is used"
        )
    draft.sandbox_image = image or compat.default_sandbox_image(draft.kubelet_version)


def plan_kubelet(draft: Draft, line: CommandLine | None) -> None:
    """Plan the kubelet's files after the switch."""
    unit = draft.unit("kubelet.service")
    if line is not None:
        in_config = isinstance(draft.kubelet_config.get(kubelet_configuration.ENDPOINT), str) and (
            compat.parse_version(draft.kubelet_version) or (0, 0, 0)
        ) >= (1, 27, 0)
        try:
            switch = switch_runtime(unit, draft.facts.files, draft.kubelet_version, draft.endpoint, in_config)
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
        paths = [
            path
            for path, wanted in ((draft.kubelet_config_path, in_config), (kubelet_configuration.INSTANCE_CONFIG, True))
            if wanted
        ]
        for path in paths:
            content = draft.text(path)
            if content is None:
                continue
            try:
                changed = kubelet_configuration.set_endpoint(content, draft.endpoint)
            except kubelet_configuration.YamlError as error:
                remedy = f"Set {kubelet_configuration.ENDPOINT} there by hand."
                draft.block("kubelet-config-unparsable", f"{path}: {error.args[0]}", remedy)
            else:
                draft.change(path, "switch", "the runtime's endpoint", changed, "kubelet")
