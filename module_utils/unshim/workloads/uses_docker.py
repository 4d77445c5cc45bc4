"""How a container shows that it uses Docker."""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import host_paths, shell
from .images import name_of, tag_of
from .model import Path, ScanSettings
from .pod_specs import Container, PodSpec, text

#: docs.docker.com/reference/cli/docker: what a client asks a daemon for. Without one of these a word "docker" is only a word.
SUBCOMMANDS = frozenset((
    "attach", "build", "builder", "buildx", "commit", "compose", "container", "context", "cp", "create", "diff",
    "events", "exec", "export", "history", "image", "images", "import", "info", "inspect", "kill", "load", "login",
    "logout", "logs", "manifest", "network", "node", "pause", "plugin", "port", "ps", "pull", "push", "rename",
    "restart", "rm", "rmi", "run", "save", "search", "secret", "service", "stack", "start", "stats", "stop", "swarm",
    "system", "tag", "top", "trust", "unpause", "update", "version", "volume", "wait"
))  # fmt: skip
_SOCKET = re.compile(r"(?:^|[^\w/])(?:unix://)?(/[\w./-]*?(?:docker|dockershim|cri-dockerd)\.sock)(?![\w.-])")
_COMPOSE = frozenset((
    "build", "config", "create", "down", "events", "exec", "images", "kill", "logs", "pause", "port", "ps", "pull",
    "push", "restart", "rm", "run", "scale", "start", "stop", "top", "unpause", "up", "version"
))  # fmt: skip


def is_daemon(container: Container) -> bool:
    """True for a Docker daemon in a pod: the image's name says so, or its command is dockerd."""
    image = container.image
    if name_of(image) == "docker" and "dind" in tag_of(image):
        return True
    if re.search(r"(?:^|[-_])dind(?:$|[-_])", name_of(image)):
        return True
    words = [word for _, word in container.words()]
    return any(one[0] in ("dockerd", "dockerd-entrypoint.sh", "dockerd-rootless.sh") for one in shell.commands(words))


def has_daemon(pod: PodSpec) -> bool:
    return any(is_daemon(container) for container in pod.containers)


def docker_commands(words: list[str]) -> list[str]:
    """Return the Docker commands that an exec array runs, such as ``docker build``."""
    return list(_of_docker(shell.commands(words)))


def docker_commands_of_script(script: str) -> list[str]:
    return list(_of_docker(shell.script_commands(script)))


def runs_docker(container: Container) -> bool:
    """True if it has Docker's client as its image, or runs it."""
    if name_of(container.image) == "docker" and not is_daemon(container):
        return True
    return bool(container_commands(container))


def container_commands(container: Container) -> list[tuple[Path, str]]:
    """Return the Docker commands of a container's own command line, with the place of each."""
    words = container.words()
    lines = [(path, word) for path, word in words if path[-1] in ("script", "source")]
    array = [(path, word) for path, word in words if path[-1] not in ("script", "source")]
    found = [(path, one) for path, script in lines for one in docker_commands_of_script(script)]
    run = [word for _, word in array]
    if name_of(container.image) == "docker" and not container.spec.get("command"):
        run.insert(
            0, "docker"
        )  # the image's entrypoint puts it before a subcommand: docker-library/docker docker-entrypoint.sh
    for one in docker_commands(run):
        # The word that holds it: the script behind -c, or the program itself.
        client = one.split()[0]
        path = next((path for path, word in array if client in word), array[0][0] if array else container.path)
        found.append((path, one))
    return found


def sockets_named(value: str) -> list[str]:
    """Return the paths in a text that are called like one of Docker's sockets."""
    return [match.group(1) for match in _SOCKET.finditer(value)]


def names_host_socket(pod: PodSpec, container: Container, settings: ScanSettings) -> bool:
    """True if a word or variable of a container is a path that leads to Docker's socket on the node."""
    values = [word for _, word in container.words()] + [text(entry.get("value")) for _, entry in container.environment]
    return any(
        host_paths.is_socket(pod.behind(container, path, settings) or "")
        for value in values
        for path in sockets_named(value)
    )


def _of_docker(found: Iterator[list[str]]) -> Iterator[str]:
    for program, *rest in found:
        wanted = SUBCOMMANDS if program == "docker" else _COMPOSE if program == "docker-compose" else frozenset()
        verb = _verb(rest)
        if verb in wanted:
            yield f"{program} {verb}"
        elif program == "dockerd":
            yield program


def _verb(words: list[str]) -> str:
    """Return the first word that is no option; Docker's global options that take a value are -H, -l, -c and their long forms."""
    takes = ("-H", "--host", "-l", "--log-level", "-c", "--context", "--config", "-f", "--file", "-p", "--project-name")
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in takes else 1
    return words[index] if index < len(words) else ""
