"""What a node can tell of a failure: logs, units, its runtimes, its files, its resources. Reads only, in bounded time."""

import hashlib
import json
import os
import pwd
import stat
import time

from . import commands, cri, files, systemd
from .errors import NodeError

UNITS = (
    "kubelet.service",
    "containerd.service",
    "docker.service",
    "docker.socket",
    "cri-docker.service",
    "cri-docker.socket",
    "cri-dockerd.service",
    "cri-dockerd.socket",
    "etcd.service",
)
LOGS = ("kubelet.service", "containerd.service", "docker.service", "cri-docker.service", "cri-dockerd.service")
#: Modules of ours that change a node; Ansible notes each call in the system log.
MODULES = (
    "containerd_config",
    "containerd_images",
    "containerd_install",
    "cri_pods",
    "docker_retire",
    "kubelet_runtime",
    "migration_journal",
    "runtime_switch",
)
COMMAND_TIMEOUT = 10  # s
LINE_LENGTH = 2000
COMMANDS = (
    ("date.txt", ["date", "--utc"]),
    ("uptime.txt", ["uptime"]),
    ("disk.txt", ["df", "-Plh"]),
    ("inodes.txt", ["df", "-Pli"]),
    ("memory.txt", ["head", "-n", "5", "/proc/meminfo"]),
    ("addresses.txt", ["ip", "-brief", "address"]),
    ("kernel.log", ["journalctl", "--no-pager", "-k", "-n", "100", "-o", "short-iso"]),
)


class Collection(object):
    """Gathers pieces until its time is over; a piece that fails is replaced by the reason."""

    def __init__(self, seconds):
        self.deadline = time.monotonic() + seconds
        self.pieces = {}
        self.left_out = []

    def add(self, name, get, *arguments):
        if time.monotonic() >= self.deadline:
            self.left_out.append(name)
            return
        try:
            self.pieces[name] = get(*arguments)
        except (NodeError, OSError, ValueError, KeyError) as error:
            self.pieces[name] = "(not available: %s)" % error

    def command(self, name, argv):
        self.add(name, output, argv)


def output(argv):
    """Return what a command prints, errors too."""
    result = commands.run(argv, timeout=COMMAND_TIMEOUT, check=False)
    return shortened(result.out + result.err)


def shortened(text):
    return "\n".join(line[:LINE_LENGTH] for line in text.splitlines()) + "\n"


def collect(lines, seconds, endpoint, journal_root):
    """Return {"pieces": {file name: text or data}, "left_out": [names]}.

    Args:
        lines: of each unit's log.
        seconds: after which no new piece is begun.
        endpoint: of the CRI.
    """
    found = Collection(seconds)
    journal = os.path.join(journal_root, "journal.json")
    found.add("journal.json", lambda: (files.read_bytes(journal) or b"").decode("utf-8", "replace"))
    for unit in LOGS:
        if systemd.exists(unit):
            argv = ["journalctl", "--no-pager", "-o", "short-iso", "-u", unit, "-n", str(lines)]
            found.command("%s.log" % unit.rpartition(".")[0], argv)
    tags = [word for name in MODULES for word in ("-t", "ansible-" + name)]
    found.command("unshim.log", ["journalctl", "--no-pager", "-o", "short-iso", "-n", "100"] + tags)
    found.add("units.json", lambda: {unit: systemd.show(unit) for unit in UNITS if systemd.exists(unit)})
    found.add("cri.json", runtime, endpoint)
    found.add("docker.txt", docker)
    found.add("files.json", changed_files, journal)
    for name, argv in COMMANDS:
        found.command(name, argv)
    return {"pieces": found.pieces, "left_out": found.left_out}


def runtime(endpoint):
    """Return what the runtime behind ``endpoint`` says: version, conditions, pods, containers, how many images."""
    said = cri.wait_ready(endpoint, cri.APIS, 0, require=())
    client = cri.Client(endpoint, said["api"], 5.0)
    return dict(
        said,
        pods=[one._asdict() for one in client.pod_sandboxes()],
        containers=[one._asdict() for one in client.containers()],
        images=client.image_names(),
    )


def docker():
    """Return the containers Docker has; a Docker that is stopped is not woken."""
    if not systemd.active("docker.service"):
        return "docker.service does not run.\n"
    return output(["docker", "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Image}} {{.Status}} {{.Names}}"])


def changed_files(journal):
    """Return, of every file in the journal, what it is now and whether that is the original or ours. No contents."""
    records = json.loads((files.read_bytes(journal) or b"{}").decode("utf-8", "replace")).get("files") or {}
    return {path: file_now(path, record) for path, record in sorted(records.items())}


def file_now(path, record):
    data = files.read_bytes(path)
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    if digest == (record.get("sha256") if record.get("existed") else None):
        state = "as it was before unshim"
    elif digest == record.get("written_sha256"):
        state = "as unshim wrote it"
    else:
        state = "changed by somebody else" if data is not None else "gone"
    now = {"state": state, "role": record.get("role", ""), "existed": bool(record.get("existed"))}
    if data is not None:
        info = os.stat(path)
        try:
            owner = pwd.getpwuid(info.st_uid).pw_name
        except KeyError:
            owner = str(info.st_uid)
        now.update(
            size=len(data),
            mode="%04o" % stat.S_IMODE(info.st_mode),
            owner=owner,
            modified=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(info.st_mtime)),
        )
    return now
