"""Many real SSH targets on one machine: real sshd on high ports of 127.0.0.1, some of them odd.

They run in a mount and a PID namespace of their own, over an overlay of this machine's files. So nothing of this machine is
touched, no daemon of it is asked, whatever a tool writes on a "node" is found in the overlay's upper directory, and what is
started here ends with the namespace's first process.
"""

import os
import random
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SOCKETS_OF_ONE_SSHD = 16  # MAX_LISTEN_SOCKS in sshd.c
AUDITOR = 23456  # the uid of a user who is not root
ETC = "/etc/unshim-farm"

# user, uid, shell
USERS = (
    ("root", 0, "/bin/sh"),
    ("sshd", 23455, "/usr/sbin/nologin"),  # sshd's own, for privilege separation
    ("auditor", AUDITOR, "/bin/sh"),
    ("closed", 23457, "/usr/sbin/nologin"),
    ("broken", 23458, f"{ETC}/broken-shell"),
)

SETUP = r"""
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
cp -a "$2/." "$1/upper/"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /sys "$1/root/sys"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs none "$1/root/run"
mount -t tmpfs -o mode=1777 none "$1/root/tmp"
mkdir "$1/root/run/sshd"
shift 2
if [ -n "$CACHES" ]; then
  rm -f "$ROOT/etc/apt/apt.conf.d/docker-clean"
  chroot "$ROOT" apt-cache gencaches >/dev/null
fi
for config; do chroot "$ROOT" "$SSHD" -D -e -f "$config" 2>>"$LOG" & done
echo up
wait
"""


@dataclass
class Farm:
    directory: Path
    key: Path
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)
    hanging: list[int] = field(default_factory=list)  # let one in and do not answer
    silent: list[int] = field(default_factory=list)  # take a connection and say nothing
    tardy: list[int] = field(default_factory=list)  # answer after DELAY
    recorded: list[int] = field(default_factory=list)  # say the same to every command
    process: subprocess.Popen | None = None

    def inside(self, script):
        """Return what a shell script prints in the farm's namespaces."""
        pid = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        command = ["nsenter", "--target", pid, "--mount", "--pid", "sh", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", check=True)
        return done.stdout

    def files(self):
        """Return every file that is not as on this machine, with its size, mode and time, and those in /tmp and /run."""
        machine = f"{self.directory}/machine"
        return set(
            self.inside(
                f"find {machine}/upper {machine}/root/tmp {machine}/root/run -printf '%p %y %m %s %T@\\n'"
            ).splitlines()
        )

    def sessions(self):
        """Return the commands that were started on the nodes, as sshd logs them."""
        log = (self.directory / "sshd.log").read_text()
        return [line for line in log.splitlines() if line.startswith("Starting session:")]

    def processes(self):
        """Return the processes that are there, but for this question's own."""
        script = 'for one in /proc/[0-9]*; do read -r name <"$one/comm" && echo "${one#/proc/} $name"; done 2>/dev/null'
        shown = self.inside(f"chroot {self.directory}/machine/root sh -c {shlex.quote(script)}").splitlines()
        return sorted(line for line in shown if line.split()[1] == "sshd")

    def inventory(self, hosts, **variables):
        """Return the path of an inventory; ``hosts`` is {name: {variable: value}}."""
        common = {
            "ansible_host": "127.0.0.1",
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlPath=none",
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        lines = ["all:", "  vars:", *(f"    {name}: {value!r}" for name, value in common.items())]
        lines += ["  children:", "    kube_node:", "      hosts:"]
        for name, own in hosts.items():
            lines += [f"        {name}:", *(f"          {key}: {value!r}" for key, value in own.items())]
        path = self.directory / f"inventory-{len(list(self.directory.glob('inventory-*')))}.yml"
        path.write_text("\n".join(lines) + "\n")
        return path


DELAY = 4


@contextmanager
def farm(up=1, down=0, hanging=0, silent=0, tardy=0, recorded=0, answer="", caches=False):
    """Give a :class:`Farm` with so many ports of each kind.

    Args:
        up, down, hanging, silent, tardy, recorded: see :class:`Farm`.
        answer: what those that are recorded say.
        caches: let apt have its caches, as it has after every ``apt-get update``; images of containers keep it from that
            (docker-clean), and each question to it takes half a second then.
    """
    binaries = sshd_binaries()
    with tempfile.TemporaryDirectory(prefix="unshim-farm-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        made = Farm(directory, directory / "key")
        numbers = {
            "up": up,
            "down": down,
            "hanging": hanging,
            "silent": silent,
            "tardy": tardy,
            "recorded": recorded,
        }
        ports = iter(_free_ports(sum(numbers.values())))
        for kind, number in numbers.items():
            setattr(made, kind, [next(ports) for _ in range(number)])
        configs = _write_files(made, binaries, answer)
        listeners = [_listen(port) for port in made.silent]
        try:
            _start(made, configs, caches)
            yield made
        finally:
            for listener in listeners:
                listener.close()
            if made.process:
                made.process.kill()  # with --kill-child, so all of the PID namespace goes
                made.process.wait()


def sshd_binaries():
    """Return the directory with sshd and its libraries: the machine's package, unpacked, not installed."""
    cache = Path(os.environ.get("UNSHIM_CACHE") or "/var/cache/unshim") / "sshd"
    if not (cache / ".complete").exists():
        subprocess.run(["bash", HERE / "unpack_sshd.sh", cache], check=True)
    return cache


def _free_ports(number):
    base = random.randrange(20000, 29000)
    found = []
    for port in range(base, base + 3000):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == number:
            return found
    raise RuntimeError(f"there are no {number} free ports from {base} on")


def _listen(port):
    return socket.create_server(("127.0.0.1", port), backlog=64)


def _write_files(made, binaries, answer):
    """Write what the overlay has more than this machine, and return the paths of sshd's configurations in it."""
    files = made.directory / "files"
    etc = files / ETC[1:]
    etc.mkdir(parents=True)
    shutil.copytree(binaries, etc / "sshd", symlinks=True)
    for program in (etc / "sshd").glob("sshd-*"):
        (files / "usr/lib/openssh").mkdir(parents=True, exist_ok=True)
        shutil.copy(program, files / "usr/lib/openssh")
    for path, kind in ((made.key, "client"), (etc / "host_key", "host")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", kind, "-f", path], check=True)
    shutil.copy(f"{made.key}.pub", etc / "authorized_keys")
    (etc / "authorized_keys").chmod(0o644)
    (etc / "broken-shell").write_text(
        "#!/bin/sh\necho 'bash: error while loading shared libraries: libc.so.6' >&2\nexit 127\n"
    )
    (etc / "broken-shell").chmod(0o755)
    (etc / "answer").write_text(answer)
    # What only root may read, and a name that is no UTF-8.
    (files / "etc/docker").mkdir()
    (files / "etc/docker/daemon.json").write_text('{"log-driver": "json-file"}\n')
    (files / "etc/docker/daemon.json").chmod(0o600)
    (files / "etc/cni/net.d").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(files / "etc/cni/net.d") + b"/caf\xe9.conflist")).write_text("{}\n")
    home = files / "root"
    home.mkdir(mode=0o700)
    (files / "etc/passwd").write_text(
        "".join(f"{n}:x:{u}:{u}:{n}:{'/root' if u == 0 else '/'}:{s}\n" for n, u, s in USERS)
    )
    (files / "etc/group").write_text("".join(f"{n}:x:{u}:\n" for n, u, _ in USERS))
    (files / "etc/shadow").write_text("".join(f"{n}:*:19000:0:99999:7:::\n" for n, _, _ in USERS))
    (files / "etc/shadow").chmod(0o600)
    slow = {
        "hanging": "ForceCommand exec sleep 600",
        "recorded": f"ForceCommand exec cat {ETC}/answer",
        "tardy": f'ForceCommand sleep {DELAY}; exec sh -c "$SSH_ORIGINAL_COMMAND"',
        "up": "",
    }
    # From OpenSSH 9.8 on, which came with sshd-session, who fails once too often is kept out; here all come from one address.
    lenient = "PerSourcePenalties no" if (etc / "sshd/sshd-session").exists() else ""
    configs = []
    for kind, more in slow.items():
        ports = getattr(made, kind)
        for first in range(0, len(ports), SOCKETS_OF_ONE_SSHD):
            config = etc / f"sshd_config.{kind}.{first}"
            config.write_text(_config(ports[first : first + SOCKETS_OF_ONE_SSHD], f"{more}\n{lenient}"))
            configs.append(f"{ETC}/{config.name}")
    return configs


def _config(ports, more):
    return "\n".join(
        [
            *(f"ListenAddress 127.0.0.1:{port}" for port in ports),
            f"HostKey {ETC}/host_key",
            f"AuthorizedKeysFile {ETC}/authorized_keys",
            "PidFile none",
            "UsePAM no",
            "UseDNS no",
            "StrictModes no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "MaxStartups 1000",
            "LogLevel VERBOSE",
            "Subsystem sftp internal-sftp",
            more,
            "",
        ]
    )


def _start(made, configs, caches):
    machine = made.directory / "machine"
    machine.mkdir()
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "ROOT": str(machine / "root"),
        "LOG": str(made.directory / "sshd.log"),
        "SSHD": f"{ETC}/sshd/sshd",
        "LD_LIBRARY_PATH": f"{ETC}/sshd/lib",
        "CACHES": "yes" if caches else "",
    }
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sh",
        "-c",
        SETUP,
        "sh",
    ]
    made.process = subprocess.Popen(
        [*command, machine, made.directory / "files", *configs],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if made.process.stdout.readline() != "up\n":
        raise RuntimeError(f"the farm did not start: {made.process.stderr.read()}")
    _await_ports([*made.up, *made.hanging, *made.tardy, *made.recorded], made)


def _await_ports(ports, made):
    deadline = time.monotonic() + 60
    for port in ports:
        while True:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"nothing answers at port {port}: {(made.directory / 'sshd.log').read_text()[-2000:]}"
                )
            time.sleep(0.1)
