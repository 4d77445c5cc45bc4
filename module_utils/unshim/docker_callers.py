"""Who outside of Kubernetes calls Docker on a node: what cron and systemd run, and who is connected to its socket.

Sources: crontab(5) of Debian's cron and of cronie, run-parts(8), anacrontab(5), systemd.service(5) "Command lines",
docs.docker.com/reference/cli/docker (DOCKER_HOST, --host), docs.docker.com/engine/install (the units of its packages).
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .facts import Container, DockerClient, Facts, Mention, Unit
from .workloads import host_paths, shell, uses_docker

#: Units that are Docker's, or stop with it: docker-ce, docker.io, moby-engine, containerd, cri-dockerd, Red Hat's docker.
OWN_UNITS = frozenset((
    "docker.service", "docker.socket", "containerd.service", "cri-docker.service", "cri-dockerd.service",
    "docker-storage-setup.service", "docker-cleanup.service", "docker-containerd.service",
))  # fmt: skip
#: Processes that are connected to the socket because they are Docker's or the kubelet's part of it.
OWN_PROCESSES = frozenset(("kubelet", "dockerd", "cri-dockerd", "containerd", "docker-proxy", "docker-containerd"))
#: cronie's ignore list (src/cron.h, not_a_crontab in database.c) and what editors and package managers leave behind.
_NOT_RUN = re.compile(
    r"(^[.#].*|.*~|.*\.(?:bak|old|orig|save|swp|rpmsave|rpmorig|rpmnew|cfsaved|disabled|dpkg-\w+|ucf-\w+))"
)
#: Debian's cron(8) and run-parts(8): any other name is passed over.
_DEBIAN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_FIELDS = re.compile(r"(?:@[a-z]+|(?:[\w*/,~-]+[ \t]+){4}[\w*/,~-]+)[ \t]+(.*)")
_ANACRON = re.compile(r"(?:@\w+|\d+)[ \t]+\d+[ \t]+\S+[ \t]+(.*)")
_ENDPOINT_FLAG = re.compile(r"--(?:docker|container-runtime|image-service)-endpoint[= ]\S+")
_PRINTING = ("echo", "printf", "logger")
_DAEMON = re.compile(r"docker(?:\.service|\.socket)?")
_HOST = re.compile(r"(?<![\w$])DOCKER_HOST[\"']?\s*[\]=:,]\s*[=:]?\s*[\"']?([\w:/.@\[\]-]*)")
_REMOTE = re.compile(r"(?:ssh://|(?:tcp|https?)://(?!127\.|localhost\b|\[::1\]))")
#: In a language that is no shell, a command is a list of words or a string; the client library is docker-py.
_ARRAY = re.compile(r"[\"'](?:/[\w./-]*/)?(docker(?:-compose)?)[\"']\s*,\s*[\"'](\w+)[\"']")
_STRING = re.compile(r"[\"'`](?:sudo )?(?:/[\w./-]*/)?(docker(?:-compose)?) (\w+)")
_LIBRARY = re.compile(r"\bdocker\.(?:from_env|DockerClient|APIClient)\(|^\s*(?:import|from) docker\b")


@dataclass(frozen=True)
class Call:
    """One line that uses Docker."""

    path: str
    line: int
    what: str  # "docker system", "/var/run/docker.sock", "systemctl restart docker"; never an argument's value
    called_by: tuple[str, ...] = ()
    is_used: bool = True  # False: of a service that is neither active nor enabled nor started by a timer

    @property
    def place(self) -> str:
        named = f"; named in {', '.join(self.called_by[:2])}" if self.called_by else ""
        return f"{self.path}:{self.line} ({self.what}{named})"


def calls(facts: Facts) -> list[Call]:
    """Return every line of crontabs, services and their scripts that uses this node's Docker."""
    found = []
    # A file that sets another machine's Docker for all of its commands speaks to that one.
    elsewhere = {mention.path for mention in facts.docker_mentions or () if _sets_other_machine(_command(mention))}
    for mention in facts.docker_mentions or ():
        if mention.path in elsewhere:
            continue
        callers = tuple(place for place in mention.called_by if _is_run(place.rpartition(":")[0], facts))
        is_script = bool(mention.called_by)
        if (is_script and not callers) or (not is_script and not _is_run(mention.path, facts)):
            continue
        used = [_is_used(place.rpartition(":")[0], facts) for place in callers] or [_is_used(mention.path, facts)]
        what = list(dict.fromkeys(_uses(mention)))
        if what:
            found.append(Call(mention.path, mention.line, ", ".join(what[:3]), callers, any(used)))
    return found


def clients(facts: Facts) -> list[str]:
    """Return who else is connected to Docker's socket: "cadvisor (pid 71, pod monitoring/cadvisor-x)"."""
    return [
        f"{client.name} (pid {client.pid}{_owner(client, facts)})"
        for client in facts.docker_clients or ()
        if client.name not in OWN_PROCESSES and client.pid != facts.kubelet.pid
    ]


def _owner(client: DockerClient, facts: Facts) -> str:
    for path in client.cgroups:
        for container in facts.docker.containers:
            if container.id and container.id in path:
                return f", {_container(container)}"
    for path in client.cgroups:
        for part in reversed(path.split("/")):
            if part.endswith((".service", ".scope")):
                return f", {part}"
    longest = max(client.cgroups, key=len, default="")
    return f", cgroup {longest}" if longest.strip("/") else ""


def _container(container: Container) -> str:
    pod = container.labels.get("io.kubernetes.pod.name")
    if pod:
        return f"pod {container.labels.get('io.kubernetes.pod.namespace', 'default')}/{pod}"
    return f"container {container.name.lstrip('/') or container.id[:12]}"


def _is_unit(path: str) -> bool:
    return "/systemd/" in path and path.endswith((".service", ".conf"))


def _unit_name(path: str) -> str:
    """The unit that a unit file or drop-in is of."""
    base = posixpath.basename(path)
    return base if base.endswith(".service") else posixpath.basename(posixpath.dirname(path)).removesuffix(".d")


def _units_of(path: str, facts: Facts) -> list[Unit]:
    """The services, as systemd has them, that a unit file or drop-in is part of; [] where another file hides it."""
    path, name = _real(path), _unit_name(path)
    return [
        unit
        for unit in facts.mentioning_units
        if path in map(_real, (unit.fragment_path, *unit.drop_in_paths))
        # One that was linked to from elsewhere.
        or (unit.name == name and unit.fragment_path and "/systemd/" not in unit.fragment_path)
    ]


def _real(path: str) -> str:
    """/lib is a link to /usr/lib on most systems, and systemd may say either."""
    return path.removeprefix("/usr") if path.startswith("/usr/lib/") else path


def _is_run(path: str, facts: Facts) -> bool:
    """Whether cron or systemd read the file at all, and it is not Docker's own."""
    if _is_unit(path):
        name, units = _unit_name(path), _units_of(path, facts)
        if name in OWN_UNITS:
            return False
        if not facts.mentioning_units or (not units and "@" in name):
            return True  # systemd was not asked, or no instance of it runs
        return any(unit.load_state != "masked" for unit in units)
    name = posixpath.basename(path)
    if _NOT_RUN.fullmatch(name):
        return False
    debian = {"debian", "ubuntu"} & {facts.os.id, *facts.os.id_like}
    return not (debian and path.startswith("/etc/cron.") and not _DEBIAN_NAME.fullmatch(name))


def _is_used(path: str, facts: Facts) -> bool:
    """Whether a service will be started: systemd's word, and where there is none the doubt counts."""
    if not _is_unit(path) or (not facts.mentioning_units and "@" not in _unit_name(path)):
        return True
    return any(
        unit.active_state not in ("inactive", "failed")
        or unit.unit_file_state not in ("disabled", "")
        or bool(unit.triggered_by)
        for unit in _units_of(path, facts)
    )


def _uses(mention: Mention) -> Iterator[str]:
    """Yield what a line does with Docker, in words that hold no value of an option."""
    text = _command(mention)
    if _names_other_machine(text):
        return
    if _HOST.search(text):
        yield "DOCKER_HOST"
    if mention.interpreter and not re.search(r"sh(?:\s|$)", mention.interpreter):
        for match in (*_ARRAY.finditer(text), *_STRING.finditer(text)):
            if match[2] in uses_docker.SUBCOMMANDS or match[1] == "docker-compose":
                yield f"{match[1]} {match[2]}"
        if _LIBRARY.search(text):
            yield "docker-py"
        found = []
    elif _is_unit(mention.path):
        found = list(shell.commands(_words(text)))
    else:
        found = list(shell.script_commands(text))
    yield from _commands(found)
    yield from _sockets(text, found)


def _names_other_machine(text: str) -> bool:
    host = _HOST.search(text)
    return bool(host and _REMOTE.match(host[1]))


def _sets_other_machine(text: str) -> bool:
    return bool(re.fullmatch(r"(?:export\s+)?[\"']?DOCKER_HOST\s*=\S+", text.strip())) and _names_other_machine(text)


def _sockets(text: str, found: Sequence[list[str]]) -> Iterator[str]:
    """Yield the paths of Docker's and dockershim's sockets that are no mere text; the kubelet's own flags are the plan's."""
    text = _ENDPOINT_FLAG.sub("", text)
    data = Counter(
        path for words in found if words[0] in _PRINTING for path in uses_docker.sockets_named(" ".join(words))
    )
    for path, count in Counter(uses_docker.sockets_named(text)).items():
        if count > data[path] and host_paths.is_socket(host_paths.real(path)):
            yield path


def _commands(found: Sequence[list[str]]) -> Iterator[str]:
    for words in found:
        if words[0] in ("systemctl", "service") and any(_DAEMON.fullmatch(word) for word in words[1:]):
            verb = next((word for word in words[1:] if not word.startswith("-") and not _DAEMON.fullmatch(word)), "")
            yield " ".join(word for word in (words[0], verb, "docker") if word)
        elif words[0] in ("docker", "docker-compose") and not _asks_elsewhere(words):
            yield from uses_docker.docker_commands(words)


def _asks_elsewhere(words: list[str]) -> bool:
    """Whether -H or --host names another machine."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        value = following if word in ("-H", "--host") else re.sub(r"^(?:--host=|-H=?)", "", word)
        if word.startswith(("-H", "--host")) and _REMOTE.match(value):
            return True
    return False


def _command(mention: Mention) -> str:
    """The command of a line: without the times of a crontab, a unit's key and the prefixes of its value."""
    text = mention.text.strip()
    if _is_unit(mention.path):
        key, _, value = text.partition("=")
        if key.strip() == "Environment":
            return value.strip()
        prefixes, command = re.fullmatch(r"([-@:+!|]*)(.*)", value.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
        return re.sub(r"^(\S+)\s+\S+", r"\1", command) if "@" in prefixes else command  # what it is to be called
    if (
        mention.interpreter
        or mention.called_by
        or re.match(r"/etc/cron\.(?:hourly|daily|weekly|monthly)/", mention.path)
    ):
        return text
    match = (_ANACRON if mention.path.endswith("/anacrontab") else _FIELDS).match(text)
    if match is None:
        return text
    if mention.path == "/etc/crontab" or mention.path.startswith("/etc/cron.d/"):
        return (match[1].split(maxsplit=1) + [""])[1]  # after the user
    return match[1]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
