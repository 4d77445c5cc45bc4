"""The part of a plan that concerns registries: how containerd reaches each as Docker did, and who logs in to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from . import compat, containerd_config, registries
from .facts import File
from .kubelet_command_line import flag_value
from .plan_draft import JOURNAL, Draft
from .plan_model import FileCopy
from .registries import DOCKER_CERTS_D, DockerRegistries, Registry

CLI_LOGINS = "/root/.docker/config.json"  # what `docker pull` reads
_REASON = "registry as Docker reaches it"


def plan_registries(draft: Draft) -> None:
    """Plan hosts.toml files and copies of certificates, or tables of config.toml, for Docker's registry settings.

    What somebody else has set for a registry is never overwritten.
    """
    wanted = registries.read(draft.daemon_json, draft.facts.files, _images(draft), draft.docker_origins)
    for problem in wanted.problems:
        draft.warn(problem.id, problem.message, problem.remedy)
    if draft.containerd.lists_absent:
        return  # the form depends on the version
    try:
        data = containerd_config.parse(draft.text(containerd_config.PATH) or "")
    except containerd_config.ConfigError:
        return  # it blocks already
    table = containerd_config.registry(data)
    version = draft.containerd.version
    configured = table.get("config_path")
    roots = [root.rstrip("/") for root in configured.split(":") if root] if isinstance(configured, str) else []
    directory = roots[0] if roots else containerd_config.CERTS_D
    _tell_networks(draft, wanted)
    if registries.needs_tables(version, table):
        _plan_tables(draft, wanted, table, directory)
        return
    if directory == DOCKER_CERTS_D and wanted.registries:
        draft.warn(
            "registry-docker-directory",
            f"{containerd_config.PATH} makes containerd read Docker's {DOCKER_CERTS_D}, so its files and the certificates "
            "beside them stay there",
            f"Keep {DOCKER_CERTS_D} when Docker is removed, or set config_path to {containerd_config.CERTS_D} and plan again.",
        )
    if len(roots) > 1 and wanted.registries:
        _tell_several_roots(draft, roots)
    for registry in wanted.registries:
        _plan_hosts_toml(draft, wanted, registry, roots or [directory])


def in_tables(draft: Draft, data: Mapping[str, Any]) -> bool:
    """Return whether registries are set in config.toml itself, not in hosts.toml files."""
    return registries.needs_tables(draft.containerd.version, containerd_config.registry(dict(data)))


def _images(draft: Draft) -> list[str]:
    docker = draft.facts.docker
    names = registries.images_named(docker.images)
    return names + [c.image for c in docker.containers if not c.image.startswith("sha256:")]


def _tell_networks(draft: Draft, wanted: DockerRegistries) -> None:
    where = draft.docker_origins.get("insecure-registries", registries.DAEMON_JSON)
    for network, hosts in wanted.networks.items():
        seen = f"of those seen in this node's images, {', '.join(hosts)} is carried over" if hosts else ""
        seen = seen.replace(" is carried", " are carried") if len(hosts) > 1 else seen
        too = " too" if hosts else ""
        unknown = (
            f"{', '.join(wanted.names)} may be in it{too}, but names are not resolved here" if wanted.names else ""
        )
        said = "; ".join(part for part in (seen, unknown) if part)
        draft.warn(
            "registry-network",
            f"{where}: insecure-registries: {network}: containerd has no form for a whole network"
            + (f"; {said}" if said else ", and no image of this node comes from an address in it"),
            "Name each further registry in it in insecure-registries, or write its hosts.toml.",
        )


def _tell_several_roots(draft: Draft, roots: list[str]) -> None:
    """From 2.1 on the transfer service takes config_path for one directory, which does not exist (containerd#12636)."""
    parsed = compat.parse_version(draft.containerd.version)
    if parsed and parsed >= (2, 1, 0):
        draft.warn(
            "registry-two-directories",
            f"{containerd_config.PATH} sets config_path to {':'.join(roots)}, which containerd {draft.containerd.version} takes for "
            f"one directory and so reads no hosts.toml; it is set to {roots[0]}",
            f"Move what is in the other directories to {roots[0]}." if roots[1:] != [DOCKER_CERTS_D] else "",
        )


# hosts.toml


def _plan_hosts_toml(draft: Draft, wanted: DockerRegistries, registry: Registry, roots: list[str]) -> None:
    directory = roots[0]
    path = f"{directory}/{registry.name}/hosts.toml"
    text = registries.hosts_toml(registry, wanted.certificates, directory)
    ours: dict[str, str | None] = {path: text}
    for host in registry.hosts:
        ours |= {registries.copied(source, directory): None for source in wanted.certificates[host].paths}
    obstacle = _obstacle(draft, registry, roots, ours)
    if obstacle:
        draft.warn(
            "registry-exists",
            f"{obstacle} is there and not of unshim's making, so the settings for {registry.name} are left as they are",
            f"Check that they do what {_settings_of(registry, wanted)} did for Docker.",
        )
        return
    default = f"{directory}/_default/hosts.toml"
    if draft.file(default).kind != "missing" and draft.file(path).kind == "missing":
        draft.warn(
            "registry-default",
            f"{default} will no longer count for {registry.name}, which gets a file of its own as Docker's settings ask",
        )
    for host in registry.hosts:
        _plan_copies(draft, wanted.certificates[host].paths, directory)
    draft.change(path, "prepare", _REASON, text, "registry")


def _settings_of(registry: Registry, wanted: DockerRegistries) -> str:
    if registry.name == registries.HUB:
        return "registry-mirrors"
    return f"{DOCKER_CERTS_D}/{registry.name}" if registry.name in wanted.certificates else "insecure-registries"


def _obstacle(draft: Draft, registry: Registry, roots: list[str], ours: Mapping[str, str | None]) -> str:
    """Return a file that somebody else has put where containerd looks for this registry, "" if there is none."""
    prefixes = tuple(f"{root}/{name}/" for root in roots for name in registries.host_directories(registry.name))
    for path in sorted(path for path in draft.facts.files if path in ours or path.startswith(prefixes)):
        file = draft.facts.files[path]
        if file.kind == "missing" or _is_ours(draft, file):
            continue
        if path.startswith(DOCKER_CERTS_D + "/") and not path.endswith("/hosts.toml"):
            continue  # Docker's own
        if path not in ours or not _says(draft, file, ours[path]):
            return path
    return ""


def _says(draft: Draft, file: File, text: str | None) -> bool:
    """Return whether a file is as wanted: this text, or for None what the certificate it would be copied from holds."""
    if text is not None:
        return file.content == text
    source = draft.file(DOCKER_CERTS_D + "/" + "/".join(file.path.split("/")[-2:]))
    # A key's content is not known here; the node compares it before it copies.
    return not file.sha256 or not source.sha256 or file.sha256 == source.sha256


def _is_ours(draft: Draft, file: File) -> bool:
    """Return whether a file is as unshim wrote it, by the journal."""
    journal = draft.file(JOURNAL).content
    try:
        record = json.loads(journal or "{}")["files"][file.path]
        # The second: a run that was cut short had begun to write it.
        written = {record["written_sha256"], record.get("writing_sha256")} - {None, ""}
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    content = file.sha256 or (hashlib.sha256(file.content.encode()).hexdigest() if file.content is not None else "")
    return bool(written) and (content in written or (not content and file.kind == "file"))


def _plan_copies(draft: Draft, sources: tuple[str, ...], directory: str) -> None:
    """Plan that certificates are copied below containerd's directory, where they stay when Docker goes."""
    if directory == DOCKER_CERTS_D:
        return
    current = {source: _is_current(draft, source, registries.copied(source, directory)) for source in sources}
    for source in sources:
        other = source.removesuffix(".key") + ".cert" if source.endswith(".key") else source
        if current[source] and current.get(other, True):
            continue
        file = draft.file(source)
        what = "key" if source.endswith(".key") else "certificate"
        copy = FileCopy(
            source,
            registries.copied(source, directory),
            "prepare",
            f"registry's {what} as Docker has it",
            file.mode or "0600",
            _known(file.owner),
            _known(file.group),
            "registry",
            source.endswith(".key") or (file.content is None and file.is_utf8),
        )
        if copy not in draft.copies:
            draft.copies.append(copy)


def _known(name: str) -> str:
    return name if name not in ("", "UNKNOWN") else "root"  # stat(1) on a number without a name


def _is_current(draft: Draft, source: str, path: str) -> bool:
    there, wanted = draft.file(path), draft.file(source)
    if there.kind == "missing":
        return False
    return not there.sha256 or not wanted.sha256 or there.sha256 == wanted.sha256


# Tables of config.toml


def _plan_tables(draft: Draft, wanted: DockerRegistries, table: Mapping[str, Any], directory: str) -> None:
    version = draft.containerd.version
    path = containerd_config.PATH
    untold = []
    carried = []
    for registry in wanted.registries:
        rows = registries.rows(registry, wanted.certificates, directory)
        lacking = registries.merged(table, rows)
        if lacking and registries.tables_lack_tls(version) and any(keys[0] == "configs" for keys, _ in rows):
            untold.append(f"{registry.name} ({_settings_of(registry, wanted)})")
            continue
        if lacking is None:
            draft.warn(
                "registry-exists",
                f"{path} says something else of {registry.name} than Docker's settings, and is left so",
                f"Check that it does what {_settings_of(registry, wanted)} did for Docker.",
            )
            continue
        if not _plan_table_files(draft, wanted, registry, directory):
            continue
        draft.registry_tables += [row for row in lacking if row not in draft.registry_tables]
        carried += [registry.name] if lacking else []
    if untold:
        draft.warn(
            "registry-not-carried",
            f"{path} sets registries the old way, where containerd {version} has neither certificates nor HTTPS without "
            f"verification any more, so what Docker has of these is not carried over: {', '.join(untold)}",
            "Move registry.mirrors and registry.configs to hosts.toml files in /etc/containerd/certs.d, and plan again.",
        )
    if carried:
        why = (
            "there are such tables already" if registries.reads_hosts_toml(version) else "it reads no hosts.toml files"
        )
        draft.note(
            "registry-tables",
            f"{', '.join(carried)}: set in registry.mirrors and registry.configs of {path}, as containerd {version} needs it: {why}",
        )


def _plan_table_files(draft: Draft, wanted: DockerRegistries, registry: Registry, directory: str) -> bool:
    """Plan the certificates a registry's tables name; returns False if they cannot be had."""
    for host in registry.hosts:
        trusted = wanted.certificates[host]
        if len(trusted.client) > 1:
            draft.warn(
                "registry-client-certificate",
                f"{DOCKER_CERTS_D}/{host}: containerd {draft.containerd.version} takes one client certificate, "
                f"{trusted.client[0][0].rsplit('/', 1)[1]}; the others are left out",
            )
        if len(trusted.ca) > 1:
            texts = [draft.file(path).content for path in trusted.ca]
            if any(text is None for text in texts):
                draft.warn(
                    "registry-not-carried",
                    f"{DOCKER_CERTS_D}/{host} is not carried over: containerd {draft.containerd.version} takes one CA file, and these "
                    "cannot be put into one, for a private key is in one of them or it cannot be read",
                    "Put the certificates alone into one .crt file.",
                )
                return False
            bundle = "".join((text or "").rstrip("\n") + "\n" for text in texts)
            path = f"{directory}/{host}/{registries.BUNDLE}"
            if path not in (change.path for change in draft.files):
                draft.change(path, "prepare", _REASON, bundle, "registry")
        else:
            _plan_copies(draft, trusted.ca, directory)
        for pair in trusted.client[:1]:
            _plan_copies(draft, pair, directory)
    return True


# Logins


def note_registry_logins(draft: Draft) -> None:
    """Say which registry logins the kubelet goes on using, and which only Docker's command line did.

    The kubelet itself reads them and sends them with each pull, to dockershim as to any CRI runtime
    (pkg/kubelet/kuberuntime/kuberuntime_image.go); nothing of them is Docker's to lose.
    """
    kubelet = draft.facts.kubelet
    root = flag_value(draft.argv, "root-dir") or "/var/lib/kubelet"
    search = registries.LoginSearch(root, kubelet.directory or "/", kubelet.environment.get("HOME", ""))
    present = [path for path in search.paths if draft.file(path).kind not in ("missing", "directory")]
    used = present[0] if present else ""
    if used:
        hosts = registries.logged_in(draft.facts.registry_logins.get(used, ()))
        for_what = f" for {', '.join(hosts)}" if hosts else ""
        draft.note(
            "registry-login-kept",
            f"{used}: the kubelet itself reads its registry logins{for_what} there and sends them with each pull, to containerd "
            "as to Docker; they stay in use and are not copied",
        )
        helpers = [name for name in ("credsStore", "credHelpers") if name in draft.facts.registry_logins.get(used, ())]
        if helpers:
            draft.warn(
                "registry-login-helper",
                f"{used} names {' and '.join(helpers)}, which only Docker's command line asks: the kubelet never did and will not",
                "Give pods imagePullSecrets, or the kubelet a credential provider, if it should have those logins.",
            )
    if CLI_LOGINS not in search.paths and draft.file(CLI_LOGINS).kind not in ("missing", "directory"):
        hosts = registries.logged_in(draft.facts.registry_logins.get(CLI_LOGINS, ()))
        for_what = f" (for {', '.join(hosts)})" if hosts else ""
        draft.note(
            "registry-login-unused",
            f"{CLI_LOGINS}: these registry logins{for_what} are Docker's command line's: this kubelet has "
            f"{'HOME=' + kubelet.environment['HOME'] if kubelet.environment.get('HOME') else 'no HOME'}, so it looks in "
            f"{search.paths[0]} and not there; the file stays, and no pod ever had them",
            f"Copy it to {search.paths[0]} if the kubelet should log in as well.",
        )
