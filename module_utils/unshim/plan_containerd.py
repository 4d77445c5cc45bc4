"""The part of a plan that concerns containerd: package, configuration, CNI, registries, unit."""

from __future__ import annotations

from . import cni, compat, containerd_config, containerd_imports, plan_registries, pod_sysctls, registries
from .kubelet_command_line import flag_value
from .plan_container_settings import plan_container_settings
from .plan_draft import Draft, same_endpoint
from .plan_install import choose_containerd, plan_companions, plan_repository
from .plan_model import PackageChange
from .plan_pod_sysctls import check_pod_sysctls, plan_pod_sysctls


def plan_cni(draft: Draft) -> None:
    """Find the CNI directories the kubelet used, and whether containerd can work with what is in them."""
    plugin = flag_value(draft.shim_argv, "network-plugin")
    # cri-dockerd's default was none at first, and is cni since; it says nothing then.
    if plugin != "cni" and (draft.source == "dockershim" or plugin is not None):
        says = f"--network-plugin={plugin}" if plugin else "no --network-plugin"
        who = "cri-dockerd" if draft.source == "cri-dockerd" else "the kubelet"
        draft.block(
            "no-network-plugin",
            f"{who} runs with {says}: its pods are on Docker's own network, which containerd does not have",
            f"Give the cluster a CNI network and {who} --network-plugin=cni first.",
        )
        return
    draft.cni_conf_dir = (flag_value(draft.shim_argv, "cni-conf-dir") or cni.CONF_DIR).rstrip("/") or "/"
    directories = [
        d.strip().rstrip("/")
        for d in (flag_value(draft.shim_argv, "cni-bin-dir") or cni.BIN_DIR).split(",")
        if d.strip()
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


_FETCH = {"apt": "apt-get update", "dnf": "dnf makecache", "yum": "yum makecache", "zypper": "zypper refresh"}


def plan_package(draft: Draft) -> None:
    """Plan the package, and check that the kubelet and this containerd go together."""
    draft.containerd = choice = choose_containerd(draft)
    if choice.problem:
        if not any(finding.id == "unsupported-os" for finding in draft.findings):  # which no method would help
            draft.block(choice.problem_id, choice.problem, choice.remedy)
        return
    if choice.lists_absent:
        draft.packages.append(PackageChange(choice.package, "prepare", "", "", "CRI runtime"))
        plan_companions(draft)
        plan_repository(draft)
        if draft.repository:
            draft.warn(
                "package-lists-absent",
                f"the version of {choice.package} and what it brings are known once the node has {draft.repository.url}",
                "The repository is set up when it is installed, and the rest is planned then.",
            )
        else:
            draft.warn(
                "package-lists-absent",
                f"this node has no package lists, so the version of {choice.package} and what it brings are not known yet",
                "They are fetched when it is installed, and the rest is planned then. "
                f"Run `{_FETCH.get(draft.facts.os.package_manager, 'apt-get update')}` there to see it now.",
            )
        return
    if choice.package and choice.wanted != choice.installed:
        reason = (
            "CRI runtime; asked for with unshim_containerd_version, and held"
            if draft.settings.containerd_version
            else "CRI runtime"
        )
        draft.packages.append(PackageChange(choice.package, "prepare", choice.installed, choice.wanted, reason))
        plan_companions(draft)
        plan_repository(draft)
    _check_age(draft)
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
            "Set unshim_containerd_version to the version wanted; it is then held.",
        )


def _check_age(draft: Draft) -> None:
    """Block a containerd that would not read its configuration: as Docker 18.09 and 19.03 brought it."""
    choice = draft.containerd
    offered = compat.parse_version(choice.candidate)
    better = f" {choice.candidate}" if offered and offered >= compat.TRIED_CONTAINERD else " 1.4 or newer"
    how = (
        f"Install {choice.package}{better}, which Docker goes on with (unshim_containerd_version can name it), and plan again."
        if choice.package
        else f"Install containerd{better}, and plan again."
    )
    if compat.too_old(choice.version):
        draft.block(
            "containerd-too-old",
            f"containerd {choice.version} reads no config.toml of version 2, so it would know nothing of what the kubelet needs",
            how,
        )
    elif compat.untried(choice.version):
        draft.warn("containerd-untried", f"unshim was never tried with a containerd as old as {choice.version}", how)


def plan_containerd(draft: Draft) -> None:
    """Plan config.toml in the schema of the containerd that will read it."""
    if draft.containerd.lists_absent:
        return  # the schema depends on the version, and the package may bring a file of its own
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
            registry_config_path="" if plan_registries.in_tables(draft, data) else containerd_config.CERTS_D,
            registry_tables=tuple(draft.registry_tables),
            pod_sysctls=plan_pod_sysctls(draft),
            **plan_container_settings(draft, data),
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
            f"Set unshim_cri_endpoint to unix://{listens}, or correct {path}.",
        )
    ignored = containerd_config.ignored_tables(data)
    if ignored:
        draft.warn(
            "containerd-config-ignored",
            f"{path} is of version 4, in which containerd reads no {', '.join(ignored)}",
            "Write them as tables of io.containerd.server.v1.grpc, .ttrpc, .metrics and .debug under plugins.",
        )
    legacy = containerd_config.legacy_registry_keys(data)
    if legacy and (compat.parse_version(draft.containerd.version) or (0, 0, 0)) >= (2, 2, 0):
        # containerd#12612: 2.2 sets config_path itself, and then refuses to load CRI beside mirrors.
        draft.block(
            "legacy-registry-config",
            f"{path} sets {', '.join(legacy)}, with which containerd {draft.containerd.version} does not load CRI",
            "Move them to hosts.toml files in /etc/containerd/certs.d.",
        )
    elif legacy and registries.reads_hosts_toml(draft.containerd.version):
        draft.warn(
            "legacy-registry-config",
            f"{path} sets {', '.join(legacy)}; they stay, and containerd then reads no hosts.toml files",
            "Move them to hosts.toml files in /etc/containerd/certs.d.",
        )
    _check_imports(draft, after, wanted)
    check_pod_sysctls(draft, after)
    secret = containerd_config.holds_logins(data)
    draft.change(path, "prepare", "CRI as the kubelet needs it", after, "containerd_config", secret)


def _check_imports(draft: Draft, text: str, wanted: containerd_config.ContainerdSettings) -> None:
    """Block where the files that config.toml imports take from it what CRI needs; theirs are not ours to change."""
    path, version = containerd_config.PATH, draft.containerd.version
    whole = containerd_imports.load(path, text, draft.facts.files, version)
    for trouble in whole.troubles:
        (draft.block if trouble.blocks else draft.warn)(trouble.id, trouble.message, trouble.remedy)
    if any(trouble.blocks for trouble in whole.troubles) or len(whole.files) < 2:
        return
    disabling = containerd_imports.disabling(whole)
    if disabling:
        draft.block(
            "containerd-import-disables-cri",
            f"{disabling}, which {path} imports, disables CRI",
            f"Take the CRI plugin out of disabled_plugins in {disabling}.",
        )
    data = containerd_config.parse(text)
    # Also what the file said already; not what the file says otherwise and was left so.
    rows = containerd_config.wanted_values(data, version, wanted)
    rows += [
        row for row in containerd_config.wanted_values({"version": data["version"]}, version, wanted) if row not in rows
    ]
    rows = [(keys, value) for keys, value in rows if containerd_imports.value(data, keys) == value]
    # What CRI works without is no reason to block: check_pod_sysctls tells of it.
    rows = [(keys, value) for keys, value in rows if not (value is True and keys[-1] in pod_sysctls.BY_KEY)]
    by_table: dict[tuple[str, str], list[str]] = {}
    for one in containerd_imports.hidden(whole, rows, version):
        by_table.setdefault((one.path, one.table), []).append(".".join(one.keys[2:]))
    for (file, table), keys in by_table.items():
        how = "replaces the whole table of" if (compat.parse_version(version) or (0, 0, 0)) < (2, 0, 0) else "overrides"
        draft.block(
            "containerd-import-hides-settings",
            f"{file} sets {table}, which in containerd {version} {how} {path}: {', '.join(sorted(keys))} would have no effect",
            f"Move the tables below {table} from {file} to {path}, take the file out of imports, and plan again.",
        )
    for name, table in containerd_imports.runtimes(whole).items():
        if name in containerd_config.runtimes(data) or not isinstance(table, dict):
            continue
        options = table.get("options")
        systemd = isinstance(options, dict) and options.get("SystemdCgroup") is True
        if table.get("runtime_type") == containerd_config.RUNC and systemd != wanted.systemd_cgroup:
            draft.warn(
                "containerd-import-cgroup-driver",
                f"the imported runtime {name} has SystemdCgroup = {str(systemd).lower()}, the kubelet's cgroup driver is "
                f"{draft.cgroup_driver}: pods with that RuntimeClass would not start",
                f"Set SystemdCgroup = {str(wanted.systemd_cgroup).lower()} in the file that defines it.",
            )


def plan_containerd_unit(draft: Draft) -> None:
    """Plan that containerd runs with its configuration, now and after a reboot."""
    unit = draft.unit("containerd.service")
    _check_socket(draft)
    configured = any(change.role in ("containerd_config", "containerd_unit") for change in draft.files)
    installing = bool(draft.packages or draft.archives)
    if unit.load_state == "masked" or unit.unit_file_state == "masked":
        draft.block(
            "containerd-masked",
            "containerd.service is masked",
            "Run `systemctl unmask containerd` if containerd may run on this node.",
        )
        return
    if unit.load_state == "not-found" and not installing and draft.facts.units and draft.facts.containerd.installed:
        # As with Docker's static binaries, where dockerd starts a containerd of its own that is nobody else's.
        draft.block(
            "containerd-not-a-unit",
            f"{draft.facts.containerd.binary or 'containerd'} is there, but no unit containerd.service that would start it for the kubelet",
            "Give it one (containerd's sources have containerd.service), run systemctl daemon-reload, and plan again.",
        )
        return
    restart = configured or installing or unit.active_state != "active"
    if restart and unit.active_state == "active" and unit.kill_mode not in ("", "process", "none"):
        # systemd.kill(5): with any other mode a restart ends the shims, and with them every container.
        draft.block(
            "containerd-kill-mode",
            f"containerd.service has KillMode={unit.kill_mode}, so a restart of it would kill every container on this node",
            "Run `systemctl edit containerd`, add [Service] and KillMode=process, and plan again.",
        )
        return
    if restart:
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


def _check_socket(draft: Draft) -> None:
    """Block where containerd's next start would fail: something else is where its socket belongs.

    A container that mounts the socket (hostPath, or docker run -v) while no containerd listens there makes a directory of
    that name. containerd removes a socket it finds, never a directory (sys.CreateUnixSocket); one that runs goes on.
    """
    path = draft.endpoint.removeprefix("unix://")
    places = dict.fromkeys((path, path.removeprefix("/var") if path.startswith("/var/run/") else path))
    kind = next((draft.file(place).kind for place in places if draft.file(place).kind != "missing"), "missing")
    if kind not in ("directory", "file", "other"):
        return
    what = "a directory" if kind == "directory" else "no socket"
    remove = "rmdir" if kind == "directory" else "rm"
    draft.block(
        "containerd-socket-taken",
        f"{path} is {what}, so containerd could not start: it listens there",
        "Most likely a container that mounts it was started while no containerd ran: end that container, remove what is there "
        f"({remove} {path}), start containerd anew (systemctl restart containerd; containers go on), and plan again.",
    )
