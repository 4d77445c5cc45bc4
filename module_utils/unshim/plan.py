"""From what was observed on a node to what will change on it.

``make`` is pure and never raises: whatever is odd about a node becomes a finding. Each ``_plan_...`` below settles one
concern and writes its part into the draft; they know each other's results only through it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from . import cni, compat, containerd_config, host_kernel, kubelet_configuration, registries
from .facts import Container, Facts, File, Image, Unit
from .kubelet_command_line import SECRET, CommandLine, FlagError, difference, flag_value, resolve, switch_runtime
from .plan_model import (
    AnnotationChange,
    FileChange,
    Finding,
    ImageMove,
    NotCarried,
    PackageChange,
    Plan,
    Settings,
    UnitChange,
)

JOURNAL = "/var/lib/unshim/journal.json"
STATES = ("docker", "prepared", "drained", "switched", "verified", "committed")
CRICTL = "/etc/crictl.yaml"
MANIFESTS = "/etc/kubernetes/manifests"
CRI_SOCKET_ANNOTATION = "kubeadm.alpha.kubernetes.io/cri-socket"
DOCKER_UNITS = ("docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service")
# An image is written twice, as content and unpacked: layers from Docker come uncompressed, so both are its size.
SPACE_FACTOR = 2
SPARE_SPACE = 256 << 20  # bytes; what containerd_images keeps free


def make(facts: Facts, settings: Settings, node: str) -> Plan:
    """Return the plan for one node.

    Args:
        facts: what was seen on the node.
        settings: the operator's settings.
        node: the inventory host's name, for messages and reports.

    A plan that must not be carried out has findings of severity "block". A node that is as the goal says has ``done`` set
    and no changes.
    """
    try:
        draft = _Draft(facts, settings, node)
        _read_journal(draft)
        _check_host(draft)
        if settings.goal == "provision":
            _plan_provision(draft)
        elif settings.goal == "migrate":
            _plan_migrate(draft)
        else:
            draft.block("unknown-goal", f"there is no goal {settings.goal!r}", 'Set it to "migrate" or "provision".')
        return draft.plan()
    except Exception as error:  # noqa: BLE001  a defect of ours must stop one node with a message, not a fleet with a traceback
        finding = Finding(
            "planner-fault",
            "block",
            f"the planner failed on this node's facts: {type(error).__name__}: {error}",
            "Nothing was changed. Please report this with the node's facts (ansible_facts.runtime).",
        )
        return Plan(node, settings.node_name or node, settings.goal, "none", "docker", False, findings=(finding,))


@dataclass
class _Draft:
    facts: Facts
    settings: Settings
    node: str
    state: str = "docker"
    source: str = "none"
    done: bool = False
    kubelet_version: str = ""
    containerd: compat.ContainerdChoice = field(default_factory=compat.ContainerdChoice)
    cgroup_driver: str = ""
    sandbox_image: str = ""
    cni_bin_dir: str = ""
    cni_conf_dir: str = ""
    argv: tuple[str, ...] = ()  # what the kubelet runs with now; from its files if it does not run
    argv_after: tuple[str, ...] = ()
    kubelet_config: dict[str, Any] = field(default_factory=dict)
    kubelet_config_path: str = ""
    daemon_json: dict[str, Any] = field(default_factory=dict)
    packages: list[PackageChange] = field(default_factory=list)
    files: list[FileChange] = field(default_factory=list)
    units: list[UnitChange] = field(default_factory=list)
    images: list[ImageMove] = field(default_factory=list)
    annotations: list[AnnotationChange] = field(default_factory=list)
    stop_containers: list[str] = field(default_factory=list)
    modules: tuple[str, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    not_carried: list[NotCarried] = field(default_factory=list)

    def block(self, id: str, message: str, remedy: str) -> None:
        self._find(id, "block", message, remedy)

    def warn(self, id: str, message: str, remedy: str = "") -> None:
        self._find(id, "warn", message, remedy)

    def note(self, id: str, message: str, remedy: str = "") -> None:
        self._find(id, "info", message, remedy)

    def _find(self, id: str, severity: str, message: str, remedy: str) -> None:
        finding = Finding(id, severity, registries.redacted(message), remedy)
        if finding not in self.findings:
            self.findings.append(finding)

    @property
    def endpoint(self) -> str:
        return self.settings.cri_endpoint

    @property
    def docker_was_stopped_by_us(self) -> bool:
        unit = self.unit("docker.service")
        masked = unit.load_state == "masked" or unit.unit_file_state == "masked"
        return self.state in ("drained", "switched", "verified", "committed") or (self.state != "docker" and masked)

    def unit(self, name: str) -> Unit:
        return self.facts.units.get(name, Unit(name))

    def file(self, path: str) -> File:
        return self.facts.files.get(path, File(path))

    def text(self, path: str) -> str | None:
        """Return a file's text, None if it is not there; blocks if it is there and cannot be read."""
        file = self.file(path)
        if file.kind == "missing":
            return None
        if not file.is_utf8:
            self.block(
                "not-utf8",
                f"{path} is not UTF-8 text, so it cannot be read or changed safely",
                f"Convert {path} to UTF-8.",
            )
            return None
        if file.content is None:
            what = (
                "cannot be read"
                if file.kind == "unreadable"
                else f"is a {file.kind}, not a file"
                if file.kind != "symlink"
                else "is a symlink to nothing readable"
            )
            self.block("file-not-readable", f"{path} {what}", f"Make {path} a readable file, or remove it.")
            return None
        return file.content

    def change(
        self, path: str, stage: str, reason: str, after: str, role: str, secret: bool = False, mode: str = "0644"
    ) -> bool:
        """Plan a file's new text; returns whether it differs. A file keeps its own mode and owner."""
        before = self.text(path)
        file = self.file(path)
        if file.kind not in ("missing",) and before is None:
            return False  # it blocks already
        if before == after:
            return False
        real = path
        if file.kind == "symlink" and file.target:
            real = file.target
            self.warn("symlink", f"{path} is a symlink; the file it leads to, {real}, is changed and the link stays")
        self.files.append(
            FileChange(
                real,
                stage,
                reason,
                before,
                after,
                (file.mode or mode) if file.kind != "symlink" else mode,
                file.owner or "root",
                file.group or "root",
                role,
                secret,
            )
        )
        return True

    def change_unit(self, unit: Unit, stage: str, action: str, after: str, reason: str) -> None:
        self.units.append(UnitChange(unit.name, stage, action, _unit_state(unit), after, reason))

    def plan(self) -> Plan:
        empty = not (self.packages or self.files or self.units or self.images or self.modules or self.sysctls)
        apis = (
            compat.kubelet_cri_api(self.kubelet_version)
            if self.kubelet_version
            else compat.containerd_cri_api(self.containerd.version)
        )
        return Plan(
            node=self.node,
            node_name=_node_name(self),
            goal=self.settings.goal,
            source=self.source,
            state=self.state,
            done=self.done and empty and not any(f.severity == "block" for f in self.findings),
            kubelet_version=self.kubelet_version,
            containerd_version=self.containerd.version,
            cri_endpoint=self.endpoint,
            cri_api=apis,
            cgroup_driver=self.cgroup_driver,
            sandbox_image=self.sandbox_image,
            is_control_plane=self.file(f"{MANIFESTS}/kube-apiserver.yaml").kind != "missing",
            packages=tuple(self.packages),
            files=tuple(sorted(self.files, key=lambda change: (change.stage != "prepare", change.path))),
            units=tuple(self.units),
            images=tuple(self.images),
            annotations=tuple(self.annotations),
            stop_containers=tuple(self.stop_containers),
            modules=self.modules,
            sysctls=self.sysctls,
            kubelet_command_line_before=self.argv,
            kubelet_command_line_after=self.argv_after or self.argv,
            findings=tuple(sorted(self.findings, key=lambda f: ("block", "warn", "info").index(f.severity))),
            not_carried=tuple(self.not_carried),
        )


def _node_name(draft: _Draft) -> str:
    override = flag_value(draft.argv, "hostname-override")
    return (
        draft.settings.node_name
        or override
        or (draft.facts.kubelet.hostname or draft.facts.hostname or draft.node).lower()
    )


def _unit_state(unit: Unit) -> str:
    if unit.load_state == "not-found":
        return "not installed"
    masked = unit.load_state == "masked" or unit.unit_file_state == "masked"
    return f"{unit.active_state}, {'masked' if masked else unit.unit_file_state or 'not enabled'}"


def same_endpoint(one: str, other: str) -> bool:
    """Return whether two CRI endpoints are the same socket: unix:// may be left out, /var/run is /run."""

    def plain(endpoint: str) -> str:
        return re.sub(r"^/var/run/", "/run/", endpoint.removeprefix("unix://"))

    return plain(one) == plain(other)


# What holds for every goal


def _read_journal(draft: _Draft) -> None:
    text = draft.text(JOURNAL)
    if text is None:
        return
    remedy = f"Look at {JOURNAL} and the backups beside it; with the node in doubt, put it back by hand from /var/lib/unshim/backup."
    try:
        journal = json.loads(text)
        state = journal.get("state", "docker")
    except (ValueError, AttributeError, RecursionError) as error:
        draft.block("journal-damaged", f"{JOURNAL} cannot be read: {error}", remedy)
        return
    if state not in STATES:
        draft.block(
            "journal-damaged",
            f"{JOURNAL} says the node's state is {state!r}, which is none of {', '.join(STATES)}",
            remedy,
        )
        return
    draft.state = state


def _check_host(draft: _Draft) -> None:
    facts = draft.facts
    if facts.uid != 0:
        draft.block(
            "not-root",
            f"the node was looked at as user id {facts.uid}, not as root",
            "Connect as root or set become: true.",
        )
    if facts.os.init != "systemd":
        draft.block(
            "no-systemd",
            f"process 1 of the node is {facts.os.init or 'unknown'}, not systemd",
            "unshim drives systemd units; replace this node instead.",
        )
    row = compat.operating_system(facts.os)
    if row.support != "yes":
        name = facts.os.pretty_name or facts.os.id or "this system"
        draft.block(
            "unsupported-os",
            f"{name} is not supported: {row.reason}",
            "Replace the node by one with Debian or Ubuntu, or leave it out with --limit.",
        )
    elif facts.os.package_manager and facts.os.package_manager != row.package_manager:
        draft.block(
            "unsupported-os",
            f"{facts.os.pretty_name or facts.os.id} has {facts.os.package_manager}, not {row.package_manager}",
            f"Make {row.package_manager} usable on the node.",
        )
    for what in facts.not_seen:
        draft.note("not-seen", f"not looked at: {what}")


# provision: a node without Kubernetes


def _plan_provision(draft: _Draft) -> None:
    facts, settings = draft.facts, draft.settings
    draft.cgroup_driver = settings.cgroup_driver or ("systemd" if facts.os.init == "systemd" else "cgroupfs")
    if draft.cgroup_driver not in ("systemd", "cgroupfs"):
        draft.block(
            "cgroup-driver-unknown",
            f"there is no cgroup driver {draft.cgroup_driver!r}",
            "Set cgroup_driver to systemd or cgroupfs.",
        )
    draft.sandbox_image = settings.sandbox_image
    draft.kubelet_version = ""
    if facts.kubelet.pid or draft.unit("kubelet.service").active_state == "active":
        draft.block(
            "kubelet-runs", "a kubelet runs on this node, so it is not one to provision", "Use migrate.yml for it."
        )
    row = compat.operating_system(facts.os)
    draft.cni_bin_dir, draft.cni_conf_dir = row.cni_directory or cni.BIN_DIR, cni.CONF_DIR
    _plan_package(draft)
    if row.cni:
        known = facts.packages.get(row.cni)
        if known is not None and not known.version and known.candidate:
            draft.packages.append(
                PackageChange(row.cni, "prepare", "", known.candidate, "containerd calls CNI plugins for pods")
            )
    _plan_containerd(draft)
    if not draft.sandbox_image:
        draft.sandbox_image = facts.containerd.default_sandbox_image
    _plan_host(draft)
    _plan_containerd_unit(draft)
    draft.source = "none"
    draft.done = facts.containerd.installed


# migrate: a node whose kubelet is to change its runtime


def _plan_migrate(draft: _Draft) -> None:
    facts = draft.facts
    line = _read_kubelet(draft)
    if line is None and not draft.argv:
        return
    draft.source = _source(draft)
    if draft.source == "unknown":
        draft.source = "none"
        named = flag_value(draft.argv, "container-runtime-endpoint") or flag_value(draft.argv, "container-runtime")
        draft.block(
            "source-unknown",
            f"the kubelet runs on {named}, which is neither Docker nor containerd at {draft.endpoint}",
            "unshim moves nodes from dockershim and cri-dockerd only; leave this one out.",
        )
        return
    _read_daemon_json(draft)
    if draft.source == "containerd" and _is_moved(draft):
        _keep(draft)
        return
    draft.containerd = compat.choose(facts, draft.settings.containerd_package, draft.settings.containerd_version)
    _check_docker(draft)
    _plan_foreign_containers(draft)
    if draft.source == "containerd":  # stopped halfway: its files name containerd, the rest is not there yet
        _keep(draft)
    else:
        _plan_cgroup_driver(draft)
        _plan_sandbox_image(draft)
        _plan_cni(draft)
        _plan_package(draft)
        _plan_containerd(draft)
        _plan_registries(draft)
        _note_docker_settings_elsewhere(draft)
        draft.not_carried += registries.not_carried(draft.daemon_json)
    _plan_host(draft)
    _plan_containerd_unit(draft)
    _plan_images(draft)
    _plan_kubelet(draft, line)
    _plan_switch_units(draft)
    if (
        draft.file("/etc/kubernetes").kind == "directory"
        or draft.file("/var/lib/kubelet/kubeadm-flags.env").kind != "missing"
    ):
        draft.annotations.append(AnnotationChange(CRI_SOCKET_ANNOTATION, None, draft.endpoint))


def _read_kubelet(draft: _Draft) -> CommandLine | None:
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


def _read_kubelet_config(draft: _Draft) -> None:
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


def _source(draft: _Draft) -> str:
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


def _is_moved(draft: _Draft) -> bool:
    """Return whether this node runs on containerd already. Docker beside it is only ours to stop if we began the move."""
    kubelet_runs = bool(draft.facts.kubelet.command_line)
    docker = draft.unit("docker.service")
    if not kubelet_runs or (docker.active_state == "active" and draft.state in ("drained", "switched")):
        return False
    if docker.active_state == "active":
        draft.note(
            "docker-beside",
            "Docker still runs beside containerd; Kubernetes does not use it, and unshim leaves it alone",
        )
    # Moved but not yet proven: the gates are still to be passed, so the node is not done.
    draft.done = draft.state not in ("prepared", "drained", "switched")
    return True


def _keep(draft: _Draft) -> None:
    """Take what a node on containerd is set to from its own files: the kubelet no longer says it."""
    facts = draft.facts
    draft.containerd = compat.ContainerdChoice(version=facts.containerd.version)
    draft.cgroup_driver = _kubelet_cgroup_driver(draft)
    try:
        data = containerd_config.parse(draft.text(containerd_config.PATH) or "")
    except containerd_config.ConfigError:
        data = {}
    draft.sandbox_image = (
        containerd_config.sandbox_image(data)
        or flag_value(draft.argv, "pod-infra-container-image")
        or facts.containerd.default_sandbox_image
    )


def _read_daemon_json(draft: _Draft) -> None:
    text = draft.text(registries.DAEMON_JSON)
    if text is None:
        return
    try:
        draft.daemon_json = registries.parse_daemon_json(text)
    except registries.DaemonJsonError as error:
        place = f":{error.line}:{error.column}" if error.line else ""
        if draft.source != "containerd":
            draft.block(
                "daemon-json-malformed",
                f"{registries.DAEMON_JSON}{place}: {error.message}",
                "Correct the file; `dockerd --validate` checks it.",
            )


def _check_docker(draft: _Draft) -> None:
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


def _note_docker_settings_elsewhere(draft: _Draft) -> None:
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
    path = "/root/.docker/config.json"
    if re.search(r'"auths"\s*:\s*\{\s*"', draft.file(path).content or ""):
        draft.warn(
            "docker-login",
            f"{path} holds registry logins; the kubelet does not read it there with containerd",
            "Use imagePullSecrets, or put the file in the kubelet's root directory as config.json.",
        )


def _kubelet_cgroup_driver(draft: _Draft) -> str:
    """Return what the kubelet uses: its flag, else its configuration, else cgroupfs (KubeletConfiguration's default)."""
    return flag_value(draft.argv, "cgroup-driver") or str(draft.kubelet_config.get("cgroupDriver") or "") or "cgroupfs"


def _plan_cgroup_driver(draft: _Draft) -> None:
    draft.cgroup_driver = driver = _kubelet_cgroup_driver(draft)
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


def _plan_sandbox_image(draft: _Draft) -> None:
    image = flag_value(draft.argv, "pod-infra-container-image")
    if not image and draft.source == "cri-dockerd":
        draft.note(
            "sandbox-image-default", "cri-dockerd's own sandbox image is not looked at; the kubelet's default is used"
        )
    draft.sandbox_image = image or compat.default_sandbox_image(draft.kubelet_version)


def _plan_cni(draft: _Draft) -> None:
    """Find the CNI directories the kubelet used, and whether containerd can work with what is in them."""
    plugin = flag_value(draft.argv, "network-plugin")
    if draft.source == "dockershim" and plugin != "cni":
        says = f"--network-plugin={plugin}" if plugin else "no --network-plugin"
        draft.block(
            "no-network-plugin",
            f"the kubelet runs with {says}: its pods are on Docker's own network, which containerd does not have",
            "Give the cluster a CNI network and the kubelet --network-plugin=cni first.",
        )
        return
    draft.cni_conf_dir = (flag_value(draft.argv, "cni-conf-dir") or cni.CONF_DIR).rstrip("/") or "/"
    directories = [
        d.strip().rstrip("/") for d in (flag_value(draft.argv, "cni-bin-dir") or cni.BIN_DIR).split(",") if d.strip()
    ]
    draft.cni_bin_dir = directories[0] if directories else cni.BIN_DIR
    found = cni.read(draft.facts.files, draft.cni_conf_dir)
    for path, why in found.unusable:
        draft.warn("cni-config-unusable", f"{path} is passed over: {why}", "Correct or remove it.")
    if not found.path:
        draft.block(
            "no-cni-config",
            f"there is no CNI configuration in {draft.cni_conf_dir}, so pods would get no network",
            "Wait until the cluster's network add-on has written it, or write one.",
        )
        return
    if not found.has_version:
        draft.warn(
            "cni-config-no-version",
            f"{found.path} has no cniVersion; containerd's CNI takes it as 0.1.0",
            "Add the version its plugins support.",
        )
    needed = ("loopback", *found.plugins)
    seen = [
        (directory, draft.facts.cni_plugins[directory])
        for directory in directories
        if directory in draft.facts.cni_plugins
    ]
    if not seen:
        draft.warn(
            "cni-dir-not-seen",
            f"{', '.join(directories)} was not looked at, so it is not known if every CNI plugin is there",
        )
        return
    for directory, plugins in seen:
        if set(needed) <= set(plugins):
            draft.cni_bin_dir = directory
            return
    missing = sorted(set(needed) - set(seen[0][1]))
    draft.block(
        "cni-plugin-missing",
        f"{seen[0][0]} lacks {', '.join(missing)}, which containerd needs ({found.path})",
        "Install the CNI plugins there (package kubernetes-cni or containernetworking-plugins); containerd takes one directory.",
    )


def _plan_package(draft: _Draft) -> None:
    draft.containerd = choice = compat.choose(
        draft.facts, draft.settings.containerd_package, draft.settings.containerd_version
    )
    if choice.problem:
        draft.block(choice.problem_id, choice.problem, choice.remedy)
        return
    if choice.package and choice.wanted != choice.installed:
        reason = (
            "CRI runtime; asked for with containerd_version, and held"
            if draft.settings.containerd_version
            else "CRI runtime"
        )
        draft.packages.append(PackageChange(choice.package, "prepare", choice.installed, choice.wanted, reason))
    bad = compat.incompatibility(draft.kubelet_version, choice.version) if draft.kubelet_version else None
    if bad:
        draft.block("kubelet-containerd-incompatible", *bad)
    elif draft.kubelet_version:
        untested = compat.untested(draft.kubelet_version, choice.version)
        if untested:
            draft.warn("containerd-untested", f"{untested}; this node has {choice.version}")
    now, offered = compat.parse_version(choice.version), compat.parse_version(choice.candidate)
    if now and offered and now[0] != offered[0] and not choice.held and not draft.settings.containerd_version:
        draft.warn(
            "containerd-not-held",
            f"the package manager offers {choice.package} {choice.candidate}: an unattended upgrade would cross a major version",
            "Set containerd_version to the version wanted; it is then held.",
        )


def _plan_containerd(draft: _Draft) -> None:
    """Plan config.toml in the schema of the containerd that will read it."""
    path = containerd_config.PATH
    existing = draft.text(path)
    if draft.file(path).kind != "missing" and existing is None:
        return
    remedy = f"Correct {path}, or move it away: unshim then writes a new one."
    try:
        data = containerd_config.parse(existing or "")
        wanted = containerd_config.ContainerdSettings(
            sandbox_image=draft.sandbox_image,
            systemd_cgroup=draft.cgroup_driver == "systemd",
            cni_bin_dir=draft.cni_bin_dir,
            cni_conf_dir=draft.cni_conf_dir,
            registry_config_path=containerd_config.CERTS_D,
        )
        after = containerd_config.render(existing, draft.containerd.version, wanted)
    except containerd_config.ConfigError as error:
        place = f"{path}:{error.line}" if error.line else path
        draft.block("containerd-config-unusable", f"{place}: {error.message}", remedy)
        return
    listens = containerd_config.address(data)
    if listens and not same_endpoint(listens, draft.endpoint):
        draft.block(
            "containerd-address",
            f"{path} makes containerd listen on {listens}, not on {draft.endpoint}",
            f"Set cri_endpoint to unix://{listens}, or correct {path}.",
        )
    legacy = containerd_config.legacy_registry_keys(data)
    if legacy and (compat.parse_version(draft.containerd.version) or (0, 0, 0)) >= (2, 2, 0):
        # containerd#12612: 2.2 sets config_path itself, and then refuses to load CRI beside mirrors.
        draft.block(
            "legacy-registry-config",
            f"{path} sets {', '.join(legacy)}, with which containerd {draft.containerd.version} does not load CRI",
            "Move them to hosts.toml files in /etc/containerd/certs.d.",
        )
    elif legacy:
        draft.warn(
            "legacy-registry-config",
            f"{path} sets {', '.join(legacy)}; they stay, and containerd then reads no hosts.toml files",
            "Move them to hosts.toml files in /etc/containerd/certs.d.",
        )
    if data.get("imports"):
        draft.warn(
            "containerd-imports",
            f"{path} imports {data['imports']}: a plugin's table there replaces the whole table here",
            "Check that none of them sets a CRI plugin.",
        )
    draft.change(path, "prepare", "CRI as the kubelet needs it", after, "containerd_config")


def _plan_registries(draft: _Draft) -> None:
    try:
        data = containerd_config.parse(draft.text(containerd_config.PATH) or "")
    except containerd_config.ConfigError:
        return
    directory = containerd_config.registry_config_path(data) or containerd_config.CERTS_D
    wanted = registries.hosts_files(draft.daemon_json, draft.facts.files, directory)
    where = registries.DAEMON_JSON
    for network in wanted.networks:
        draft.warn(
            "registry-network",
            f"{where}: insecure-registries: {network}: containerd has no form for a whole network",
            f"Write a hosts.toml in {directory} for each registry in it that pods pull from.",
        )
    for entry in wanted.odd:
        draft.warn(
            "registry-not-understood", f"{where}: {entry} is not a registry that Docker would accept, and is left out"
        )
    if wanted.files and containerd_config.legacy_registry_keys(data):
        draft.warn(
            "registries-not-carried",
            f"{where}: its registry settings are not carried over, for {containerd_config.PATH} sets registries the old way",
        )
        return
    for path, text in wanted.files.items():
        now = draft.file(path)
        if now.kind == "missing":
            draft.change(
                path,
                "prepare",
                "registry as Docker reaches it",
                text,
                "registry",
                path in wanted.secret,
                "0600" if path in wanted.secret else "0644",
            )
        elif now.content != text:
            draft.warn(
                "registry-exists",
                f"{path} is there and says something else than {where}; it is left as it is",
                "Check that it reaches the registry.",
            )


def _plan_host(draft: _Draft) -> None:
    facts = draft.facts
    draft.modules = host_kernel.modules_to_load(facts.kernel)
    draft.sysctls = host_kernel.sysctls_to_set(facts.kernel)
    text = host_kernel.modules_file(facts.files)
    if text is not None:
        draft.change(host_kernel.MODULES_FILE, "prepare", "kernel modules at every start", text, "modules")
    text, overriding = host_kernel.sysctl_file(facts.files)
    if text is not None:
        draft.change(host_kernel.SYSCTL_FILE, "prepare", "sysctls at every start", text, "sysctl")
    for path, name, value in overriding:
        draft.warn(
            "sysctl-overridden",
            f"{path} sets {name} = {value} after {host_kernel.SYSCTL_FILE}: pods lose the network at the next start",
            f"Remove it from {path}.",
        )
    _plan_crictl(draft)


def _plan_crictl(draft: _Draft) -> None:
    """Point crictl at containerd. It is a tool for people: a file that cannot be used is reported and left."""
    file = draft.file(CRICTL)
    wanted = f"runtime-endpoint: {draft.endpoint}\nimage-endpoint: {draft.endpoint}\ntimeout: 10\n"
    if file.kind == "missing":
        draft.change(CRICTL, "prepare", "crictl speaks to containerd", wanted, "crictl")
        return
    if file.content is None:
        draft.warn("crictl-config", f"{CRICTL} is there but cannot be read as text; it is left as it is")
        return
    try:
        data = yaml.safe_load(file.content) or {}
        endpoints = [data.get("runtime-endpoint"), data.get("image-endpoint")]
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError):
        draft.warn("crictl-config", f"{CRICTL} is not valid YAML and is left as it is")
        return
    if any("docker" in str(endpoint) for endpoint in endpoints if endpoint):
        after = re.sub(
            r"(?m)^((?:runtime|image)-endpoint[ \t]*:)[ \t]*\S*docker[^\r\n]*",
            lambda match: f"{match[1]} {draft.endpoint}",
            file.content,
        )
        # While pods are on Docker people still look through the old socket.
        draft.change(CRICTL, "switch", "crictl speaks to containerd", after, "crictl")


def _plan_containerd_unit(draft: _Draft) -> None:
    unit = draft.unit("containerd.service")
    configured = any(change.role == "containerd_config" for change in draft.files)
    installing = bool(draft.packages)
    if unit.load_state == "masked" or unit.unit_file_state == "masked":
        draft.block(
            "containerd-masked",
            "containerd.service is masked",
            "Run `systemctl unmask containerd` if containerd may run on this node.",
        )
        return
    if configured or installing or unit.active_state != "active":
        if unit.load_state == "not-found":
            why = "it was just installed"
        else:
            cause = (
                "to read its new configuration"
                if configured
                else "it was upgraded"
                if installing
                else "it does not run"
            )
            why = f"{cause}; running containers stay"
        draft.change_unit(unit, "prepare", "restart", "active, enabled", why)
    if unit.unit_file_state not in ("enabled", "static", "enabled-runtime", "alias"):
        draft.change_unit(unit, "prepare", "enable", "active, enabled", "pods must come back after a reboot")


# Images


def full_name(reference: str) -> str:
    """Return a Docker reference as containerd names the image (distribution/reference, ParseDockerRef)."""
    name, _, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    if slash and (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        domain, path = first, rest
    else:
        domain, path = "docker.io", name
    domain = "docker.io" if domain == "index.docker.io" else domain
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    path, _, tag = path.partition(":")
    return f"{domain}/{path}@{digest}" if digest else f"{domain}/{path}:{tag or 'latest'}"


def is_kubernetes(container: Container) -> bool:
    return "io.kubernetes.pod.name" in container.labels


def _plan_images(draft: _Draft) -> None:
    docker = draft.facts.docker
    present = {full_name(name) for name in draft.facts.containerd.k8s_images}
    by_name: dict[str, Image] = {}
    for image in docker.images:
        by_name[image.id] = image
        by_name[image.id.removeprefix("sha256:")] = image
        by_name.update({full_name(name): image for name in (*image.tags, *image.digests) if "<none>" not in name})

    def find(reference: str) -> Image | None:
        if re.fullmatch(r"[0-9a-f]{12,63}", reference):  # the short form of an id, as `docker ps` prints it
            return next((image for image in docker.images if image.id.startswith(f"sha256:{reference}")), None)
        return by_name.get(reference) or by_name.get(full_name(reference))

    wanted: dict[str, Image] = {}
    sandbox = find(draft.sandbox_image) if draft.sandbox_image else None
    if sandbox:
        wanted[sandbox.id] = sandbox
    elif draft.sandbox_image and docker.answers and full_name(draft.sandbox_image) not in present:
        draft.warn(
            "sandbox-image-absent",
            f"the sandbox image {draft.sandbox_image} is neither in Docker nor in containerd, so it must be pulled",
            "Pull it on the node first if its registry may be out of reach.",
        )
    references = [container.image for container in docker.containers if is_kubernetes(container)]
    if docker.answers:
        references += _static_pod_images(draft)
    if draft.settings.all_images:
        references += [image.id for image in docker.images]
    nameless = []
    for reference in references:
        found = find(reference)
        if found is None:
            if docker.answers and full_name(reference) not in present:
                draft.note(
                    "image-absent", f"image {reference} is not in Docker's store and will be pulled when it is needed"
                )
        else:
            wanted.setdefault(found.id, found)
    size = 0
    for image in wanted.values():
        names = tuple(name for name in (*image.tags, *image.digests) if "<none>" not in name)
        if not names:
            nameless.append(image.id)
        elif not {full_name(name) for name in names} <= present:
            draft.images.append(ImageMove(image.id, names, image.size, sandbox is not None and image.id == sandbox.id))
            size += image.size
    for id in nameless:
        if not draft.settings.all_images:
            draft.warn(
                "image-without-name",
                f"image {id} of a running pod has no name any more, so it cannot be moved; its pod must pull its image",
            )
    draft.images.sort(key=lambda move: (not move.pinned, move.names))
    _check_space(draft, size)


def _static_pod_images(draft: _Draft) -> list[str]:
    path = draft.kubelet_config.get("staticPodPath") or flag_value(draft.argv, "pod-manifest-path") or MANIFESTS
    found: list[str] = []
    for name, file in sorted(draft.facts.files.items()):
        if (
            not name.startswith(f"{str(path).rstrip('/')}/")
            or not name.endswith((".yaml", ".yml", ".json"))
            or not file.content
        ):
            continue
        try:
            data = yaml.safe_load(file.content)
            spec = data["spec"]
            containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
            found += [container["image"] for container in containers if isinstance(container["image"], str)]
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
            draft.note(
                "static-pod-not-understood", f"{name} is not a pod that unshim can read; its images are not looked for"
            )
    return found


def _check_space(draft: _Draft, size: int) -> None:
    for path in ("/var/lib/containerd", "/var/lib", "/var", "/"):
        mount = draft.facts.mounts.get(path)
        if mount is not None:
            break
    else:
        return
    need = SPACE_FACTOR * size + SPARE_SPACE
    if size and mount.available < need:
        draft.block(
            "not-enough-space",
            f"the {len(draft.images)} images to move need {human_size(need)} in /var/lib/containerd, {human_size(mount.available)} are free on {mount.device or mount.path}",
            "Make room, for example with `docker image prune`, or enlarge the file system.",
        )


def human_size(size: int) -> str:
    """Return bytes as a person reads them, in powers of 1024."""
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"


# The switch


def _plan_foreign_containers(draft: _Draft) -> None:
    foreign = [container for container in draft.facts.docker.containers if not is_kubernetes(container)]
    allowed = {name.lstrip("/") for name in draft.settings.stop_foreign_containers}
    running = sorted((c.name.lstrip("/") or c.id[:12]) for c in foreign if c.running)
    draft.stop_containers = [name for name in running if name in allowed]
    others = [name for name in running if name not in allowed]
    if others:
        draft.block(
            "foreign-container",
            f"Docker runs containers that are not Kubernetes', which stop with it: {', '.join(others)}",
            "Move them elsewhere, or name them in stop_foreign_containers.",
        )
    stopped = len(foreign) - len(running)
    if stopped:
        draft.note(
            "foreign-container-stopped",
            f"{stopped} stopped container{'s' * (stopped != 1)} that {'is' if stopped == 1 else 'are'} not Kubernetes' stay{'s' * (stopped == 1)} in Docker's store until commit",
        )


def _plan_kubelet(draft: _Draft, line: CommandLine | None) -> None:
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


def _plan_switch_units(draft: _Draft) -> None:
    """The order is that of the switch: nothing may start containers while the runtimes change places."""
    kubelet = draft.unit("kubelet.service")
    enabled = kubelet.unit_file_state or "not enabled"
    changes = draft.source != "containerd" or any(change.role == "kubelet" for change in draft.files)
    if changes and kubelet.active_state == "active":
        draft.change_unit(kubelet, "switch", "stop", f"inactive, {enabled}", "its runtime changes")
    _plan_docker_units(draft)
    if changes or kubelet.active_state != "active":
        draft.change_unit(kubelet, "switch", "start", f"active, {enabled}", "with containerd as its runtime")


def _plan_docker_units(draft: _Draft) -> None:
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
