"""The part of a plan that concerns the node itself: whether it can be moved at all, kernel, sysctls, crictl."""

from __future__ import annotations

import re

import yaml

from . import compat, host_kernel, yaml_text
from .plan_draft import Draft
from .plan_system import check_cgroups, check_kernel, check_release

CRICTL = "/etc/crictl.yaml"


def check_host(draft: Draft) -> None:
    """Block a node that unshim cannot work on: not root, no systemd, an operating system it does not know."""
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
            "Replace the node by one with Debian, Ubuntu, the RHEL family, Fedora, Amazon Linux or SUSE, or leave it out with --limit.",
        )
    elif facts.os.package_manager and not compat.drives(row, facts.os.package_manager):
        draft.block(
            "unsupported-os",
            f"{facts.os.pretty_name or facts.os.id} has {facts.os.package_manager}, not {row.package_manager}",
            f"Make {row.package_manager} usable on the node.",
        )
    check_release(draft)
    check_cgroups(draft)
    for what in facts.not_seen:
        draft.note("not-seen", f"not looked at: {what}")


def plan_host(draft: Draft) -> None:
    """Plan kernel modules, sysctls and crictl."""
    facts = draft.facts
    check_kernel(draft)
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


def _plan_crictl(draft: Draft) -> None:
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
        data = yaml_text.load(file.content) or {}
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
