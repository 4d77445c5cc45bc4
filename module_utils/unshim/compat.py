"""What goes with what: kubelets, containerds, flags and operating systems, as tables with their sources.

Versions are compared by their leading numbers only: ``1.6.20~ds1-1+deb12u3``, ``v1.20.2`` and ``2:2.1.5-1~noble`` are
1.6.20, 1.20.2 and 2.1.5. Nothing here looks at a node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .facts import Facts, OperatingSystem, Package

Version = tuple[int, int, int]
NEVER: Version = (9999, 0, 0)


def parse_version(text: str) -> Version | None:
    """Return ``text`` as (major, minor, patch), or None where it does not begin like a version."""
    match = re.match(r"\s*(?:\d+:)?v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


@dataclass(frozen=True)
class ApiRow:
    """From this version on (until the next row), these CRI APIs; the preferred one first."""

    since: Version
    apis: tuple[str, ...]
    source: str


KUBELET_CRI_APIS = (
    ApiRow((1, 16, 0), ("v1alpha2",), "kubernetes v1.20 pkg/kubelet/cri/remote imports runtime/v1alpha2 only"),
    ApiRow((1, 23, 0), ("v1", "v1alpha2"), "kubernetes CHANGELOG-1.23: kubelet uses CRI v1, falls back to v1alpha2"),
    ApiRow(
        (1, 26, 0),
        ("v1",),
        "kubernetes CHANGELOG-1.26: CRI v1alpha2 removed; containerd < 1.6 does not register the node",
    ),
)
CONTAINERD_CRI_APIS = (
    ApiRow((1, 2, 0), ("v1alpha2",), "containerd < 1.6 serves runtime/v1alpha2 only"),
    ApiRow((1, 6, 0), ("v1", "v1alpha2"), "containerd 1.6.0 release notes: CRI v1"),
    ApiRow((2, 0, 0), ("v1",), "containerd docs/containerd-2.0.md: CRI v1alpha2 removed"),
)


def _apis(rows: tuple[ApiRow, ...], version: str) -> tuple[str, ...]:
    parsed = parse_version(version)
    found: tuple[str, ...] = ()
    for row in rows:
        if parsed is not None and parsed >= row.since:
            found = row.apis
    return found


def kubelet_cri_api(version: str) -> tuple[str, ...]:
    """Return the CRI APIs a kubelet of this version speaks, the preferred one first; () if the version is not known."""
    return _apis(KUBELET_CRI_APIS, version)


def containerd_cri_api(version: str) -> tuple[str, ...]:
    """Return the CRI APIs a containerd of this version serves; () if the version is not known."""
    return _apis(CONTAINERD_CRI_APIS, version)


# Oldest containerd of each release line that upstream tests with a kubelet; only where a kubelet is pickier than its API.
# Source: containerd RELEASES.md, "Kubernetes Support".
TESTED_CONTAINERD: dict[tuple[int, int], tuple[Version, ...]] = {
    (1, 35): ((1, 7, 28), (2, 1, 5), (2, 2, 0)),
    (1, 36): ((2, 2, 0), (2, 3, 0)),
}


def incompatibility(kubelet: str, containerd: str) -> tuple[str, str] | None:
    """Return (what is wrong, what works) if this kubelet cannot run on this containerd, else None."""
    spoken, served = kubelet_cri_api(kubelet), containerd_cri_api(containerd)
    if not spoken or not served:
        return None
    if not set(spoken) & set(served):
        wanted = "a containerd 1.x (1.4 to 1.7)" if spoken == ("v1alpha2",) else "containerd 1.6 or newer"
        return (
            f"kubelet {kubelet} speaks CRI {' and '.join(spoken)}, but containerd {containerd} serves CRI {' and '.join(served)} only",
            f"Install {wanted}, or change the kubelet's version first.",
        )
    return None


def untested(kubelet: str, containerd: str) -> str:
    """Return why upstream does not test this pair, "" if it does or nothing is said about it."""
    ours, theirs = parse_version(kubelet), parse_version(containerd)
    lines = TESTED_CONTAINERD.get(ours[:2]) if ours else None
    if (
        not lines
        or theirs is None
        or theirs[:2] > max(lines)[:2]
        or any(theirs[:2] == line[:2] and theirs >= line for line in lines)
    ):
        return ""
    accepted = ", ".join(".".join(map(str, line)) + "+" for line in lines)
    return f"containerd's support table names {accepted} for Kubernetes {ours[0]}.{ours[1]}" if ours else ""


# Versions before know only version 1 of config.toml, and take one of version 2 for a file without settings for CRI, without
# a word. Source: containerd 1.3.0 release notes, "Config version 2"; config.go of 1.2 has no Version that it looks at.
OLDEST_CONTAINERD: Version = (1, 3, 0)
TRIED_CONTAINERD: Version = (1, 4, 0)


def too_old(containerd: str) -> bool:
    """Return whether this containerd cannot read the config.toml that is written for it; False if its version is not known."""
    parsed = parse_version(containerd)
    return parsed is not None and parsed < OLDEST_CONTAINERD


def untried(containerd: str) -> bool:
    """Return whether this containerd is older than those that unshim was tried with."""
    parsed = parse_version(containerd)
    return parsed is not None and OLDEST_CONTAINERD <= parsed < TRIED_CONTAINERD


def config_schema(containerd: str) -> int:
    """Return the version of config.toml to write for this containerd.

    1.x reads 1 and 2; 2.x reads 1 to 3 (containerd docs/cri/config.md). Version 4 (2.3) is never written: top-level
    [metrics] and [grpc] are ignored in it (containerd config.go, migrations run only below the file's version).
    """
    parsed = parse_version(containerd)
    return 3 if parsed is not None and parsed >= (2, 0, 0) else 2


def newest_schema(containerd: str) -> int:
    """Return the newest version of config.toml this containerd accepts in a file."""
    parsed = parse_version(containerd)
    if parsed is None or parsed < (2, 0, 0):
        return 2
    return 4 if parsed >= (2, 3, 0) else 3


@dataclass(frozen=True)
class FlagRow:
    """One kubelet flag of dockershim or of the remote runtime, without its dashes."""

    name: str
    ignored: Version  # from here on it has no effect
    fatal: Version  # from here on the kubelet does not start with it
    boolean: bool = False  # takes no value from the next word
    reason: str = ""  # why the migrated node goes without it; "" if it is kept or set
    source: str = ""


_DOCKERSHIM = "kubernetes CHANGELOG-1.24 (PR 106907) names the flags removed with dockershim; kubelet 1.20.2 --help"
_CADVISOR = "kubelet 1.20.2 --help: cAdvisor's, mistakenly registered; gone with dockershim, cmd/kubelet/app/options/globalflags_linux.go"
_NETWORK = "containerd calls the CNI itself; the kubelet's value goes to containerd's config.toml"
_DOCKERSHIMS = "only dockershim used it"
_CADVISORS = "only cAdvisor's Docker driver used it"
KUBELET_FLAGS = (
    FlagRow("network-plugin", NEVER, (1, 24, 0), False, "containerd always uses CNI", _DOCKERSHIM),
    FlagRow("cni-conf-dir", NEVER, (1, 24, 0), False, _NETWORK, _DOCKERSHIM),
    FlagRow("cni-bin-dir", NEVER, (1, 24, 0), False, _NETWORK, _DOCKERSHIM),
    FlagRow("cni-cache-dir", NEVER, (1, 24, 0), False, "containerd keeps its own CNI cache in /var/lib/cni", _DOCKERSHIM),
    FlagRow("network-plugin-mtu", NEVER, (1, 24, 0), False, "only kubenet used it", _DOCKERSHIM),
    FlagRow("image-pull-progress-deadline", NEVER, (1, 24, 0), False, _DOCKERSHIMS, _DOCKERSHIM),
    FlagRow("experimental-dockershim-root-directory", NEVER, (1, 24, 0), False, _DOCKERSHIMS, _DOCKERSHIM),
    FlagRow("experimental-dockershim", NEVER, (1, 20, 0), True, _DOCKERSHIMS, "kubelet 1.20.2 ends with it: unknown flag"),
    FlagRow("docker-endpoint", NEVER, (1, 24, 0), False, _DOCKERSHIMS, _DOCKERSHIM),
    FlagRow("docker", NEVER, (1, 24, 0), False, _CADVISORS, _CADVISOR),
    FlagRow("docker-env-metadata-whitelist", NEVER, (1, 24, 0), False, _CADVISORS, _CADVISOR),
    FlagRow("docker-only", NEVER, (1, 24, 0), True, _CADVISORS, _CADVISOR),
    FlagRow("docker-root", NEVER, (1, 24, 0), False, _CADVISORS, _CADVISOR),
    FlagRow("docker-tls", NEVER, (1, 24, 0), True, _CADVISORS, _CADVISOR),
    FlagRow("docker-tls-ca", NEVER, (1, 24, 0), False, _CADVISORS, _CADVISOR),
    FlagRow("docker-tls-cert", NEVER, (1, 24, 0), False, _CADVISORS, _CADVISOR),
    FlagRow("docker-tls-key", NEVER, (1, 24, 0), False, _CADVISORS, _CADVISOR),
    FlagRow("container-runtime", (1, 24, 0), (1, 27, 0), False, "",
            "kubernetes 1.24 options.go: \"the only valid value is 'remote'\"; CHANGELOG-1.27 (PR 114017): removed"),
    FlagRow("container-runtime-endpoint", NEVER, NEVER, False, "",
            "CHANGELOG-1.27 (PR 112136): also in KubeletConfiguration; the flag is deprecated, and still read"),
    FlagRow("image-service-endpoint", NEVER, NEVER, False, "", "as container-runtime-endpoint: CHANGELOG-1.27 (PR 112136)"),
    FlagRow("pod-infra-container-image", NEVER, (1, 35, 0), False, "",
            "CHANGELOG-1.24 (PR 108045): deprecated; CHANGELOG-1.35 (PR 133779): removed"),
    # These mean the same with any runtime, and are left; a runtime-cgroups that names Docker's is changed.
    FlagRow("runtime-cgroups", NEVER, NEVER, False, "", "pkg/kubelet/config/flags.go, 1.16 to 1.36"),
    FlagRow("runtime-request-timeout", NEVER, NEVER, False, "", "KubeletConfiguration's, as a flag deprecated since 1.10"),
    FlagRow("container-log-max-size", NEVER, NEVER, False, "", "kubelet 1.20.2 --help: only with the remote runtime"),
    FlagRow("container-log-max-files", NEVER, NEVER, False, "", "kubelet 1.20.2 --help: at least 2"),
    FlagRow("redirect-container-streaming", (1, 20, 0), NEVER, True, "",
            "kubelet 1.20.2 --help: does nothing from 1.20 on"),
)  # fmt: skip
_FLAGS_BY_NAME = {row.name: row for row in KUBELET_FLAGS}


def flag_name(word: str) -> str:
    """Return the name of the flag that ``word`` begins, "" if it is none.

    The kubelet normalises underscores to dashes (component-base/cli/flag WordSepNormalizeFunc).
    """
    if not word.startswith("--") or word == "--":
        return ""
    return word[2:].split("=", 1)[0].replace("_", "-")


def flag_state(name: str, kubelet: str) -> str:
    """Return "valid", "ignored" or "fatal" for a flag of the tables, "unknown" for any other."""
    row, version = _FLAGS_BY_NAME.get(name), parse_version(kubelet)
    if row is None or version is None:
        return "unknown"
    if version >= row.fatal:
        return "fatal"
    return "ignored" if version >= row.ignored else "valid"


def flag_is_boolean(name: str) -> bool:
    row = _FLAGS_BY_NAME.get(name)
    return row is not None and row.boolean


def dockershim_reason(name: str) -> str:
    """Return why a migrated node goes without this flag, "" if the flag is not dockershim's."""
    row = _FLAGS_BY_NAME.get(name)
    if row is not None:
        return row.reason
    # A dockershim-era flag that no table names: older kubelets had several more of them.
    return "only dockershim used it" if re.match(r"docker-|experimental-dockershim", name) else ""


# The kubelet's own default. Source: cmd/kubelet/app/options/container_runtime.go, defaultPodSandboxImageName and -Version, at
# each release's tag; the registry's new name came with 1.25 and the patch releases of December 2022 (kubernetes.io/blog
# 2022-11-28, "registry.k8s.io: faster, cheaper and Generally Available"). From 1.35 on the kubelet knows no such image;
# kubeadm's is named (cmd/kubeadm/app/constants/constants.go, PauseVersion).
_SANDBOX_IMAGES = (
    ((1, 16, 0), "k8s.gcr.io/pause:3.1"),
    ((1, 18, 0), "k8s.gcr.io/pause:3.2"),
    ((1, 21, 0), "k8s.gcr.io/pause:3.4.1"),
    ((1, 22, 0), "k8s.gcr.io/pause:3.5"),
    ((1, 22, 17), "registry.k8s.io/pause:3.5"),
    ((1, 23, 0), "k8s.gcr.io/pause:3.6"),
    ((1, 23, 15), "registry.k8s.io/pause:3.6"),
    ((1, 24, 0), "k8s.gcr.io/pause:3.7"),
    ((1, 24, 9), "registry.k8s.io/pause:3.7"),
    ((1, 25, 0), "registry.k8s.io/pause:3.8"),
    ((1, 26, 0), "registry.k8s.io/pause:3.9"),
    ((1, 31, 0), "registry.k8s.io/pause:3.10"),
    ((1, 34, 0), "registry.k8s.io/pause:3.10.1"),
)


def default_sandbox_image(kubelet: str) -> str:
    """Return the sandbox image a kubelet of this version uses when no flag names one, "" if the version is not known."""
    parsed, found = parse_version(kubelet), ""
    for since, image in _SANDBOX_IMAGES:
        if parsed is not None and parsed >= since:
            found = image
    return found


@dataclass(frozen=True)
class OsRow:
    """What unshim knows of a family of systems. Packages and directories are those of the distribution itself."""

    ids: tuple[str, ...]  # of os-release
    support: str  # "yes", "no"
    package_manager: str  # of those unshim drives: "apt", "dnf" (dnf 4, dnf 5 and yum 3), "zypper"
    containerd: str  # package that brings containerd; Docker's where the distribution has none
    cni: str  # package of the CNI plugins, "" if none is installed
    cni_directory: str  # where that package puts them
    docker: str = ""  # directory of its repository below download.docker.com/linux, "" if Docker has none
    companions: tuple[str, ...] = ()  # packages containerd's does not pull in and that are needed: ctr
    hold: str = ""  # what keeps a package in its version
    kubelet_environment: str = ""  # the file kubelet packages read additional flags from
    service: str = "containerd.service"
    reason: str = ""  # why it is refused, and what is missing
    source: str = ""


_DEBIAN = "/etc/default/kubelet"
_RED_HAT = "/etc/sysconfig/kubelet"
_KUBELET = "kubernetes/release cmd/krel/templates: 10-kubeadm.conf of the deb and of the rpm"
OPERATING_SYSTEMS = (
    OsRow(("debian",), "yes", "apt", "containerd", "containernetworking-plugins", "/usr/lib/cni", "debian", (),
          "apt-mark hold", _DEBIAN, source=f"packages of bullseye, bookworm, trixie and sid; {_KUBELET}"),
    OsRow(("ubuntu",), "yes", "apt", "containerd", "containernetworking-plugins", "/usr/lib/cni", "ubuntu", (),
          "apt-mark hold", _DEBIAN, source=f"packages.ubuntu.com containerd; docs.docker.com/engine/install/ubuntu; {_KUBELET}"),
    OsRow(("rhel",), "yes", "dnf", "containerd.io", "", "/opt/cni/bin", "rhel", (),
          "dnf versionlock", _RED_HAT, source=f"no containerd in BaseOS and AppStream; docs.docker.com/engine/install/rhel; {_KUBELET}"),
    OsRow(("centos", "rocky", "almalinux", "ol"), "yes", "dnf", "containerd.io", "", "/opt/cni/bin", "centos", (),
          "dnf versionlock", _RED_HAT, source=f"no containerd in BaseOS and AppStream; docs.docker.com/engine/install/centos; {_KUBELET}"),
    OsRow(("fedora",), "yes", "dnf", "containerd", "containernetworking-plugins", "/usr/libexec/cni", "fedora", (),
          "dnf versionlock", _RED_HAT, source=f"src.fedoraproject.org containerd, containernetworking-plugins; {_KUBELET}"),
    OsRow(("amzn",), "yes", "dnf", "containerd", "cni-plugins", "/opt/cni/bin", "", (),
          "dnf versionlock", _RED_HAT, source=f"Amazon Linux 2023 core repository, Amazon Linux 2 extra docker; {_KUBELET}"),
    OsRow(("sles", "sle_hpc", "opensuse-leap", "opensuse-tumbleweed", "opensuse"), "yes", "zypper", "containerd", "cni-plugins",
          "/usr/lib/cni", "", ("containerd-ctr",),
          "zypper addlock", _RED_HAT, source=f"software.opensuse.org containerd, containerd-ctr, cni-plugins; {_KUBELET}"),
    OsRow(("alpine",), "no", "apk", "containerd", "cni-plugins", "/usr/libexec/cni",
          reason="it boots with OpenRC and has no systemd, whose units unshim drives", source="pkgs.alpinelinux.org"),
    OsRow(("arch", "archarm"), "no", "pacman", "containerd", "cni-plugins", "/usr/lib/cni",
          reason="its packages cannot be held in the version a kubelet needs, and pacman is not driven", source="archlinux.org/packages"),
    OsRow(("flatcar", "coreos", "fedora-coreos"), "no", "", "", "", "",
          reason="its /usr is an image that is replaced as a whole, with the containerd in it: there is no package manager and often "
          "no Python", source="flatcar.org/docs"),
    OsRow(("bottlerocket",), "no", "", "", "", "",
          reason="its system is a read-only image with containerd in it already, and has no shell for Ansible", source="bottlerocket.dev"),
    OsRow(("talos",), "no", "", "", "", "",
          reason="its system is a read-only image with containerd in it already, and has neither shell nor SSH", source="talos.dev"),
)  # fmt: skip


def operating_system(system: OperatingSystem) -> OsRow:
    """Return what is known about this system; a derivative counts as what it is like, an unknown one as refused."""
    # Fedora CoreOS calls itself fedora, with a variant; what tells it apart is that it is no dnf system.
    if system.id == "fedora" and system.variant_id in ("coreos", "iot"):
        return next(row for row in OPERATING_SYSTEMS if "fedora-coreos" in row.ids)
    for name in (system.id, *system.id_like):
        for row in OPERATING_SYSTEMS:
            if name in row.ids:
                return row
    return OsRow((system.id,), "no", system.package_manager, "", "", "", reason="unshim does not know it")


def knows_soft_and_hard_limits(system: OperatingSystem) -> bool:
    """Return whether its systemd reads LimitNOFILE=SOFT:HARD; that of RHEL 7 and Amazon Linux 2, 219, passes over such a line."""
    release = system.version_id.split(".")[0]
    old = release == "7" and operating_system(system).package_manager == "dnf"
    return not old and (system.id, release) != ("amzn", "2")


# What stands for the package manager of a row on older systems of its family.
_ALSO_DRIVEN = {"dnf": ("yum",)}


def drives(row: OsRow, package_manager: str) -> bool:
    """Return whether the package manager on a node is the one of its system's row, or an older one that is driven too."""
    return package_manager == row.package_manager or package_manager in _ALSO_DRIVEN.get(row.package_manager, ())


# Packages that bring a containerd; the first that is installed counts. docker-ce depends on containerd.io, Debian's
# docker.io on containerd, and each conflicts with the other.
CONTAINERD_PACKAGES = ("containerd", "containerd.io", "moby-containerd")


def lists_absent(facts: Facts) -> bool:
    """Return whether nobody has fetched the package lists of this node yet, as cloud images come."""
    known = facts.os.package_manager in ("apt", "dnf", "yum", "zypper")
    return known and not any(package.candidate for package in facts.packages.values())


@dataclass(frozen=True)
class ContainerdChoice:
    """Which containerd a node will have; ``problem`` is set where there is none to be had."""

    package: str = ""  # "" : not from a package
    installed: str = ""  # version of that package now, "" if absent
    wanted: str = ""  # version of that package afterwards
    version: str = ""  # what containerd will call itself
    candidate: str = ""
    held: bool = False
    lists_absent: bool = False  # the node has no package lists yet, so no version is known
    problem_id: str = ""
    problem: str = ""
    remedy: str = ""


def choose(facts: Facts, package: str, version: str, method: str = "package", archive: str = "") -> ContainerdChoice:
    """Return the containerd to use: the installed one, never upgraded unasked, else what the method offers.

    Args:
        package: the user's choice of package, "" for the installed one or the distribution's.
        version: the user's choice of package version, "" for none.
        method: "package": from the node's own repositories; "docker_repo": from Docker's; "archive": a release archive.
        archive: for "archive", the version of its containerd, "" if none is given.
    """
    installed = next(
        (facts.packages[n] for n in CONTAINERD_PACKAGES if n in facts.packages and facts.packages[n].version), None
    )
    if method == "archive":
        return _choose_archive(facts, installed, archive)
    if installed is None and facts.containerd.installed and not package and not version:
        return ContainerdChoice(version=facts.containerd.version)  # from an archive: not a package manager's business
    row = operating_system(facts.os)
    ours = "containerd.io" if method == "docker_repo" else row.containerd
    name = package or (installed.name if installed and method == "package" else ours)
    if installed is not None and name != installed.name:
        return ContainerdChoice(
            package=name,
            version=facts.containerd.version,
            problem_id="containerd-package-conflict",
            problem=f"package {installed.name} {installed.version} is installed, and {name} would replace it and the Docker that needs it",
            remedy=f"Leave unshim_containerd_package empty, or set it to {installed.name}."
            if method == "package"
            else "Set unshim_containerd_method to package for this node: its containerd is then taken as it is.",
        )
    known = facts.packages.get(name)
    now = known.version if known else ""
    candidate = known.candidate if known else ""
    wanted = version or now or candidate
    if (
        not wanted
        and name
        and (
            method == "docker_repo"  # the repository, and with it the version, comes with the installation
            or lists_absent(facts)
        )
    ):
        return ContainerdChoice(package=name, lists_absent=True)
    if not wanted:
        own = "" if row.containerd != "containerd.io" else "; distributions of this family have none of their own"
        return ContainerdChoice(
            package=name,
            problem_id="no-containerd-package",
            problem=f"containerd is not installed and the package manager offers no package {name or 'containerd'}{own}",
            remedy="Set unshim_containerd_method to docker_repo or archive, or make a repository with the package available to the node."
            if own
            else "Make a repository with it available to the node, set unshim_containerd_package, or set unshim_containerd_method "
            "to docker_repo or archive.",
        )
    says = facts.containerd.version if now == wanted and facts.containerd.version else wanted
    return ContainerdChoice(name, now, wanted, says, candidate, known.held if known else False)


def _choose_archive(facts: Facts, installed: Package | None, archive: str) -> ContainerdChoice:
    """The archive's containerd; never beside one that came otherwise, for Docker may run on that."""
    now = facts.containerd
    if installed is not None or (now.installed and not now.binary.startswith(("/opt/unshim/", "/usr/local/bin/"))):
        what = f"package {installed.name} {installed.version}" if installed else f"{now.binary} {now.version}"
        return ContainerdChoice(
            version=now.version,
            problem_id="containerd-package-conflict",
            problem=f"{what} is installed, and what runs on it would find the archive's containerd instead",
            remedy="Set unshim_containerd_method to package for this node: its containerd is then taken as it is.",
        )
    if archive or now.installed:
        return ContainerdChoice(version=archive or now.version)
    return ContainerdChoice(
        problem_id="containerd-archive",
        problem="containerd is to come from an archive, but unshim_containerd_archives names none of containerd",
        remedy="Add containerd's release archive with its sha256 to unshim_containerd_archives.",
    )
