"""Docker-in-Docker on a host without Kubernetes: a systemd unit that runs the same container through the host's containerd."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from . import address_pools, daemon_settings, model, registry_settings
from .manifests import START
from .model import DindError, Networks, Registries, Settings

UNIT = "unshim-dind.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
CONFIGURATION = "/etc/unshim-dind"
NAMESPACE = "unshim-dind"  # containerd's
CONTAINER = "dind"
# systemd takes "$$" for one "$", and knows MAINPID.
_STARTED = (
    "ExecStartPost=/bin/sh -c 'while kill -0 $MAINPID; do "
    f"ctr --namespace {NAMESPACE} task exec --exec-id ready-$$$$ {CONTAINER} /bin/sh /etc/dind/start.sh ready 2>/dev/null && exit 0; "
    "sleep 1; done; exit 1'"
)


@dataclass(frozen=True)
class HostFiles:
    """Text by path. Those in ``secret`` may hold a password."""

    files: dict[str, str]
    secret: tuple[str, ...] = field(default=())


def files(settings: Settings, registries: Registries, networks: Networks, iptables: str) -> HostFiles:
    """Return the files of the unit and of its container.

    The container shares the host's network, as the host's Docker did: ports that containers publish are the host's.

    Args:
        iptables: the flavour chosen for this host.
    """
    settings = model.checked(settings)
    registries = registry_settings.with_cluster(registries, networks)
    daemon_json = daemon_settings.text(daemon_settings.of(settings, registries, address_pools.choose(networks)))
    found = {
        f"{CONFIGURATION}/daemon.json": daemon_json,
        f"{CONFIGURATION}/start.sh": START,
        f"{CONFIGURATION}/environment": environment(settings, registries, iptables),
        UNIT_FILE: unit(settings),
    }
    for host, text in registries.ca.items():
        found[f"{CONFIGURATION}/certs.d/{host}/ca.crt"] = text
    return HostFiles(found, (f"{CONFIGURATION}/environment",) if registries.proxies else ())


def environment(settings: Settings, registries: Registries, iptables: str) -> str:
    """Return what `ctr run --env-file` takes: NAME=VALUE lines, without quotes."""
    variables = {"DIND_IPTABLES": iptables, "DIND_MTU": str(settings.mtu), **registries.proxies}
    for name, value in variables.items():
        if re.search(r"[\x00-\x1f\x7f]", value):
            raise DindError(f"{name} holds a control character; correct it where Docker or containerd has it.")
    return "".join(f"{name}={value}\n" for name, value in sorted(variables.items()))


def memory_limit(settings: Settings) -> int:
    """Return the memory limit in bytes that the resources name, 0 if none."""
    text = str(((settings.resources or {}).get("limits") or {}).get("memory") or "")
    match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|Ti|k|M|G|T)?", text)
    if not text or not match:
        return 0
    return int(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}.get(
        match[2] or "", 1024 ** (1 + "KMGT".index((match[2] or "K")[0]))
    )


def unit(settings: Settings) -> str:
    """Return the unit's text."""
    mounts = (
        (model.HOST_DATA_DIRECTORY, model.DATA_DIRECTORY, "rbind:rw"),
        (model.HOST_SOCKET_DIRECTORY, model.SOCKET_DIRECTORY, "rbind:rw"),
        (CONFIGURATION, "/etc/dind", "rbind:ro"),
        (f"{CONFIGURATION}/certs.d", "/etc/docker/certs.d", "rbind:ro"),
    )
    options = [f"--mount type=bind,src={source},dst={target},options={how}" for source, target, how in mounts]
    limit = memory_limit(settings)
    if limit:
        options.append(f"--memory-limit {limit}")
    ctr = f"/usr/bin/env ctr --namespace {NAMESPACE}"
    arguments = " \\\n  ".join(
        [
            f"ExecStart={ctr} run --rm --privileged --net-host",
            f"--env-file {CONFIGURATION}/environment",
            f"--cgroup /{NAMESPACE}",
            # CRI mounts it by itself, ctr does not; runc takes the type for either version.
            "--mount type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=rw:nosuid:noexec:nodev:relatime",
            *options,
            f"{settings.image} {CONTAINER} /bin/sh /etc/dind/start.sh run",
        ]
    )
    return f"""\
# Written by unshim: dockerd in a container of this host's containerd. Its socket is {model.HOST_SOCKET_DIRECTORY}/docker.sock,
# its data {model.HOST_DATA_DIRECTORY}. Settings are in {CONFIGURATION}.
[Unit]
Description=Docker in a container of containerd
After=containerd.service network-online.target
Wants=network-online.target
Requires=containerd.service

[Service]
RuntimeDirectory={model.HOST_SOCKET_DIRECTORY.removeprefix("/run/")}
RuntimeDirectoryMode=0755
# What a start that was cut short has left.
ExecStartPre=-{ctr} task kill --signal SIGKILL {CONTAINER}
ExecStartPre=-{ctr} task delete --force {CONTAINER}
ExecStartPre=-{ctr} container delete {CONTAINER}
{arguments}
# Started is when dockerd answers, and failed when ctr has ended before.
{_STARTED}
# ctr passes the signal on to its container, which is not below this unit, and ends with it.
KillMode=mixed
TimeoutStartSec=180
TimeoutStopSec={daemon_settings.GRACE_PERIOD}
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""
