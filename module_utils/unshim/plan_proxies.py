"""The part of a plan that concerns proxies: containerd reaches registries the way dockerd did."""

from __future__ import annotations

from typing import Any

from . import cni, proxies, unit_environment
from .kubelet_command_line import flag_value
from .kubelet_flags import FlagError
from .plan_draft import Draft
from .unit_environment import Variable


def plan_proxies(draft: Draft) -> None:
    """Plan a drop-in of containerd.service with dockerd's proxies; one that is there already is never overridden."""
    if draft.docker_was_stopped_by_us and draft.file(proxies.PATH).kind != "missing":
        return  # what dockerd ran with can no longer be seen
    try:
        in_files = _environment(draft, "docker.service")
        own = {
            name.upper(): variable
            for name, variable in _environment(draft, "containerd.service").items()
            if variable.value and variable.path != proxies.PATH
        }
    except FlagError as error:
        draft.block("unit-unparsable", str(error), "Correct the file.")
        return
    running = draft.facts.docker.environment
    if running is None or not draft.facts.docker.command_line:
        environment = {name: variable.value for name, variable in in_files.items()}
    else:
        environment = running
        _compare(draft, in_files, running)
    wanted = proxies.effective(environment, draft.daemon_json)
    if any(name in wanted for name in proxies.PROXIES):
        wanted["NO_PROXY"] = proxies.no_proxy(wanted.get("NO_PROXY", ""), _inside(draft))
    else:
        wanted.pop("NO_PROXY", None)
    if any(name in own for name in proxies.NAMES):
        _compare_with_own(draft, wanted, own)
        wanted = {name: value for name, value in wanted.items() if name not in proxies.NAMES}
    wanted = {name: value for name, value in wanted.items() if name not in own}
    if not wanted:
        return
    try:
        text = proxies.drop_in(wanted)
    except ValueError as error:
        draft.block("docker-proxy-odd", f"dockerd's {error}", "Correct it in Docker's settings, and restart Docker.")
        return
    secret = proxies.has_password(wanted)
    draft.change(
        proxies.PATH,
        "prepare",
        "registries as Docker reaches them",
        text,
        "containerd_unit",
        secret,
        "0600" if secret else "0644",
    )


def _environment(draft: Draft, name: str) -> dict[str, Variable]:
    files = draft.facts.files
    return unit_environment.environment(unit_environment.unmasked(draft.unit(name), files), files)


def _compare(draft: Draft, in_files: dict[str, Variable], running: dict[str, str]) -> None:
    """Block where Docker's files say something else than what it runs with: one of both is wrong."""
    for name in (*proxies.NAMES, *(name.lower() for name in proxies.NAMES), *proxies.CERTIFICATES):
        if name in in_files and in_files[name].exact and in_files[name].value != running.get(name, ""):
            has = "another value" if running.get(name) else "none"
            draft.block(
                "docker-proxy-differs",
                f"{in_files[name].place} gives dockerd {name}, but the running dockerd has {has}",
                "Restart Docker, or take the change back, and plan again.",
            )


def _compare_with_own(draft: Draft, wanted: dict[str, str], own: dict[str, Variable]) -> None:
    for name in proxies.PROXIES:
        has = own[name].value if name in own else ""
        if wanted.get(name, "") != has:
            place = own[name].place if has else next(own[n].place for n in proxies.NAMES if n in own)
            draft.warn(
                "containerd-proxy-exists",
                f"containerd has proxy settings of its own ({place}), whose {name} is not dockerd's; they are left as they"
                " are",
                "Check that containerd reaches the registries.",
            )
    if "NO_PROXY" in wanted:
        has = own["NO_PROXY"].value if "NO_PROXY" in own else ""
        lacks = [entry for entry in proxies.entries(wanted["NO_PROXY"]) if entry not in proxies.entries(has)]
        if lacks and "*" not in proxies.entries(has):
            draft.warn(
                "containerd-no-proxy",
                f"containerd has proxy settings of its own; its NO_PROXY lacks {', '.join(lacks)}",
                "Add those that pods' images come from.",
            )


def _inside(draft: Draft) -> list[str]:
    """Return what a proxy has no business with: the node, its pods, the cluster's Services and its API server."""
    files, config = draft.facts.files, draft.kubelet_config
    found = cni.read(files, draft.cni_conf_dir or cni.CONF_DIR)
    services = proxies.service_ranges(files) or _strings(config.get("clusterDNS"))
    services = services or (flag_value(draft.argv, "cluster-dns") or "").split(",")
    domain = str(config.get("clusterDomain") or flag_value(draft.argv, "cluster-domain") or "cluster.local")
    inside = [
        "localhost",
        "127.0.0.1",
        *draft.facts.addresses,
        *proxies.pod_ranges(draft.file(found.path).content or "" if found.path else "", files, draft.argv),
        *services,
        ".svc",
        "." + domain.strip("."),
        proxies.host(draft.facts.kubelet.kubeconfig_server),
        *(entry.strip() for entry in draft.settings.no_proxy),
    ]
    return [entry for entry in inside if entry and "," not in entry]


def _strings(value: Any) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
