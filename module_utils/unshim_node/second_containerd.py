"""A containerd of our own for a short while, on a data directory that the node's containerd will use later.

Docker and Kubernetes share one containerd daemon on most nodes. While Docker's containers run, that daemon cannot change
its data directory; the images must be in the new one before the pods leave. So a second daemon, with a socket and a state
directory of its own and without CRI, fills the new one meanwhile.

Two daemons never work on one data directory: containerd itself locks its database (bolt: flock on meta.db), and the lock
is tried before ours is started. Ours ends with the process that started it, even if that one is killed (prctl
PR_SET_PDEATHSIG), and its mounts end with it: they are in a mount namespace of its own (unshare).
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time

from . import commands, files
from .errors import NodeError

DIRECTORY = "/run/unshim/second-containerd"  # on a tmpfs everywhere: gone after a reboot
LOCK = "/run/unshim/second-containerd.lock"
DATABASE = "io.containerd.metadata.v1.bolt/meta.db"
START_TIMEOUT = 60.0  # s
STOP_TIMEOUT = 15.0  # s
LOCK_WAIT = 5.0  # s
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

# Plugins that would reach beyond the data directory (containerd cmd/containerd/builtins, 1.4 to 2.1). CRI: network, streaming
# port; opt: /opt/containerd; restart: would start containers; nri: a socket the other daemon has; the rest run containers.
DISABLED = (
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.podsandbox.controller.v1.podsandbox",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.monitor.container.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.monitor.v1.cgroups",
    "io.containerd.monitor.task.v1.cgroups",
    "io.containerd.nri.v1.nri",
    "io.containerd.tracing.processor.v1.otlp",
)

CONFIG = """\
version = 2
root = %(root)s
state = %(state)s
disabled_plugins = [%(disabled)s]
[grpc]
  address = %(socket)s
[ttrpc]
  address = %(ttrpc)s
# Nothing is collected by the way: what is there may be somebody's.
[plugins."io.containerd.gc.v1.scheduler"]
  startup_delay = "24h"
  mutation_threshold = 1000000
  deletion_threshold = 0
"""


def database(root):
    return os.path.join(root, DATABASE)


def is_used(root):
    """Return whether a containerd works on ``root`` now; it holds a lock on its database as long as it runs."""
    try:
        descriptor = os.open(database(root), os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        raise
    finally:
        os.close(descriptor)
    return False


def roots_in_use():
    """Return the data directories of the containerds that run on this node, as they name them."""
    here = os.readlink("/proc/self/ns/mnt")
    found = set()
    for pid in _processes():
        with contextlib.suppress(OSError):
            with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as stream:
                if stream.read().strip() == "containerd" and os.readlink("/proc/%d/ns/mnt" % pid) == here:
                    found.add(root_of(pid))
    return sorted(found - {""})


def root_of(pid):
    """Return the data directory of the containerd with this process id, "" if it has none open."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(OSError):
                target = os.readlink("/proc/%d/fd/%s" % (pid, name))
                if target.endswith("/" + DATABASE):
                    return target[: -len(DATABASE) - 1]
    return ""


def check_directory(root):
    """Make sure that ``root`` may become a data directory of containerd: it is not there, empty, or is one.

    Raises:
        NodeError: it is something else.
    """
    kind = files.kind(root)
    if not kind and files.link_target(root) is None:
        return
    if kind != "directory":
        raise NodeError("%s is to be containerd's data directory, but is not a directory; nothing was changed." % root)
    names = [name for name in files.names(root) if name != "lost+found"]
    if names and not any(name.startswith("io.containerd.") for name in names):
        raise NodeError(
            "%s is to be containerd's data directory, but holds something else (%s); nothing was changed. Set "
            "unshim_containerd_root to another directory." % (root, ", ".join(sorted(names)[:3])),
            {"root": root},
        )


def make_directory(root):
    """Make ``root`` as containerd makes its own: others may pass through and not list it."""
    missing = []
    directory = os.path.abspath(root)
    while not os.path.isdir(directory):
        missing.insert(0, directory)
        directory = os.path.dirname(directory)
    for directory in missing:
        mode = 0o711 if directory == missing[-1] else 0o755
        os.mkdir(directory, mode)
        os.chmod(directory, mode)  # whatever the umask is


class SecondContainerd(object):
    """Runs on ``root`` between ``with`` and its end; ``socket`` answers meanwhile.

    Raises:
        NodeError: another containerd works on that directory, another run has the lock, or it does not start.
    """

    def __init__(self, root, directory=DIRECTORY, lock=LOCK):
        self.root = root
        self.directory = directory
        self.socket = os.path.join(directory, "containerd.sock")
        self._config = os.path.join(directory, "config.toml")
        self._log = os.path.join(directory, "log")
        self._lock_path = lock
        self._lock = None
        self._process = None

    def __enter__(self):
        for program in ("containerd", "unshare", "ctr"):
            if commands.find(program) is None:
                raise NodeError("The program %s is not on this node; install it and run again." % program)
        self._take_lock()
        try:
            self._end_leftovers()
            if is_used(self.root):
                raise NodeError(
                    "A containerd works on %s already, and it is not containerd.service; nothing was moved. Stop it, or set "
                    "unshim_containerd_root to another directory." % self.root,
                    {"root": self.root},
                )
            check_directory(self.root)
            make_directory(self.root)
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._stop()
        finally:
            if self._lock is not None:
                shutil.rmtree(self.directory, ignore_errors=True)
                os.close(self._lock)
                self._lock = None

    def _take_lock(self):
        os.makedirs(os.path.dirname(self._lock_path), mode=0o700, exist_ok=True)
        self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_WAIT
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() >= deadline:
                    os.close(self._lock)
                    self._lock = None
                    raise NodeError(
                        "Another run moves images on this node (%s is locked). Wait until it ends, or end it, and run "
                        "again." % self._lock_path
                    ) from error
                time.sleep(0.1)

    def _end_leftovers(self):
        """End a daemon of ours whose run has ended without it. The lock says that no other run has one."""
        left = [pid for pid in _processes() if self._is_daemon(pid)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + STOP_TIMEOUT
        while any(self._is_daemon(pid) for pid in left):
            if time.monotonic() >= deadline:
                raise NodeError(
                    "A containerd that an earlier run left behind (process %s) does not end; nothing was moved."
                    % ", ".join(str(pid) for pid in left)
                )
            time.sleep(0.05)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _is_daemon(self, pid):
        """Return whether a process is, or is about to become, our containerd; an editor has that file among its words, too."""
        return _arguments(pid)[-2:] == ["--config", self._config]

    def _start(self):
        os.mkdir(self.directory, 0o700)
        with open(self._config, "x", encoding="utf-8") as stream:
            stream.write(
                CONFIG
                % {
                    "root": _quoted(self.root),
                    "state": _quoted(os.path.join(self.directory, "state")),
                    "socket": _quoted(self.socket),
                    "ttrpc": _quoted(self.socket + ".ttrpc"),
                    "disabled": ", ".join(_quoted(name) for name in DISABLED),
                }
            )
        # Loaded here: between fork and exec nothing may be.
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        parent = os.getpid()

        def end_with_parent():
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        argv = [commands.find("unshare"), "--mount", "--", commands.find("containerd"), "--config", self._config]
        with open(self._log, "xb") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=commands.environment(),
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509  this process has one thread
            )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if self._process.poll() is not None:
                raise NodeError(
                    "A second containerd on %s did not start; nothing was moved: %s" % (self.root, self._said())
                )
            if os.path.exists(self.socket) and self._ctr("version").rc == 0:
                # It also answers where a plugin failed, its database for one.
                if self._ctr("--namespace", "k8s.io", "images", "ls", "--quiet").rc == 0:
                    return
                raise NodeError(
                    "A second containerd on %s cannot use it; nothing was moved: %s" % (self.root, self._said())
                )
            if time.monotonic() >= deadline:
                raise NodeError(
                    "A second containerd on %s did not answer within %d s; nothing was moved: %s"
                    % (self.root, START_TIMEOUT, self._said())
                )
            time.sleep(0.05)

    def _ctr(self, *arguments):
        return commands.run(["ctr", "--address", self.socket] + list(arguments), timeout=15, check=False)

    def _stop(self):
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _said(self):
        with contextlib.suppress(OSError), open(self._log, encoding="utf-8", errors="replace") as stream:
            telling = re.compile(r"level=(error|fatal)|failed to load plugin (?!io\.containerd\.snapshotter)")
            lines = [line for line in stream.read().splitlines() if telling.search(line) or "level=" not in line]
            return commands.last_lines("\n".join(lines), 3) or "it printed no error"
        return "it printed nothing"


def _quoted(text):
    """Return a TOML basic string."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def _processes():
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _arguments(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as stream:
            return stream.read().decode("utf-8", "replace").split("\0")[:-1]  # each word ends with one
    except OSError:
        return []
