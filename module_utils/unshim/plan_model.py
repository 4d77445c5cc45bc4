"""What a plan is: everything that will change on a node, in the words it is announced and applied with.

A plan is made by ``plan.make`` on the controller and carried out by the modules in ``library/``. Each change holds what
the planner saw (``before``) and what it wants (``after``), so a module can refuse a node that changed meanwhile, and undo
needs no second source.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STAGES = ("prepare", "switch")  # prepare: pods keep running; switch: after the drain
SEVERITIES = ("block", "warn", "info")


@dataclass(frozen=True)
class ContainerdArchive:
    """One release file of containerd or what goes with it; one of ``url``, ``src`` and ``path`` says where it is."""

    name: str = ""  # "containerd", "runc", "cni", "crictl"
    version: str = ""
    sha256: str = ""  # of the file
    url: str = ""  # the node fetches it
    src: str = ""  # a file on the controller
    path: str = ""  # a file on the node


@dataclass(frozen=True)
class Settings:
    """The settings a planner needs; names and defaults are those of ``roles/unshim/meta/argument_specs.yml``."""

    goal: str = "migrate"  # "migrate": move a kubelet; "provision": a node without Kubernetes
    node_name: str = ""  # "" : as the kubelet registers
    cri_endpoint: str = "unix:///run/containerd/containerd.sock"
    containerd_package: str = ""  # "" : the distribution's
    containerd_version: str = ""  # "" : the installed one, else the candidate
    containerd_method: str = "package"  # "package", "docker_repo", "archive"
    containerd_archives: tuple[ContainerdArchive, ...] = ()
    docker_repository_url: str = ""  # "" : Docker's own
    docker_repository_key: str = ""  # URL, or a file on the controller; "" : beside the packages
    docker_repository_fingerprint: str = ""  # of that key; "" : Docker's for Docker's own repository, else any
    cgroup_driver: str = ""  # provision only; "" : systemd where systemd is init. A kubelet's own always wins.
    sandbox_image: str = ""  # provision only; "" : containerd's default. A kubelet's own always wins.
    stop_foreign_containers: tuple[str, ...] = ()  # names of non-Kubernetes containers that may be stopped
    no_proxy: tuple[str, ...] = ()  # more that containerd must not ask the proxy for, where Docker has one
    all_images: bool = False  # move every image, not only those of this node's pods
    containerd_root: str = ""  # where containerd's data goes; "" : Docker's disk if only there is room, else it stays


@dataclass(frozen=True)
class FileChange:
    path: str
    stage: str
    reason: str
    before: str | None  # None: the file is not there
    after: str | None  # None: the file is removed
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    # "containerd_config", "containerd_unit", "registry", "kubelet", "sysctl", "modules", "crictl", "cni", "other"
    role: str = "other"
    secret: bool = False  # content never reaches output


@dataclass(frozen=True)
class FileCopy:
    """A file that is copied on the node itself: what is in it, which may be a key, never leaves the node."""

    source: str
    path: str
    stage: str
    reason: str
    mode: str = "0600"
    owner: str = "root"
    group: str = "root"
    role: str = "registry"  # as FileChange's
    secret: bool = False  # it is a key, or may hold one


@dataclass(frozen=True)
class UnitChange:
    unit: str
    stage: str
    action: str  # "restart", "stop", "mask", "enable", "start"
    before: str  # e.g. "active, enabled"
    after: str  # e.g. "inactive, masked"
    reason: str


@dataclass(frozen=True)
class PackageChange:
    name: str
    stage: str
    before: str  # "" : not installed
    after: str
    reason: str


@dataclass(frozen=True)
class Repository:
    """Docker's package repository, written to a node that does not have it yet."""

    url: str
    path: str  # of the file that names it
    content: str
    key_path: str
    key: str  # where the key is got: URL, or a file on the controller
    fingerprint: str = ""  # what the key must have; "" : any


@dataclass(frozen=True)
class ImageMove:
    """One image that goes from Docker's store to containerd's namespace k8s.io."""

    id: str
    names: tuple[str, ...]  # tags and digests, all of which must exist afterwards
    size: int
    pinned: bool = False  # the sandbox image


@dataclass(frozen=True)
class AnnotationChange:
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Finding:
    """Something the operator must know. ``block`` stops the node before anything is touched."""

    id: str  # stable, e.g. "foreign-container"
    severity: str
    message: str  # what is wrong and where: file and line if there is one
    remedy: str = ""  # what to do


@dataclass(frozen=True)
class NotCarried:
    """A setting of Docker's or the kubelet's that has no successor on the migrated node."""

    source: str  # "/etc/docker/daemon.json: live-restore"
    value: str  # redacted if secret
    reason: str


@dataclass(frozen=True)
class Plan:
    node: str  # the inventory host
    node_name: str  # the Kubernetes node
    goal: str
    source: str  # "dockershim", "cri-dockerd", "containerd" (already there), "none" (no kubelet)
    state: str  # of the node's journal: "docker", "prepared", "drained", "switched", "verified", "committed"
    done: bool  # nothing to do: the node already runs as the goal says
    kubelet_version: str = ""
    containerd_version: str = ""  # after the plan
    cri_endpoint: str = ""
    cri_api: tuple[str, ...] = ()  # what the kubelet speaks: ("v1alpha2",), ("v1", "v1alpha2"), ("v1",)
    cgroup_driver: str = ""
    sandbox_image: str = ""
    cni_bin_dir: str = ""  # where the kubelet's CNI plugins are, and containerd's will be
    cni_conf_dir: str = ""
    containerd_root_now: str = "/var/lib/containerd"  # containerd's data directory before the plan
    containerd_root: str = ""  # after it; "" : as it is now. Images are brought into this one.
    snapshotter: str = ""  # config.toml's after the plan, which images are unpacked for; "" : containerd's default
    is_control_plane: bool = False
    packages: tuple[PackageChange, ...] = ()
    repository: Repository | None = None  # where the packages come from, if not from the node's own repositories
    archives: tuple[ContainerdArchive, ...] = ()  # to be unpacked
    files: tuple[FileChange, ...] = ()
    copies: tuple[FileCopy, ...] = ()
    units: tuple[UnitChange, ...] = ()
    images: tuple[ImageMove, ...] = ()
    annotations: tuple[AnnotationChange, ...] = ()
    stop_containers: tuple[str, ...] = ()  # names of foreign containers that will be stopped, by the user's leave
    modules: tuple[str, ...] = ()  # kernel modules to load and persist
    sysctls: dict[str, str] = field(default_factory=dict)
    kubelet_command_line_before: tuple[str, ...] = ()
    kubelet_command_line_after: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    not_carried: tuple[NotCarried, ...] = ()

    @property
    def blockers(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "block")
