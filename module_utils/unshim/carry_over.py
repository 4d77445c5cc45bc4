"""What becomes of every setting of Docker's on a node that leaves it: one row each, with its reason and its source.

``docs/carry-over.md`` is made from this table, a plan's "not carried over" list and its warnings come from it, and
whoever teaches unshim to carry a setting changes that setting's row here.

Sources: "dockerd" is docs.docker.com/reference/cli/dockerd and moby's daemon/config/config.go, config_linux.go; other
paths in moby, Kubernetes 1.20 and containerd are named as such. What dockershim asked of Docker is also in cri-dockerd,
which continues it (core/, libdocker/).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import proxies
from .plan_model import NotCarried
from .registries import redacted

HOW = ("carried", "kubelet", "warns", "blocks", "not-carried")
PLACES = ("daemon.json", "dockerd", "docker.service", "docker's files", "kubelet")


@dataclass(frozen=True)
class Row:
    """One setting.

    ``how``: "carried" (containerd or the node is set to the same), "kubelet" (the kubelet has or gets it), "warns" (lost,
    and pods could notice), "blocks" (the node is not moved with it), "not-carried" (lost, and no pod notices).
    """

    setting: str  # the key of daemon.json, else as people write it
    how: str
    becomes: str  # "" : nothing
    reason: str  # one sentence, without the full stop
    source: str
    place: str = "daemon.json"
    remedy: str = ""  # of those that warn or block
    harmless: tuple[Any, ...] = (False, "", None, 0)  # of those that warn or block: values that ask for nothing
    usual: tuple[Any, ...] = ()  # values that packages' own units give, and nobody needs to be told of


_DOCKERD = "dockerd"
_POD_NETWORK = "pod networks are the CNI's; Docker's own bridge goes with Docker"
_DAEMON = "it configures dockerd itself"
_SWARM = "it is Swarm's"
_BUILDS = "image builds are not the kubelet's"
_PUSHES = "the kubelet pushes no images"
_PORTS = "ports of pods are published by the CNI's portmap"
_API = "it guards or shapes Docker's API, which Kubernetes no longer uses"

_DAEMON_JSON = (
    # Registries
    Row("registry-mirrors", "carried", "hosts.toml of docker.io, in this order, docker.io itself last", "containerd asks registries as its hosts.toml files say", "containerd docs/hosts.md"),
    Row("insecure-registries", "carried", "hosts.toml per host: HTTPS without verification, then HTTP; of a network, for each address in it that images come from", "containerd has no form for a whole network, so a warning names what it was carried for", "moby registry/config.go, service_v2.go"),
    Row("add-registry", "warns", "", "Red Hat's Docker asked these registries for images named without one; containerd asks docker.io", "docker 1.13 of RHEL 7", remedy="Name the registry in the pods' images."),
    Row("block-registry", "warns", "", "Red Hat's Docker never asked these registries; containerd would", "docker 1.13 of RHEL 7", remedy="Block them by policy or firewall if they must stay blocked."),
    Row("max-concurrent-downloads", "carried", "max_concurrent_downloads of containerd's CRI plugin, unless it is set there", "both count the layers that one pull fetches at a time", "dockerd; containerd docs/cri/config.md"),
    Row("max-download-attempts", "not-carried", "", "the kubelet tries a failed pull again by itself", "kubernetes pkg/kubelet/images"),
    Row("max-concurrent-uploads", "not-carried", "", _PUSHES, _DOCKERD),
    Row("allow-nondistributable-artifacts", "not-carried", "", _PUSHES, _DOCKERD),
    # Proxies
    Row("proxies", "carried", "Environment= in /etc/systemd/system/containerd.service.d/unshim-proxy.conf", "NO_PROXY also gets the node, its pods, Services and the API server", "moby daemon/command/daemon.go"),
    *(Row(key, "not-carried", "", "dockerd reads it only inside \"proxies\", so it had no effect; the flag of this name counts as proxies", "moby daemon/config/config.go, since 23.0") for key in ("http-proxy", "https-proxy", "no-proxy")),
    # Storage
    Row("data-root", "carried", "containerd's root on the same disk, where its own has no room for the images", "else containerd stays where it is, since what is in its data directory cannot go along; the plan says so with numbers", "dockerd; containerd docs/ops.md"),
    Row("graph", "carried", "as data-root", "it is the old name of data-root", "moby 17.05"),
    Row("exec-root", "not-carried", "", _DAEMON, _DOCKERD),
    Row("storage-driver", "carried", "the snapshotter btrfs or zfs where containerd's data is on such a file system, else overlayfs", "images are unpacked anew, so only the file system matters; one on which overlayfs does not work blocks", "containerd docs/snapshotters, plugins/snapshots/overlay/overlayutils/check.go"),
    Row("storage-opts", "not-carried", "", "containerd's overlayfs takes no such options; a quota on what a container may write warns", "containerd docs/snapshotters"),
    # Containers
    Row("default-ulimits", "carried", "process.rlimits in a base_runtime_spec for every runtime; with containerd 1.4, limits of containerd.service where it can live with them", "a pod's limits are measured on Docker, and what containerd would not give by itself is set", "moby daemon/oci_linux.go; containerd pkg/cri/server/container_create_linux.go since 1.5"),
    Row("runtimes", "carried", "runtimes of containerd's CRI plugin, by the same names; runtimeArgs in a script /usr/local/sbin/unshim-runtime-NAME", "runc's shim takes a program, but no arguments for it, so they are put into a script as Docker does itself; a runtime that is not on the node is left out with a warning", "moby daemon/runtime_unix.go; containerd docs/cri/config.md"),
    Row("default-runtime", "carried", "default_runtime_name of containerd's CRI plugin", "it is what every pod without RuntimeClass ran with; one that is not on the node blocks", "kubernetes pkg/kubelet/dockershim/docker_sandbox.go; moby daemon/runtime_unix.go", harmless=("runc", "")),
    Row("exec-opts", "kubelet", "SystemdCgroup of containerd's runtimes, from the kubelet", "the cgroup driver is the kubelet's, and a Docker that disagrees with it blocks; Linux knows no other exec-opt", "moby daemon/daemon_unix.go"),
    Row("cgroup-parent", "not-carried", "", "the kubelet gave every pod its cgroup", "kubernetes pkg/kubelet/dockershim/docker_sandbox_others.go"),
    Row("default-cgroupns-mode", "not-carried", "", "containerd decides: the node's on cgroup v1, a private one on v2 unless privileged", "containerd internal/cri/server/container_create.go"),
    Row("default-ipc-mode", "not-carried", "", "dockershim asked for each pod's IPC namespace itself", "kubernetes pkg/kubelet/dockershim/docker_sandbox.go"),
    Row("default-shm-size", "not-carried", "", "dockershim asked for 64 MiB itself, which is what containerd gives", "kubernetes pkg/kubelet/dockershim/libdocker/kube_docker_client.go"),
    Row("default-stop-timeout", "not-carried", "", "a pod's terminationGracePeriodSeconds says it", _DOCKERD),
    Row("init", "warns", "", "Docker put an init process before every container's own; containerd does not, so a program that reaps no children leaves zombies", "moby daemon/oci_linux.go", remedy="Set shareProcessNamespace: true in such pods, or start tini in their images."),
    Row("init-path", "not-carried", "", "it only says where init is", _DOCKERD),
    Row("no-new-privileges", "warns", "", "Docker set no_new_privs for every container; on containerd only a pod says so", "moby daemon/daemon_unix.go", remedy="Set allowPrivilegeEscalation: false in the pods, or enforce it by policy, before this node moves."),
    Row("seccomp-profile", "warns", "", "pods with seccomp RuntimeDefault got this profile; on containerd they get containerd's own", "kubernetes pkg/kubelet/dockershim/helpers.go; moby daemon/seccomp_linux.go", remedy="Put the profile under the kubelet's seccomp directory and name it in the pods as Localhost.", harmless=("", "builtin")),
    Row("selinux-enabled", "carried", "enable_selinux of containerd's CRI plugin", "both label containers where the node enforces SELinux", "dockerd; containerd docs/cri/config.md"),
    Row("userns-remap", "blocks", "", "every container's users were shifted by it, and containerd has no such setting for all: containers' root would become the node's, and what pods left in volumes would belong to users they no longer are", "moby daemon/daemon_unix.go; containerd docs/user-namespaces", remedy="Drain the node, take userns-remap out of Docker's settings, correct the owners of what pods keep on the node, and plan again."),
    Row("cpu-rt-period", "warns", "", "Docker gave its containers' cgroup real-time CPU time, and containers of pods on cgroup v1 may have drawn on it", "moby daemon/daemon_unix.go", remedy="Look for pods with real-time threads before this node moves."),
    Row("cpu-rt-runtime", "warns", "", "Docker gave its containers' cgroup real-time CPU time, and containers of pods on cgroup v1 may have drawn on it", "moby daemon/daemon_unix.go", remedy="Look for pods with real-time threads before this node moves."),
    Row("live-restore", "carried", "what containerd always does", "containerd's containers always survive its restart", "containerd docs/ops.md"),
    Row("cdi-spec-dirs", "not-carried", "", "containerd has /etc/cdi and /var/run/cdi by default; dockershim asked for no CDI device", "containerd docs/cri/config.md"),
    Row("nri-opts", "not-carried", "", "containerd has an NRI plugin of its own; dockershim's containers did not use Docker's", _DOCKERD),
    # Logs
    Row("log-driver", "kubelet", "files under /var/log/pods, which the kubelet rotates", "another driver than json-file or local warns with what will be missing", "moby daemon/logger; kubernetes.io/docs/concepts/cluster-administration/logging"),
    Row("log-opts", "kubelet", "containerLogMaxSize and containerLogMaxFiles of the KubeletConfiguration, or the flags for them; values that are there already stay", "max-size and max-file of json-file and local mean the same to the kubelet, which keeps at least 2 files; without max-size the kubelet's 10Mi and 5 files come new; other options are listed as not carried", "moby daemon/logger/jsonfilelog, daemon/logger/local; kubernetes pkg/kubelet/logs/container_log_manager.go"),
    # Networks
    *(Row(key, "not-carried", "", _POD_NETWORK, _DOCKERD) for key in ("bip", "bip6", "bridge", "mtu", "fixed-cidr", "fixed-cidr-v6", "ipv6", "default-address-pools", "default-gateway", "default-gateway-v6", "default-network-opts", "icc", "ip-masq", "iptables", "ip6tables", "ip-forward-no-drop", "firewall-backend", "allow-direct-routing", "bridge-accept-fwmark", "network-control-plane-mtu", "network-diagnostic-port")),
    Row("ip-forward", "carried", "net.ipv4.ip_forward, in /etc/sysctl.d", "pods need it, and Docker will no longer set it at every start", "moby daemon/libnetwork/drivers/bridge", harmless=()),
    *(Row(key, "not-carried", "", _PORTS, _DOCKERD) for key in ("ip", "userland-proxy", "userland-proxy-path")),
    *(Row(key, "kubelet", "clusterDNS, clusterDomain and resolvConf, which the kubelet has", "dockershim wrote every pod's resolv.conf from what the kubelet said", "kubernetes pkg/kubelet/dockershim/docker_sandbox.go") for key in ("dns", "dns-opts", "dns-search", "resolv-conf")),
    *(Row(key, "not-carried", "", "Kubernetes asks for no host-gateway; hostAliases are the kubelet's", _DOCKERD) for key in ("host-gateway-ip", "host-gateway-ips")),
    # dockerd itself
    Row("hosts", "not-carried", "", _API, _DOCKERD, usual=(["fd://"], ["unix:///var/run/docker.sock"], ["unix://"])),
    *(Row(key, "not-carried", "", _API, _DOCKERD) for key in ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey", "group", "api-cors-header", "authorization-plugins", "min-api-version", "metrics-addr")),
    *(Row(key, "not-carried", "", _DAEMON, _DOCKERD) for key in ("debug", "log-level", "log-format", "raw-logs", "pidfile", "experimental", "features", "shutdown-timeout", "oom-score-adjust", "rootless", "restart", "deprecated-key-path", "default-init")),
    Row("containerd", "not-carried", "", "it says which containerd dockerd uses; the kubelet is given its socket", _DOCKERD, usual=("/run/containerd/containerd.sock", "/var/run/containerd/containerd.sock")),
    *(Row(key, "not-carried", "", "it says which containerd dockerd uses; the kubelet is given its socket", _DOCKERD) for key in ("containerd-namespace", "containerd-plugin-namespace", "containerd-plugins-namespace", "cri-containerd")),
    Row("builder", "not-carried", "", _BUILDS, _DOCKERD),
    *(Row(key, "not-carried", "", _SWARM, _DOCKERD) for key in ("node-generic-resources", "swarm-default-advertise-addr", "swarm-raft-heartbeat-tick", "swarm-raft-election-tick", "cluster-store", "cluster-store-opts", "cluster-advertise")),
    Row("labels", "not-carried", "", "they are labels of the Docker daemon, not of the Kubernetes node", _DOCKERD),
    Row("disable-legacy-registry", "not-carried", "", "containerd never spoke the old registry protocol", "moby 17.12"),
)  # fmt: skip

_ELSEWHERE = (
    # What dockerd does with no setting for it
    Row("ports below 1024 for processes without root: net.ipv4.ip_unprivileged_port_start=0 in every container's network", "carried", "enable_unprivileged_ports of containerd's CRI plugin, unless it is set there", "Docker sets it since 20.10, on Linux 4.11 and newer; containerd 2.0 does by itself, before 1.6 it cannot and the plan warns", "moby daemon/oci_linux.go; containerd pkg/cri/server/sandbox_run_linux.go since 1.6", "dockerd"),
    Row("ping for processes without root: net.ipv4.ping_group_range=0 2147483647 in every container's network", "carried", "enable_unprivileged_icmp of containerd's CRI plugin, unless it is set there", "as for the ports, but Docker sets it since 20.10.13", "moby daemon/oci_linux.go, PR 42736; containerd pkg/cri/server/sandbox_run_linux.go since 1.6", "dockerd"),
    # docker.service and its drop-ins
    Row("HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "carried", "Environment= in /etc/systemd/system/containerd.service.d/unshim-proxy.conf", "as the running dockerd has them, wherever they were given; proxy settings that containerd already has are left, and compared", "moby daemon/command/daemon.go; golang.org/x/net/http/httpproxy", "docker.service"),
    Row("SSL_CERT_FILE, SSL_CERT_DIR", "carried", "Environment= in the same file", "containerd then trusts the certificates dockerd trusted", "Go crypto/x509/root_unix.go", "docker.service"),
    Row("LimitNOFILE and other Limit...", "carried", "as default-ulimits", "containers inherit the limits of the containerd that starts them, and a pod's own are measured, so it does not matter which unit gave them", "systemd.exec(5)", "docker.service"),
    # Docker's files
    Row("certs.d/HOST/*.crt, *.cert and *.key", "carried", "ca and client in HOST's hosts.toml, of copies beside it with the same mode and owner", "containerd trusts for a registry what its hosts.toml names; the files are copied on the node, for Docker's go with Docker", "moby registry/registry.go; containerd docs/hosts.md", "docker's files"),
    Row("config.json and .dockercfg: registry logins", "kubelet", "read by the kubelet itself, as with Docker: the first of ROOT-DIR/config.json, its working directory's, HOME/.docker's and /.docker's", "the kubelet sends them with each pull, to dockershim as to containerd; root's own ~/.docker is Docker's command line's, unless the kubelet has HOME=/root. They are never read or copied by unshim", "kubernetes pkg/credentialprovider/config.go", "docker's files"),
    Row("config.json: credsStore, credHelpers", "not-carried", "", "only Docker's command line asks them; the kubelet never did", "kubernetes pkg/credentialprovider/config.go", "docker's files"),
    # The kubelet's own
    Row("--cni-bin-dir, --cni-conf-dir", "carried", "bin_dir and conf_dir of containerd's CRI plugin", "on containerd the runtime calls the CNI, not the kubelet", "kubernetes 1.20 pkg/kubelet/config/flags.go", "kubelet"),
    Row("--pod-infra-container-image", "carried", "sandbox_image of containerd's CRI plugin", "on containerd the runtime starts the sandbox", "kubernetes 1.20 pkg/kubelet/config/flags.go", "kubelet"),
    Row("--cgroup-driver, cgroupDriver", "carried", "SystemdCgroup of containerd's runtimes", "kubelet and runtime must agree; a Docker that disagrees blocks", "kubernetes.io/docs/setup/production-environment/container-runtimes", "kubelet"),
    Row("--container-runtime, --container-runtime-endpoint", "kubelet", "remote and containerd's socket, as the kubelet's version takes them", "this is the switch", "kubernetes 1.20 pkg/kubelet/config/flags.go", "kubelet"),
    Row("--runtime-cgroups", "kubelet", "containerd.service in place of docker.service", "the kubelet reads the runtime's own use of resources there", "kubernetes pkg/kubelet/cm/container_manager_linux.go", "kubelet"),
    Row("--image-service-endpoint", "kubelet", "removed where it names Docker's shim", "without it the runtime's endpoint serves images too", "kubernetes cmd/kubelet/app/options/options.go", "kubelet"),
    Row("--container-log-max-size, --container-log-max-files", "kubelet", "left", "they win over what Docker was told", "kubernetes cmd/kubelet/app/options/options.go", "kubelet"),
    Row("cri-dockerd's --cni-bin-dir, --cni-conf-dir, --pod-infra-container-image", "carried", "as the kubelet's", "cri-dockerd took these flags over from the kubelet; the others of its own are listed as not carried", "cri-dockerd config/options.go", "kubelet"),
    Row("RuntimeClass with the handler docker", "not-carried", "", "dockershim took this one name for its own runtime; containerd refuses pods of such a class, since no runtime is called so: take the class out of the pods, or give it the handler runc, before the first node moves", "kubernetes 1.20 pkg/kubelet/dockershim/docker_sandbox.go, runtimeName", "kubelet"),
    Row("--runtime-request-timeout, --streaming-connection-idle-timeout, --redirect-container-streaming, --cloud-provider and all others", "kubelet", "left", "they mean the same with any runtime", "kubernetes cmd/kubelet/app/options/options.go", "kubelet"),
    Row("--network-plugin, --docker-endpoint and dockershim's other flags", "kubelet", "removed", "they were dockershim's, and a later kubelet does not start with them", "kubernetes pkg/kubelet/config/flags.go, 1.16 to 1.24", "kubelet"),
)  # fmt: skip

ROWS = (*_DAEMON_JSON, *_ELSEWHERE)
BY_KEY: Mapping[str, Row] = {row.setting: row for row in _DAEMON_JSON}

_UNKNOWN = "unshim does not know it"
_SECRET_NAME = re.compile(r"(?i)token|password|passwd|secret|credential|api-?key|access-?key")


def shown(key: str, value: Any) -> str:
    """Return a setting's value as a plan shows it: JSON, with passwords in URLs and values that are secrets hidden."""
    return redacted(json.dumps(_without_secrets(key, value), ensure_ascii=False))


def _without_secrets(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(key, inner) for inner in value]
    if isinstance(value, str) and _SECRET_NAME.search(key):
        return "***"
    if isinstance(value, str) and _SECRET_NAME.search(value.partition("=")[0]) and "=" in value:
        return value.partition("=")[0] + "=***"
    if isinstance(value, str) and key.endswith("-proxy"):
        return proxies.hidden(value)
    return value


def not_carried(settings: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> list[NotCarried]:
    """Return every setting of dockerd's that has no successor on a containerd node, with its reason.

    Those whose loss pods could notice are not among them: they are warnings or block.

    Args:
        settings: dockerd's, by the keys of daemon.json.
        origins: where each was set; daemon.json if not told.
    """
    found = []
    for key, value in settings.items():
        row = BY_KEY.get(key)
        if row is None or (row.how == "not-carried" and value not in row.usual):
            origin = (origins or {}).get(key, "/etc/docker/daemon.json")
            found.append(NotCarried(f"{origin}: {key}", shown(key, value), row.reason if row else _UNKNOWN))
    return found
