"""Rules for what CI systems keep in ConfigMaps: jobs whose pods nobody sees until they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import host_paths, rules_mounts
from .host_paths import real
from .model import Hit, Json, Path, Rule, ScanSettings
from .pod_specs import embedded, text
from .texts import as_toml, as_yaml, config_texts, is_shell_script, lines, walk
from .uses_docker import docker_commands_of_script, sockets_named

_REPORTS = "github.com/Azure/AKS/issues/1989; jenkinsci/helm-charts#591; gitlab.com/gitlab-org/gitlab-runner#27384"
RULES = (
    Rule(
        "ci-docker-socket",
        "block",
        "has a CI system mount Docker's socket, or a directory it is in, into its jobs",
        "Jobs that start on a containerd node find no Docker there: they do not start, or their builds fail.",
        "Give jobs a Docker daemon of their own (a docker:dind service or sidecar), or build with BuildKit, Podman or Buildah.",
        _REPORTS,
    ),
    Rule(
        "ci-docker-executor",
        "block",
        "has a GitLab runner start its jobs with Docker of its node",
        "The executor needs a Docker daemon beside the runner; on a containerd node none answers.",
        'Use executor = "kubernetes".',
        "docs.gitlab.com/runner/executors; docs.gitlab.com/runner/executors/kubernetes",
    ),
)
#: Elsewhere in this package: what a text says, where it is no CI system's, is found with the rules of those files.
_SOCKET_NAMED = "docker-socket-named"


def check_object(data: Json, settings: ScanSettings) -> Iterator[Hit]:
    for path, key, content in config_texts(data):
        hits = [*_gitlab(path, key, content, settings), *_jobs(path, content, settings)]
        yield from hits
        if key == "DOCKER_HOST" and host_paths.is_socket(real(content.strip().removeprefix("unix://"))):
            yield Hit(_SOCKET_NAMED, path, content.strip())
        elif is_shell_script(key, content):
            commands = docker_commands_of_script(content)
            if commands:
                yield Hit("docker-command", path, commands[0])
        elif not hits:
            yield from _named(path, content)


def _named(path: Path, content: str) -> Iterator[Hit]:
    for line in lines(content):
        if any(host_paths.is_socket(real(named)) for named in sockets_named(line)):
            yield Hit(_SOCKET_NAMED, path, line)
            return


def _gitlab(path: Path, key: str, content: str, settings: ScanSettings) -> Iterator[Hit]:
    """A runner's config.toml; the chart keeps part of one in ``config.template.toml``."""
    if not key.endswith(".toml") or "runners" not in content:
        return
    runners = as_toml(content).get("runners")
    for runner in runners if isinstance(runners, list) else []:
        if not isinstance(runner, dict):
            continue
        docker = runner.get("docker") if isinstance(runner.get("docker"), dict) else {}
        host = text((docker or {}).get("host"))
        if re.match(
            r"docker(?:\+machine|-autoscaler|-windows)?$", text(runner.get("executor"))
        ) and not host.startswith("tcp://"):
            yield Hit("ci-docker-executor", path, f'executor = "{runner["executor"]}"')
        mounted = [text(one).partition(":")[0] for one in (docker or {}).get("volumes") or ()]
        kubernetes = runner.get("kubernetes") if isinstance(runner.get("kubernetes"), dict) else {}
        volumes = (kubernetes or {}).get("volumes")
        for one in (volumes.get("host_path") or ()) if isinstance(volumes, dict) else ():
            mounted.append(text(one.get("host_path")) or text(one.get("mount_path")))
        for one in mounted:
            if one.startswith("/") and _reaches_docker(one, settings):
                yield Hit("ci-docker-socket", path, one)


def _jobs(path: Path, content: str, settings: ScanSettings, depth: int = 0) -> Iterator[Hit]:
    """Pod templates as Jenkins (JCasC, also as a text inside it), the Actions Runner Controller and others keep them."""
    if depth > 3 or not re.search(r"hostPath", content):
        return
    for document in as_yaml(content):
        for pod in embedded(document, ()):
            for volume in pod.volumes:
                if volume.host_path and _reaches_docker(volume.host_path, settings):
                    yield Hit("ci-docker-socket", path, volume.host_path)
        for _, value in walk(document):
            if isinstance(value, dict) and isinstance(value.get("hostPathVolume"), dict):
                mounted = text(value["hostPathVolume"].get("hostPath"))
                if mounted and _reaches_docker(mounted, settings):
                    yield Hit("ci-docker-socket", path, mounted)
            elif isinstance(value, str) and "\n" in value:
                yield from _jobs(path, value, settings, depth + 1)


def _reaches_docker(mounted: str, settings: ScanSettings) -> bool:
    found: list[Any] = list(rules_mounts.check_path((), mounted, real(mounted, settings.symlinks), settings))
    return any(hit.rule in ("docker-socket-mount", "docker-socket-parent", "docker-binary-mount") for hit in found)
