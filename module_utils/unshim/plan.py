"""From what was observed on a node to what will change on it.

``make`` is pure and never raises: whatever is odd about a node becomes a finding. Each ``plan_...`` settles one concern,
in the module of its name, and writes its part into the draft; they know each other's results only through it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from . import cni, compat, containerd_config, journal_text
from .facts import Facts
from .kubelet_command_line import flag_value
from .plan_containerd import plan_cni, plan_containerd, plan_containerd_unit, plan_package
from .plan_data_root import choose_containerd_root, plan_root_change
from .plan_docker import (
    check_docker,
    judge_docker_settings,
    plan_docker_units,
    plan_foreign_containers,
    read_docker_settings,
)
from .plan_docker_callers import note_docker_callers
from .plan_draft import JOURNAL, STATES, Draft
from .plan_host import check_host, plan_host
from .plan_images import plan_images
from .plan_install import choose_containerd, plan_archives
from .plan_kubelet import (
    kubelet_cgroup_driver,
    plan_cgroup_driver,
    plan_kubelet,
    plan_sandbox_image,
    read_kubelet,
    read_shim,
    source,
)
from .plan_model import AnnotationChange, Finding, PackageChange, Plan, Settings
from .plan_pod_sysctls import check_pod_sysctls
from .plan_proxies import plan_proxies
from .plan_registries import note_registry_logins, plan_registries
from .plan_writable import check_writable

CRI_SOCKET_ANNOTATION = "kubeadm.alpha.kubernetes.io/cri-socket"


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
        draft = Draft(facts, settings, node)
        _read_journal(draft)
        check_host(draft)
        if settings.goal == "provision":
            _plan_provision(draft)
        elif settings.goal == "migrate":
            _plan_migrate(draft)
        else:
            draft.block("unknown-goal", f"there is no goal {settings.goal!r}", 'Set it to "migrate" or "provision".')
        check_writable(draft)
        return draft.plan()
    except Exception as error:  # noqa: BLE001  a defect of ours must stop one node with a message, not a fleet with a traceback
        finding = Finding(
            "planner-fault",
            "block",
            f"the planner failed on this node's facts: {type(error).__name__}: {error}",
            "Nothing was changed. Please report this with the node's facts (ansible_facts.runtime).",
        )
        return Plan(node, settings.node_name or node, settings.goal, "none", "docker", False, findings=(finding,))


def _read_journal(draft: Draft) -> None:
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
    draft.state, draft.journal = state, journal
    if journal_text.is_older(draft.facts.files):
        draft.warn(
            "journal-damaged",
            f"{JOURNAL} is damaged or missing; the generation before it is used, and its last entry may be lost",
            "Look for what damaged it: a full disk, or somebody's hand.",
        )


def _plan_provision(draft: Draft) -> None:
    facts, settings = draft.facts, draft.settings
    draft.cgroup_driver = settings.cgroup_driver or ("systemd" if facts.os.init == "systemd" else "cgroupfs")
    if draft.cgroup_driver not in ("systemd", "cgroupfs"):
        draft.block(
            "cgroup-driver-unknown",
            f"there is no cgroup driver {draft.cgroup_driver!r}",
            "Set unshim_cgroup_driver to systemd or cgroupfs.",
        )
    draft.sandbox_image = settings.sandbox_image
    draft.kubelet_version = ""
    if facts.kubelet.pid or draft.unit("kubelet.service").active_state == "active":
        draft.block(
            "kubelet-runs", "a kubelet runs on this node, so it is not one to provision", "Use migrate.yml for it."
        )
    row = compat.operating_system(facts.os)
    draft.cni_bin_dir, draft.cni_conf_dir = row.cni_directory or cni.BIN_DIR, cni.CONF_DIR
    plan_package(draft)
    plan_archives(draft)
    choose_containerd_root(draft)
    if row.cni and not any(archive.name == "cni" for archive in settings.containerd_archives):
        known = facts.packages.get(row.cni)
        if known is not None and not known.version and (known.candidate or compat.lists_absent(facts)):
            draft.packages.append(
                PackageChange(row.cni, "prepare", "", known.candidate, "containerd calls CNI plugins for pods")
            )
    if row.support == "yes" and not draft.containerd.problem:
        _note_cni_plugins_absent(draft, row.cni)
    plan_containerd(draft)
    plan_root_change(draft)
    if not draft.sandbox_image:
        draft.sandbox_image = _sandbox_image_of_containerd(draft)
    plan_host(draft)
    plan_containerd_unit(draft)
    draft.source = "none"
    draft.done = facts.containerd.installed


def _sandbox_image_of_containerd(draft: Draft) -> str:
    try:
        set_to = containerd_config.sandbox_image(containerd_config.parse(draft.text(containerd_config.PATH) or ""))
    except containerd_config.ConfigError:  # plan_containerd says so
        set_to = ""
    return set_to or draft.facts.containerd.default_sandbox_image


def _note_cni_plugins_absent(draft: Draft, package: str) -> None:
    """Say where nothing brings CNI plugins: containerd is ready then, and no pod ever gets a network."""
    seen = draft.facts.cni_plugins.get(draft.cni_bin_dir, ())
    brought = any(one.name == package for one in draft.packages) or any(
        one.name == "cni" for one in draft.settings.containerd_archives
    )
    if "loopback" not in seen and not brought and not (package and draft.has_package(package)):
        draft.warn(
            "cni-plugins-absent",
            f"there are no CNI plugins in {draft.cni_bin_dir}, and what is installed here brings none: no pod gets a network",
            "Install the package kubernetes-cni with the kubelet, or name the plugins' release file in unshim_containerd_archives.",
        )


def _plan_migrate(draft: Draft) -> None:
    line = read_kubelet(draft)
    if line is None and not draft.argv:
        return
    draft.source = source(draft)
    if draft.source == "unknown":
        draft.source = "none"
        named = flag_value(draft.argv, "container-runtime-endpoint") or flag_value(draft.argv, "container-runtime")
        draft.block(
            "source-unknown",
            f"the kubelet runs on {named}, which is neither Docker nor containerd at {draft.endpoint}",
            "unshim moves nodes from dockershim and cri-dockerd only; leave this one out.",
        )
        return
    read_shim(draft)
    read_docker_settings(draft)
    note_docker_callers(draft)
    if draft.source == "containerd" and _is_moved(draft):
        _keep(draft)
        if not draft.done:  # the API is told after the switch, so a run cut short may not have come to it
            _plan_annotation(draft)
        return
    draft.containerd = choose_containerd(draft)
    check_docker(draft)
    plan_foreign_containers(draft)
    if draft.source == "containerd":  # stopped halfway: its files name containerd, the rest is not there yet
        _keep(draft)
    else:
        plan_cgroup_driver(draft)
        plan_sandbox_image(draft)
    plan_images(draft)
    choose_containerd_root(draft)
    if draft.source != "containerd":
        plan_cni(draft)
        plan_package(draft)
        plan_archives(draft)
        plan_registries(draft)
        plan_containerd(draft)
        note_registry_logins(draft)
        plan_proxies(draft)
        judge_docker_settings(draft)
    plan_host(draft)
    plan_containerd_unit(draft)
    plan_root_change(draft)
    plan_kubelet(draft, line)
    _plan_switch_units(draft)
    _plan_annotation(draft)


def _plan_annotation(draft: Draft) -> None:
    """Plan kubeadm's record of the CRI socket, where kubeadm is used at all."""
    if (
        draft.file("/etc/kubernetes").kind == "directory"
        or draft.file("/var/lib/kubelet/kubeadm-flags.env").kind != "missing"
    ):
        draft.annotations.append(AnnotationChange(CRI_SOCKET_ANNOTATION, None, draft.endpoint))


def _is_moved(draft: Draft) -> bool:
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


def _keep(draft: Draft) -> None:
    """Take what a node on containerd is set to from its own files: the kubelet no longer says it."""
    facts = draft.facts
    draft.containerd = compat.ContainerdChoice(version=facts.containerd.version)
    draft.cgroup_driver = kubelet_cgroup_driver(draft)
    try:
        data = containerd_config.parse(draft.text(containerd_config.PATH) or "")
        if draft.state != "docker":  # we moved it, maybe before this was carried over
            check_pod_sysctls(draft, draft.text(containerd_config.PATH) or "")
    except containerd_config.ConfigError:
        data = {}
    draft.snapshotter = containerd_config.snapshotter(data)
    plugins, conf = containerd_config.cni_directories(data)
    draft.cni_bin_dir, draft.cni_conf_dir = plugins or cni.BIN_DIR, conf or cni.CONF_DIR
    draft.sandbox_image = (
        containerd_config.sandbox_image(data)
        or flag_value(draft.argv, "pod-infra-container-image")
        or facts.containerd.default_sandbox_image
    )


def _plan_switch_units(draft: Draft) -> None:
    """The order is that of the switch: nothing may start containers while the runtimes change places."""
    kubelet = draft.unit("kubelet.service")
    enabled = kubelet.unit_file_state or "not enabled"
    changes = draft.source != "containerd" or any(change.role == "kubelet" for change in draft.files)
    if changes and kubelet.active_state == "active":
        draft.change_unit(kubelet, "switch", "stop", f"inactive, {enabled}", "its runtime changes")
    plan_docker_units(draft)
    if any(change.stage == "switch" and change.role == "containerd_config" for change in draft.files):
        containerd = replace(draft.unit("containerd.service"), active_state="active")
        draft.change_unit(
            containerd, "switch", "restart", "active, enabled", f"its data is in {draft.containerd_root} from then on"
        )
    if changes or kubelet.active_state != "active":
        draft.change_unit(kubelet, "switch", "start", f"active, {enabled}", "with containerd as its runtime")
