"""What was observed on one node, as typed data.

``observe.parse`` makes a :class:`Facts` from the text that ``probe.sh`` prints; ``plan.make`` reads it. Nothing here
interprets: a field says what the node said. ``None`` means "the probe could not see it", an empty list or string means
"it looked and there was nothing".

Sizes are bytes, times are Unix seconds, modes are octal strings such as ``"0644"``.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OperatingSystem:
    """From /etc/os-release, uname and what is on PATH."""

    id: str = ""  # "debian", "ubuntu", "rocky", ...
    version_id: str = ""  # "12"
    codename: str = ""  # "bookworm"
    variant_id: str = ""  # "coreos", "server", ...
    id_like: tuple[str, ...] = ()
    pretty_name: str = ""
    architecture: str = ""  # uname -m
    kernel: str = ""  # uname -r
    init: str = ""  # "systemd", or the name of process 1
    package_manager: str = ""  # "apt", "dnf", "yum", "zypper", "apk", "pacman", ""
    container: str = ""  # "docker", "lxc", ... if the node is itself a container, by systemd's word
    python: str = ""  # version of the node's python3, "" if none


@dataclass(frozen=True)
class File:
    """One file the probe looked at, whether or not it is there."""

    path: str
    kind: str = "missing"  # "file", "directory", "symlink", "socket", "other", "missing", "unreadable"
    content: str | None = None  # None unless kind is "file" (or a symlink to one) and the bytes are UTF-8
    sha256: str = ""  # of the bytes
    mode: str = ""  # "0644"
    owner: str = ""
    group: str = ""
    target: str = ""  # where a symlink finally leads
    is_utf8: bool = True


@dataclass(frozen=True)
class Unit:
    """One systemd unit, from ``systemctl show``."""

    name: str
    load_state: str = "not-found"  # "loaded", "masked", "not-found"
    active_state: str = "inactive"  # "active", "inactive", "failed", "activating"
    unit_file_state: str = ""  # "enabled", "disabled", "masked", "static", ""
    fragment_path: str = ""
    drop_in_paths: tuple[str, ...] = ()
    main_pid: int = 0
    need_daemon_reload: bool = False
    kill_mode: str = ""  # what systemd does to what the unit started: "process" spares containers
    environment_files: tuple[str, ...] = ()  # as systemd resolved them, present or not
    triggered_by: tuple[
        str, ...
    ] = ()  # timers, sockets and paths that start it; asked of services that mention Docker only


@dataclass(frozen=True)
class Package:
    name: str
    version: str = ""  # "" if not installed
    candidate: str = ""  # what the package manager would install now, "" if unknown
    held: bool = False


@dataclass(frozen=True)
class Container:
    """One Docker container. Kubernetes' own carry the label ``io.kubernetes.pod.name``."""

    id: str
    name: str = ""
    image: str = ""
    running: bool = False
    started_at: str = ""  # RFC 3339, as Docker prints it
    pid: int = 0
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """One image in Docker's store."""

    id: str  # "sha256:..."
    tags: tuple[str, ...] = ()  # "name:tag"
    digests: tuple[str, ...] = ()  # "name@sha256:..."
    size: int = 0


@dataclass(frozen=True)
class Docker:
    """Docker Engine as the node has it. ``answers`` is False where docker.service is down: the probe never wakes it."""

    installed: bool = False
    answers: bool = False
    version: str = ""
    root: str = ""  # DockerRootDir
    storage_driver: str = ""
    cgroup_driver: str = ""  # "cgroupfs" or "systemd", from docker info
    default_runtime: str = ""
    runtimes: tuple[str, ...] = ()
    runtime_programs: dict[str, str] = field(
        default_factory=dict
    )  # by runtime, of those that are no shims: as configured
    live_restore: bool = False
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()
    has_client: bool = True  # False: it runs, but the command docker is not there to ask it
    command_line: tuple[str, ...] = ()  # /proc/PID/cmdline of the running dockerd; () if it does not run
    # What the running dockerd has, from docker info; None: could not be seen.
    registry_mirrors: tuple[str, ...] | None = None
    insecure_registries: tuple[str, ...] | None = None
    # Of the running dockerd: proxies and CA variables, in either case. May hold a password. None: could not be seen.
    environment: dict[str, str] | None = None


@dataclass(frozen=True)
class Containerd:
    installed: bool = False
    answers: bool = False
    version: str = ""  # "1.6.20~ds1", as `containerd --version` prints it, leading "v" removed
    socket: str = ""  # "/run/containerd/containerd.sock"
    binary: str = ""  # "/usr/bin/containerd"
    cri_plugin: str = ""  # status of the CRI plugin in `ctr plugins ls`: "ok", "error", "skip", "" if absent
    default_sandbox_image: str = ""  # from `containerd config default`
    k8s_images: tuple[str, ...] = ()  # names in namespace k8s.io
    k8s_tasks: int = 0  # running tasks in namespace k8s.io
    moby_tasks: int = 0  # running tasks in namespace moby
    snapshotters: dict[str, str] = field(default_factory=dict)  # status by name, as of cri_plugin
    oci_spec: str = ""  # JSON: what it starts a container's description from (`ctr oci spec`)
    # Limits its unit gives it and so its containers, as in Facts.limits; {} if systemd did not say.
    unit_limits: dict[str, tuple[int, int]] = field(default_factory=dict)
    other_tasks: dict[str, int] = field(default_factory=dict)  # running tasks of any other namespace that has some
    root: str = ""  # the data directory it is configured with, imports included; "" if not seen


@dataclass(frozen=True)
class Kubelet:
    installed: bool = False
    version: str = ""  # "1.20.2"
    binary: str = ""
    pid: int = 0
    command_line: tuple[str, ...] = ()  # /proc/PID/cmdline of the running kubelet; () if it does not run
    environment: dict[str, str] = field(default_factory=dict)  # HOME and KUBELET_* of the running process
    directory: str = ""  # working directory of the running process
    hostname: str = ""  # what the kubelet would register as without --hostname-override
    kubeconfig_server: str = ""  # API server address in the kubelet's kubeconfig


@dataclass(frozen=True)
class Mount:
    path: str
    device: str = ""
    filesystem: str = ""
    size: int = 0
    available: int = 0
    read_only: bool = False
    unit: str | None = None  # the unit file that mounts it at a start, "" if none does; None: not looked at
    ftype: str = ""  # of XFS: "1" if directories know their entries' types, which overlayfs needs; "" if not seen


@dataclass(frozen=True)
class Kernel:
    cgroup: str = ""  # "v1", "v2", "hybrid"
    modules_loaded: tuple[str, ...] = ()  # loaded or built in, of those that matter: overlay, br_netfilter
    sysctls: dict[str, str] = field(default_factory=dict)  # of those that matter; absent if the kernel has none such
    modules_absent: tuple[str, ...] = ()  # of the same: neither loaded nor among those that this kernel could load
    controllers: tuple[str, ...] | None = None  # of its cgroups, those that are on; None: could not be seen


@dataclass(frozen=True)
class Mention:
    """A line that mentions Docker, in what cron or systemd runs: a crontab, a service, or a script that one of them names.

    The line may hold a password. It is no comment; lines that go on are one, by the first one's number.
    """

    path: str
    line: int
    text: str
    interpreter: str = ""  # of a script: its first line, "#!/bin/sh"
    called_by: tuple[str, ...] = ()  # of a script: "/etc/cron.d/cleanup:3"


@dataclass(frozen=True)
class DockerClient:
    """A process that is connected to Docker's socket."""

    pid: int
    name: str = ""  # /proc/PID/comm
    cgroups: tuple[str, ...] = ()  # their paths in /proc/PID/cgroup


@dataclass(frozen=True)
class Facts:
    """Everything ``probe.sh`` saw on one node in one round trip."""

    hostname: str = ""
    uid: int = -1  # the user the probe ran as; 0 is root
    time: float = 0.0  # the node's clock
    os: OperatingSystem = field(default_factory=OperatingSystem)
    kernel: Kernel = field(default_factory=Kernel)
    # By full name: kubelet.service, docker.service, docker.socket, containerd.service, cri-docker.service, cri-docker.socket,
    # cri-dockerd.service, cri-dockerd.socket.
    # {} where systemd does not run.
    units: dict[str, Unit] = field(default_factory=dict)
    packages: dict[str, Package] = field(default_factory=dict)  # by name: of the packages unshim may touch
    archives: dict[str, str] = field(default_factory=dict)  # unpacked by us and in use: "containerd-2.1.9" -> SHA-256
    files: dict[str, File] = field(default_factory=dict)  # by path: every file a plan may need to read or change
    docker: Docker = field(default_factory=Docker)
    containerd: Containerd = field(default_factory=Containerd)
    kubelet: Kubelet = field(default_factory=Kubelet)
    mounts: dict[str, Mount] = field(
        default_factory=dict
    )  # by the directory asked about: /var/lib/docker, ..., each mount point
    # Resource limits (soft, hard) by process and by name as in Docker's default-ulimits: "nofile", ...; -1 is unlimited.
    # Processes: "containerd", "dockerd", and "pod", the newest pod's sandbox on Docker.
    limits: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    programs: dict[str, str] = field(
        default_factory=dict
    )  # of runtimes: path by name or path asked for, "" if not there
    cni_plugins: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by directory: the plugins found there
    cri_dockerd: tuple[str, ...] = ()  # /proc/PID/cmdline of the running cri-dockerd; () if it does not run
    # By path of a file of registry logins: names in it that may be registries, credsStore, credHelpers. Never a login.
    registry_logins: dict[str, tuple[str, ...]] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()  # IPv4 and IPv6, of the interfaces that lead out of the node
    # Why root cannot replace a file or write in a directory: "immutable", "append-only", "mounted" (on the file itself),
    # "read-only"; "" for a directory where it can. Other files have no obstacle, other directories were not looked at.
    obstacles: dict[str, str] = field(default_factory=dict)
    docker_mentions: tuple[Mention, ...] | None = None  # None: not looked at
    mentioning_units: tuple[Unit, ...] = ()  # the services among them, as systemd has them
    docker_clients: tuple[DockerClient, ...] | None = None  # None: Docker does not run, or it could not be seen
    docker_group: tuple[str, ...] = ()  # users in the group docker
    not_seen: tuple[str, ...] = ()  # what the probe could not look at, and why
