"""The part of a plan that says where containerd comes from: the node's own repositories, Docker's, or release archives."""

from __future__ import annotations

import re

from . import compat
from .plan_draft import Draft
from .plan_model import ContainerdArchive, PackageChange, Repository

METHODS = ("package", "docker_repo", "archive")
DOCKER_URL = "https://download.docker.com/linux"
CNI_BIN = "/opt/cni/bin"  # where an archive's CNI plugins go, as kubernetes-cni's and network add-ons' do
# docs.docker.com/engine/install/debian and /centos, "Verify that the fingerprint of the key matches".
FINGERPRINTS = {
    "apt": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    "dnf": "060A61C51B558A7F742B77AAC52FEB6B621E9F35",
}
_OTHER_METHOD = "Set unshim_containerd_method to package or archive for this node."
_ARCHIVES = {"containerd": "containerd", "runc": "runc", "cni": "the CNI plugins", "crictl": "crictl"}


def choose_containerd(draft: Draft) -> compat.ContainerdChoice:
    """Return the containerd this node will have; ``problem`` is set where there is none to be had."""
    settings = draft.settings
    if settings.containerd_method not in METHODS:
        return compat.ContainerdChoice(
            problem_id="containerd-method",
            problem=f"there is no way {settings.containerd_method!r} to install containerd",
            remedy=f"Set unshim_containerd_method to {', '.join(METHODS[:-1])} or {METHODS[-1]}.",
        )
    row = compat.operating_system(draft.facts.os)
    if settings.containerd_method == "docker_repo" and not row.docker and not draft.has_package("containerd.io"):
        return compat.ContainerdChoice(
            problem_id="no-docker-repository",
            problem=f"Docker has no repository with containerd.io for {draft.facts.os.pretty_name or draft.facts.os.id}",
            remedy=_OTHER_METHOD,
        )
    archive = next((one.version for one in settings.containerd_archives if one.name == "containerd"), "")
    return compat.choose(
        draft.facts, settings.containerd_package, settings.containerd_version, settings.containerd_method, archive
    )


def plan_companions(draft: Draft) -> None:
    """Plan the packages that belong to a distribution's containerd and are not pulled in by it: SUSE's ctr."""
    choice = draft.containerd
    row = compat.operating_system(draft.facts.os)
    if choice.package != row.containerd or draft.settings.containerd_method != "package":
        return
    for name in row.companions:
        known = draft.facts.packages.get(name)
        if known is not None and not known.version and (known.candidate or compat.lists_absent(draft.facts)):
            # Of the very same version: another one would drag containerd along.
            draft.packages.append(PackageChange(name, "prepare", "", choice.wanted, f"comes with {choice.package}"))


def plan_repository(draft: Draft) -> None:
    """Plan Docker's repository, where a package has to come from it."""
    settings, system = draft.settings, draft.facts.os
    if settings.containerd_method != "docker_repo" or not draft.packages:
        return
    row = compat.operating_system(system)
    base = settings.docker_repository_url.rstrip("/") or DOCKER_URL
    url = f"{base}/{row.docker}"
    key = settings.docker_repository_key or f"{url}/gpg"
    kind = "apt" if row.package_manager == "apt" else "dnf"
    fingerprint = settings.docker_repository_fingerprint or (FINGERPRINTS[kind] if base == DOCKER_URL else "")
    release = system.version_id.split(".")[0]
    if kind == "apt":
        if system.id not in row.ids or not system.codename:
            draft.block(
                "no-docker-repository",
                f"{system.pretty_name or system.id} is like {row.ids[0]}, but has no release of its own in Docker's repository",
                _OTHER_METHOD,
            )
            return
        key_path = "/etc/apt/keyrings/docker.asc"
        path, content = "/etc/apt/sources.list.d/docker.sources", _deb822(url, system.codename, key_path)
    else:
        key_path = "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker"
        path, content = "/etc/yum.repos.d/docker-ce.repo", _repo(url, release, key_path)
    draft.repository = Repository(url, path, content, key_path, key, fingerprint)
    if not fingerprint and "://" in key:
        draft.warn(
            "repository-key-unchecked",
            f"the key of the repository {url} is taken as its server gives it",
            "Set unshim_docker_repository_fingerprint to the fingerprint it must have.",
        )


def _deb822(url: str, codename: str, key_path: str) -> str:
    return (
        f"# Written by unshim\nTypes: deb\nURIs: {url}\nSuites: {codename}\nComponents: stable\nSigned-By: {key_path}\n"
    )


def _repo(url: str, release: str, key_path: str) -> str:
    return (
        "# Written by unshim\n[docker-ce-stable]\nname=Docker CE Stable - $basearch\n"
        f"baseurl={url}/{release}/$basearch/stable\nenabled=1\ngpgcheck=1\ngpgkey=file://{key_path}\n"
    )


def plan_archives(draft: Draft) -> None:
    """Plan the release archives: all of them for method archive, else only what no package brings: CNI plugins, crictl."""
    settings = draft.settings
    archives = settings.containerd_archives
    if settings.containerd_method != "archive":
        archives = tuple(one for one in archives if one.name in ("cni", "crictl"))
    for number, archive in enumerate(settings.containerd_archives, 1):
        wrong = _wrong(archive)
        if wrong:
            draft.block(
                "containerd-archive",
                f"unshim_containerd_archives, entry {number}: {wrong}",
                "Correct it; docs/settings.md says what an entry has.",
            )
            return
    names = [archive.name for archive in settings.containerd_archives]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        draft.block("containerd-archive", f"unshim_containerd_archives names {double} twice", "Leave one of them.")
        return
    if settings.containerd_method == "archive" and names and "runc" not in names and not _has_runc(draft):
        draft.block(
            "containerd-archive",
            "unshim_containerd_archives has no runc, and this node has none that containerd could start containers with",
            "Add runc's release file to it, or install the node's package runc.",
        )
        return
    draft.archives = [
        one for one in archives if draft.facts.archives.get(f"{one.name}-{one.version}") != one.sha256.lower()
    ]
    if any(one.name == "cni" for one in archives):
        draft.cni_bin_dir = draft.cni_bin_dir if draft.source != "none" else CNI_BIN


def _has_runc(draft: Draft) -> bool:
    return draft.has_package("runc") or any(name.startswith("runc-") for name in draft.facts.archives)


def _wrong(archive: ContainerdArchive) -> str:
    """Return what is wrong with an entry of unshim_containerd_archives, "" if nothing is."""
    if archive.name not in _ARCHIVES:
        return f"name is {archive.name!r}; it can be {', '.join(_ARCHIVES)}"
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+~-]*", archive.version):
        return f"version is {archive.version!r}; it must be {archive.name}'s, without a leading v, such as 2.1.9"
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", archive.sha256):
        return f"sha256 of {archive.name} is {archive.sha256!r}; it must be the 64 hexadecimal digits of the file's checksum"
    places = [place for place in (archive.url, archive.src, archive.path) if place]
    if len(places) != 1:
        return f"{archive.name} needs one of url, src (a file on the controller) and path (a file on the node), and has {len(places)}"
    if archive.url and not re.match(r"(https?|file)://", archive.url):
        return f"url of {archive.name} is {archive.url!r}; it must begin with https://, http:// or file://"
    if archive.path and not archive.path.startswith("/"):
        return f"path of {archive.name} is {archive.path!r}; it must be absolute"
    return ""
