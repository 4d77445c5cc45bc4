"""Read what ``probe.sh`` saw on a node: :func:`probe_script` is what to run there, :func:`parse` makes facts of its output.

The same pair serves the Ansible action ``runtime_facts``, the pyinfra fact and the tests. Nothing here does I/O, except
that the script's text is read from beside this file.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
from collections.abc import Iterable
from importlib import resources
from typing import Any

from . import docker_mentions, journal_text, rlimits
from .facts import (
    Container,
    Containerd,
    Docker,
    DockerClient,
    Facts,
    File,
    Image,
    Kernel,
    Kubelet,
    Mount,
    OperatingSystem,
    Package,
    Unit,
)
from .sections import ProbeError, Section, pair, split

__all__ = ["ProbeError", "parse", "probe_script"]

# The packages and units probe.sh asks for; tests/unit/observe proves that both lists are the same.
PACKAGES = (
    "containerd", "containerd.io", "runc", "docker.io", "docker-cli", "docker-ce", "docker-ce-cli", "moby-engine",
    "moby-containerd", "containernetworking-plugins", "cri-tools", "kubelet", "kubeadm", "kubernetes-cni",
    "containerd-ctr", "cni-plugins",
)  # fmt: skip

# Labels dockershim makes of pod annotations: not needed, and last-applied-configuration may hold secrets.
_ANNOTATION_LABEL = "annotation."


def probe_script() -> str:
    """Return the text of the POSIX shell script to run on a node: ``sh -c TEXT``, as root to see everything."""
    return resources.files(__package__ or "unshim").joinpath("probe.sh").read_text(encoding="utf-8")


def parse(text: str) -> Facts:
    """Return the facts in the output of ``probe.sh``.

    Args:
        text: the output; login messages around it and CR LF line ends do no harm.

    Raises:
        ProbeError: the probe did not run, or its output is cut off, damaged or another version's.
    """
    sections = split(text)
    try:
        return _facts(sections)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ProbeError(f"the probe's output was damaged on its way ({error!r}): run again") from error


def _facts(sections: list[Section]) -> Facts:
    system = _first(sections, "system").values()
    return Facts(
        hostname=system.get("hostname", ""),
        uid=int(system.get("uid") or -1),
        time=_time(system.get("time", "")),
        os=_operating_system(_first(sections, "os-release"), system),
        kernel=_kernel(_first(sections, "kernel")),
        units={section.argument: _unit(section) for section in _all(sections, "unit")},
        packages=_packages(sections),
        archives=dict(pair(value) for value in _first(sections, "archives").every("archive")),
        files=journal_text.in_force({section.argument: _file(section) for section in _all(sections, "file")}),
        docker=_docker(sections),
        containerd=_containerd(sections),
        kubelet=_kubelet(sections, system),
        obstacles=_obstacles(_first(sections, "obstacles")),
        mounts={section.argument: _mount(section) for section in _all(sections, "mount")},
        limits={section.argument: _process_limits(section) for section in _all(sections, "limits")},
        programs=_programs(_first(sections, "programs")),
        cni_plugins={s.argument: tuple(line for line in s.lines if line) for s in _all(sections, "cni-plugins")},
        cri_dockerd=_words(_first(sections, "cri-dockerd-command-line").content()),
        registry_logins={s.argument: tuple(dict.fromkeys(s.every("name"))) for s in _all(sections, "registry-logins")},
        addresses=tuple(dict.fromkeys(_first(sections, "addresses").every("address"))),
        docker_mentions=docker_mentions.read(_all(sections, "docker-mentions")),
        mentioning_units=_shown_units(_first(sections, "mentioning-units")),
        docker_clients=_docker_clients(sections),
        docker_group=_first(sections, "docker-group").every("member"),
        not_seen=tuple(dict.fromkeys(section.argument for section in _all(sections, "not-seen"))),
    )


def _all(sections: Iterable[Section], name: str) -> list[Section]:
    return [section for section in sections if section.name == name]


def _first(sections: Iterable[Section], name: str) -> Section:
    """The section of this name, an empty one if the probe left it out."""
    return next((section for section in sections if section.name == name), Section(name))


def _time(text: str) -> float:
    seconds = float(text or 0)
    if not math.isfinite(seconds):
        raise ValueError(f"its time is {text}")
    return seconds


def _operating_system(release: Section, system: dict[str, str]) -> OperatingSystem:
    values = {}
    for line in release.lines:
        key, separator, value = line.partition("=")
        if separator and not key.startswith("#"):
            values[key.strip()] = _unquote(value)
    return OperatingSystem(
        id=values.get("ID", ""),
        version_id=values.get("VERSION_ID", ""),
        codename=values.get("VERSION_CODENAME", ""),
        variant_id=values.get("VARIANT_ID", ""),
        id_like=tuple(values.get("ID_LIKE", "").split()),
        pretty_name=values.get("PRETTY_NAME", ""),
        architecture=system.get("machine", ""),
        kernel=system.get("kernel", ""),
        init=system.get("init", ""),
        package_manager=system.get("package_manager", ""),
        container=system.get("container", ""),
        python=system.get("python", ""),
    )


def _unquote(value: str) -> str:
    """The value of a line of os-release, which follows the shell's quoting (os-release(5))."""
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value.strip()


def _kernel(section: Section) -> Kernel:
    values = section.values()
    return Kernel(
        cgroup=values.get("cgroup", ""),
        modules_absent=section.every("absent"),
        controllers=tuple(values["controllers"].split()) if "controllers" in values else None,
        modules_loaded=section.every("module"),
        sysctls=dict(pair(value) for value in section.every("sysctl")),
    )


def _unit(section: Section) -> Unit:
    """From ``systemctl show``: one ``Property=value`` a line, EnvironmentFiles= once per file."""
    values: dict[str, str] = {}
    environment_files: list[str] = []
    for line in section.lines:
        key, _, value = line.partition("=")
        if key in ("EnvironmentFiles", "EnvironmentFile"):  # the latter up to systemd 229
            environment_files.append(re.sub(r" \(ignore_errors=\w+\)$", "", value))
        else:
            values[key] = value
    return Unit(
        name=section.argument,
        load_state=values.get("LoadState", "not-found"),
        active_state=values.get("ActiveState", "inactive"),
        unit_file_state=values.get("UnitFileState", ""),
        fragment_path=values.get("FragmentPath", ""),
        drop_in_paths=tuple(values.get("DropInPaths", "").split()),
        main_pid=int(values.get("MainPID") or 0),
        need_daemon_reload=values.get("NeedDaemonReload") == "yes",
        kill_mode=values.get("KillMode", ""),
        environment_files=tuple(environment_files),
        triggered_by=tuple(values.get("TriggeredBy", "").split()),
    )


def _shown_units(section: Section) -> tuple[Unit, ...]:
    """From one ``systemctl show`` for several units, an empty line between."""
    found = []
    for block in "\n".join(section.lines).split("\n\n"):
        name = re.search(r"^Id=(.+)$", block, re.MULTILINE)
        if name:
            found.append(_unit(Section("unit", name[1], tuple(block.splitlines()))))
    return tuple(found)


def _docker_clients(sections: list[Section]) -> tuple[DockerClient, ...] | None:
    if not _all(sections, "docker-clients"):
        return None
    return tuple(
        DockerClient(
            pid=int(section.argument),
            name=section.values().get("name", ""),
            cgroups=tuple(dict.fromkeys(line.split(":", 2)[-1] for line in section.every("cgroup"))),
        )
        for section in _all(sections, "docker-client")
    )


def _packages(sections: list[Section]) -> dict[str, Package]:
    """Every package asked for, installed or not; {} where the probe knows no package manager."""
    found = _all(sections, "packages")
    if not found:
        return {}
    installed = dict(pair(value) for value in found[0].every("installed"))
    candidates = dict(pair(value) for value in found[0].every("candidate"))
    held = set(found[0].every("held"))
    locked = found[0].every("locked")
    return {
        name: Package(
            name=name,
            version=installed.get(name, ""),
            candidate=candidates.get(name, "").replace("(none)", ""),
            held=name in held or any(_is_locked(name, entry) for entry in locked),
        )
        for name in PACKAGES
    }


def _is_locked(name: str, entry: str) -> bool:
    """Whether a line of dnf's or yum's versionlock.list, ``[EPOCH:]NAME-[EPOCH:]VERSION-RELEASE.ARCH``, is about a package."""
    return re.match(rf"(\d+:)?{re.escape(name)}-(\d+:)?[\d*]", entry) is not None


def _file(section: Section) -> File:
    values = section.values()
    content = section.content()
    mode, owner, group = (values.get("stat", "").split() + ["", "", ""])[:3]
    kind = values.get("kind", "missing")
    target = values.get("link", "")
    if target and kind != "unreadable":
        kind = "symlink"
    text, is_utf8 = None, True
    if content is not None:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            is_utf8 = False
    return File(
        path=section.argument,
        kind=kind,
        content=text,
        sha256="" if content is None else hashlib.sha256(content).hexdigest(),
        mode=mode.rjust(4, "0") if mode else "",
        owner=owner,
        group=group,
        target=target,
        is_utf8=is_utf8,
    )


def _records(section: Section) -> list[dict[str, Any]]:
    """One JSON object a line; one that Docker could not finish printing is left out."""
    records = []
    for line in section.lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _text(value: Any) -> str:
    """A text of Docker's; null is an empty one. What is of another type was damaged, or is of a Docker not known yet."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value or ""


def _number(value: Any) -> int:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(f"a number is {type(value).__name__}")
    return value or 0


def _list(value: Any) -> tuple[str, ...]:
    if value is not None and not isinstance(value, list):
        raise TypeError(f"a list is {type(value).__name__}")
    return tuple(_text(one) for one in value or ())


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"an object is {type(value).__name__}")
    return value or {}


def _docker(sections: list[Section]) -> Docker:
    found = _all(sections, "docker")
    if not found:
        return Docker()
    values = found[0].values()
    command_line = _words(_first(sections, "dockerd-command-line").content())
    seen = _first(sections, "dockerd-environment").content()
    environment = None if seen is None else _environment(seen.decode("utf-8", "replace"))
    info = next(iter(_records(_first(sections, "docker-info"))), None)
    if info is None:
        return Docker(
            installed=True,
            version=_docker_version(values.get("version", "")),
            has_client=values.get("client", "") != "missing",
            command_line=command_line,
            environment=environment,
        )
    return Docker(
        installed=True,
        answers=True,
        version=_text(info["version"]),
        root=_text(info["root"]),
        storage_driver=_text(info["storage_driver"]),
        cgroup_driver=_text(info["cgroup_driver"]),
        default_runtime=_text(info["default_runtime"]),
        runtimes=tuple(sorted(_object(info["runtimes"]))),
        runtime_programs={
            name: runtime["path"]
            for name, runtime in sorted(_object(info["runtimes"]).items())
            if isinstance(runtime, dict) and isinstance(runtime.get("path"), str)
        },
        live_restore=bool(info["live_restore"]),
        containers=tuple(_container(record) for record in _records(_first(sections, "docker-containers"))),
        images=tuple(_image(record) for record in _records(_first(sections, "docker-images"))),
        command_line=command_line,
        environment=environment,
        registry_mirrors=_registries(info)[0],
        insecure_registries=_registries(info)[1],
    )


def _registries(info: dict[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """The mirrors and the insecure registries and networks in Docker's RegistryConfig; older recordings have none."""
    config = info.get("registry")
    if not isinstance(config, dict):
        return None, None
    indexes = _object(config.get("IndexConfigs"))
    insecure = [name for name, index in indexes.items() if not _object(index).get("Secure", True)]
    return _list(config.get("Mirrors")), (*_list(config.get("InsecureRegistryCIDRs")), *insecure)


def _docker_version(line: str) -> str:
    """``Docker version 20.10.24+dfsg1, build 297e128`` -> ``20.10.24+dfsg1``."""
    match = re.search(r"version ([^ ,]+)", line)
    return match.group(1) if match else ""


def _container(record: dict[str, Any]) -> Container:
    labels = _object(record["labels"])
    return Container(
        id=_text(record["id"]),
        name=_text(record["name"]).removeprefix("/"),
        image=_text(record["image"]),
        running=bool(record["running"]),
        started_at=_text(record["started_at"]),
        pid=_number(record["pid"]),
        labels={name: _text(value) for name, value in sorted(labels.items()) if not name.startswith(_ANNOTATION_LABEL)},
    )


def _image(record: dict[str, Any]) -> Image:
    return Image(
        id=_text(record["id"]),
        tags=_list(record["tags"]),
        digests=_list(record["digests"]),
        size=_number(record["size"]),
    )


def _containerd(sections: list[Section]) -> Containerd:
    found = _all(sections, "containerd")
    if not found:
        return Containerd()
    values = found[0].values()
    words = values.get("version", "").split()  # containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1
    tasks = {section.argument: _running_tasks(section) for section in _all(sections, "containerd-tasks")}
    return Containerd(
        installed=True,
        answers=bool(_all(sections, "containerd-plugins")),
        version=words[2].removeprefix("v") if len(words) > 2 else "",
        socket=values.get("socket", ""),
        binary=values.get("binary", ""),
        cri_plugin=_cri_plugin(_first(sections, "containerd-plugins")),
        default_sandbox_image=values.get("sandbox", "").strip("\"'"),
        k8s_images=tuple(line for line in _first(sections, "containerd-images").lines if line),
        k8s_tasks=tasks.get("k8s.io", 0),
        moby_tasks=tasks.get("moby", 0),
        snapshotters=_snapshotters(_first(sections, "containerd-plugins")),
        oci_spec=(_first(sections, "oci-spec").content() or b"").decode("utf-8", "replace"),
        unit_limits=_unit_limits(_first(sections, "unit-limits")),
        other_tasks={name: count for name, count in tasks.items() if count and name not in ("k8s.io", "moby")},
        root=values.get("root", ""),
    )


def _cri_plugin(plugins: Section) -> str:
    """The status of the plugin that serves CRI, in ``ctr plugins ls``: ``io.containerd.grpc.v1  cri  linux/amd64  ok``."""
    for line in plugins.lines:
        words = line.split()
        if words[:2] == ["io.containerd.grpc.v1", "cri"]:
            return words[-1]
    return ""


def _snapshotters(plugins: Section) -> dict[str, str]:
    """Return the state of every snapshotter, from ``io.containerd.snapshotter.v1  zfs  linux/amd64  skip``."""
    found = {}
    for line in plugins.lines:
        words = line.split()
        if words[:1] == ["io.containerd.snapshotter.v1"]:
            found[words[1]] = words[-1]
    return found


def _process_limits(section: Section) -> dict[str, tuple[int, int]]:
    """Return (soft, hard) by name from /proc/PID/limits without its "Max ": ``open files   1024   524288   files``."""
    found = {}
    for line in section.lines:
        match = re.match(r"(\S+(?: \S+)*) {2,}(\d+|unlimited) +(\d+|unlimited)\b", line)
        name = rlimits.BY_PROC_NAME.get(match[1]) if match else None
        if match and name:
            found[name] = (rlimits.number(match[2]), rlimits.number(match[3]))
    return found


def _unit_limits(section: Section) -> dict[str, tuple[int, int]]:
    """Return (soft, hard) by name from ``systemctl show`` without its "Limit": ``NOFILE=524288``, ``NOFILESoft=1024``."""
    values = dict(
        line.split("=", 1) for line in section.lines if re.fullmatch(r"[A-Z]+(?:Soft)?=(?:\d+|infinity)", line)
    )
    return {
        name.lower(): (rlimits.number(values.get(f"{name}Soft", value)), rlimits.number(value))
        for name, value in values.items()
        if name.lower() in rlimits.NAMES
    }


def _programs(section: Section) -> dict[str, str]:
    found = {}
    for line in section.lines:
        path, name = pair(line)
        if name:
            found[name] = "" if path == "-" else path
    return found


def _running_tasks(tasks: Section) -> int:
    """``ctr tasks ls`` prints ``TASK  PID  STATUS``."""
    return sum(line.split()[-1:] == ["RUNNING"] for line in tasks.lines)


def _kubelet(sections: list[Section], system: dict[str, str]) -> Kubelet:
    found = _all(sections, "kubelet")
    hostname = system.get("hostname", "").strip().lower()  # as the kubelet does: pkg/util/node GetHostname
    if not found:
        return Kubelet(hostname=hostname)
    values = found[0].values()
    environment = _first(sections, "kubelet-environment").content() or b""
    return Kubelet(
        installed=True,
        version=values.get("version", "").removeprefix("Kubernetes ").removeprefix("v"),
        binary=values.get("binary", ""),
        pid=int(values.get("pid") or 0),
        command_line=_words(_first(sections, "kubelet-command-line").content()),
        environment=_environment(environment.decode("utf-8", "replace")),
        directory=values.get("directory", ""),
        hostname=hostname,
        kubeconfig_server=values.get("server", "").strip("\"'"),
    )


def _words(content: bytes | None) -> tuple[str, ...]:
    """The arguments in a /proc/PID/cmdline."""
    return tuple(content.decode("utf-8", "replace").removesuffix("\0").split("\0")) if content else ()


def _obstacles(section: Section) -> dict[str, str]:
    """From lines such as ``writable /etc`` and ``immutable /etc/default/kubelet``; the last one about a path counts."""
    found = {}
    for line in section.lines:
        obstacle, _, path = line.partition(" ")
        if path:
            found[path] = "" if obstacle == "writable" else obstacle
    return found


def _environment(text: str) -> dict[str, str]:
    variables = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator:
            variables[name] = value
    return variables


def _mount(section: Section) -> Mount:
    """From ``df -Pk``: device, KiB in all, used and available, percent, mount point."""
    values = section.values()
    match = re.match(r"(.+?) +(\d+) +(\d+) +(\d+) +\d+% +(.*)$", values.get("df", ""))
    if match is None:
        return Mount(path="", filesystem=values.get("type", ""))
    device, size, _used, available, path = match.groups()
    return Mount(
        path=path,
        device=device,
        filesystem=values.get("type", ""),
        ftype=values.get("ftype", ""),
        unit=values.get("mount-unit"),
        size=int(size) * 1024,
        available=int(available) * 1024,
        read_only=values.get("read-only") == "yes",
    )
