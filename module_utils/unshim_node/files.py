"""Read and replace files on a node so that at every moment either the old or the whole new content is there.

What is marked ``by_shell`` has its like in :mod:`files_by_shell`, for a node that is not this machine.
"""

import binascii
import contextlib
import errno
import fcntl
import glob
import grp
import os
import pwd
import shutil
import stat
import struct
import tempfile
from typing import NamedTuple

from . import commands, place
from .errors import NodeError

# <linux/fs.h>: what `lsattr` shows. The request number is _IOR('f', 1, long).
FS_IOC_GETFLAGS = 0x80006601 | (struct.calcsize("l") << 16)
FS_IMMUTABLE_FL = 0x10
FS_APPEND_FL = 0x20
UNFINISHED = ".unshim-new-"  # what a file is called until it has its name
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LINKS = 40  # as many as the kernel follows
OBSTACLES = {
    "no-directory": "%(directory)s is not a directory",
    "read-only": "the filesystem of %(directory)s is read-only",
    "immutable-directory": "the directory %(directory)s has the immutable attribute (chattr -i %(directory)s)",
    "no-permission": "no permission to write in %(directory)s (is `become: true` missing?)",
    "not-regular": "it is not a regular file",
    "mounted": "something is mounted on the file itself, so it cannot be replaced",
    "immutable": "it has the immutable or append-only attribute (chattr -ia %(path)s)",
}

Status = NamedTuple("Status", [("mode", int), ("uid", int), ("gid", int), ("size", int)])


# What is there


@place.by_shell
def kind(path):
    """Return what ``path`` is or leads to: "file", "directory", "socket", "other", or "" if there is nothing."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISSOCK, "socket"))
    return next((name for is_one, name in kinds if is_one(mode)), "other")


@place.by_shell
def status(path):
    """Return the :class:`Status` of what ``path`` is or leads to."""
    info = os.stat(path)
    return Status(stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_size)


@place.by_shell
def link_target(path):
    """Return what a symlink says, None if ``path`` is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


@place.by_shell
def real_path(path):
    """Return where ``path`` leads through every symlink."""
    return os.path.realpath(path)


@place.by_shell
def names(directory):
    """Return the names in a directory, sorted; [] if it is none."""
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


@place.by_shell
def matching(pattern):
    """Return the paths that match a shell pattern, sorted."""
    return sorted(glob.glob(pattern))


@place.by_shell
def read_bytes(path):
    """Return the content of ``path``, or None if there is no such file (or it is a symlink to nowhere)."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


@place.by_shell
def final_path(path):
    """Return where content for ``path`` really goes: through any symlinks, so that a link stays a link."""
    return os.path.realpath(path) if os.path.islink(path) else path


@place.by_shell
def missing_directories(path):
    """Return the directories that have to be made before ``path`` can exist, outermost first."""
    missing = []
    directory = os.path.dirname(os.path.abspath(final_path(path)))
    while not os.path.isdir(directory):
        missing.insert(0, directory)
        directory = os.path.dirname(directory)
    return missing


@place.by_shell
def read_attributes(path):
    """Return the extended attributes of ``path`` (the SELinux label, ACLs, capabilities) as far as they can be read."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                found[name] = os.getxattr(path, name)
    return found


# What changes it


@place.by_shell
def write_atomically(path, data, mode, uid, gid, attributes=None):
    """Replace the content of ``path`` (made if absent, with its parent directories, which get 0755).

    A symlink stays and its target is replaced. The temporary file is in the same directory; file and directory are
    synced, so after a power cut there is the old content or the new, never a part.

    Args:
        data: the bytes.
        mode: permission bits as an int.
        uid, gid: owner and group as numbers.
        attributes: extended attributes for the new file; None keeps those of the old one. Best effort.

    Returns:
        the directories that had to be made, outermost first.
    """
    target = final_path(path)
    made = missing_directories(target)
    directory, name = _located(path, make=True)
    try:
        is_new = not os.path.lexists(target)
        if attributes is None:
            attributes = read_attributes(target)
        remove_unfinished(target)
        temporary = UNFINISHED + binascii.hexlify(os.urandom(8)).decode("ascii")
        # 0600: a secret is at no moment readable by others.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchown(stream.fileno(), uid, gid)
                os.fchmod(stream.fileno(), mode)
                for key, value in attributes.items():
                    with contextlib.suppress(OSError):
                        os.setxattr(stream.fileno(), key, value)
                os.fsync(stream.fileno())
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise
        _sync(directory)
    except OSError as error:
        error.filename = target  # not the name beside it, which says nothing to an operator
        raise
    finally:
        os.close(directory)
    if is_new and not attributes:
        _restore_selinux_label(made[:1] + [target])
    return made


def _located(path, make=False):
    """Return (the descriptor of a directory, the name in it) of the file that ``path`` is or leads to; to be closed.

    Links are followed only if they belong to root or to us, as all do that an administrator or a package made. Somebody else
    who may write in a directory on the way could plant one, and have root write where it leads. The descriptor stays at what
    was looked at, whatever becomes of the path meanwhile.

    Args:
        make: make the directories that are missing, with 0755.

    Raises:
        NodeError: a link on the way is somebody else's.
    """
    path = os.path.join(os.getcwd(), path)
    waiting = [part for part in path.split("/") if part][::-1]
    here = os.open("/", DIRECTORY)
    followed = 0
    try:
        while True:
            part = waiting.pop()
            target = _followed(here, part, path)
            if target is not None:
                followed += 1
                if followed > LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                waiting += [one for one in target.split("/") if one][::-1]
                if target.startswith("/"):
                    os.close(here)
                    here = os.open("/", DIRECTORY)
            elif not waiting:
                return here, part
            else:
                below = _below(here, part, make)
                os.close(here)
                here = below
    except BaseException:
        os.close(here)
        raise


def _followed(directory, name, path):
    """Return where the link ``name`` in a directory leads, None if it is none, or not there."""
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISLNK(info.st_mode):
            return None
        if info.st_uid not in (0, os.geteuid()):
            raise NodeError(
                "%s was not written: %s on its way is a symlink that belongs to user %d, who could make root write anywhere. "
                "Remove it, or give it to root (`chown -h root`), and run again." % (path, name, info.st_uid),
                {"file": path},
            )
        return os.readlink("", dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _below(directory, name, make):
    try:
        return os.open(name, DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    os.mkdir(name, 0o755, dir_fd=directory)
    _sync(directory)
    made = os.open(name, DIRECTORY, dir_fd=directory)
    os.fchmod(made, 0o755)  # the umask of an Ansible connection may be 077
    return made


@place.by_shell
def remove_unfinished(path):
    """Remove what writers of files beside ``path`` left that were killed: whoever writes has the journal's lock."""
    directory = os.path.dirname(os.path.abspath(final_path(path)))
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith(UNFINISHED):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(directory, name))


@place.by_shell
def remove(path):
    """Remove the file (a symlink's target, not the link) and return whether it was there."""
    try:
        directory, name = _located(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        os.unlink(name, dir_fd=directory)
        _sync(directory)
    except FileNotFoundError:
        return False
    finally:
        os.close(directory)
    return True


@place.by_shell
def remove_directory(path):
    """Remove a directory and return whether it is gone: one that somebody else uses stays."""
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


@place.by_shell
def make_directories(directories):
    """Make directories, each (path, mode), outermost first; one that is there already is left as it is."""
    for path, mode in directories:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode)
        sync_directory(os.path.dirname(path))


@place.by_shell
def rename(path, new):
    """Give a file another name."""
    os.rename(path, new)


@place.by_shell
def set_link(path, target):
    """Make ``path`` a symlink to ``target``, in place of the file or link that is there."""
    temporary = path + ".unshim-link"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


@place.by_shell
def write_kernel(path, value):
    """Write a value to a file of the kernel's and return what prevented it, "" if nothing did."""
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(value)
    except OSError as error:
        return error.strerror
    return ""


@contextlib.contextmanager
def temporary(data, suffix=""):
    """Give the path of a file with ``data``, readable by its owner alone, for as long as the block lasts."""
    directory = make_temporary_directory()
    path = os.path.join(directory, "unshim" + suffix)
    try:
        write_atomically(path, data, 0o600, *own_ids())
        yield path
    finally:
        remove_tree(directory)


@place.by_shell
def make_temporary_directory():
    return tempfile.mkdtemp(prefix="unshim-")


@place.by_shell
def remove_tree(path):
    """Remove a file, a link, or a directory with all that is in it; what cannot be removed stays."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        os.unlink(path)


@place.by_shell
def own_ids():
    """Return our (uid, gid) on the node."""
    return os.geteuid(), os.getegid()


@place.by_shell
def sync_directory(path):
    """Make renames and removals in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor):
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # filesystems that cannot sync a directory say so
            raise


def _restore_selinux_label(paths):
    if os.path.exists("/sys/fs/selinux/enforce") and commands.find("restorecon"):
        commands.run(["restorecon", "-R"] + paths, timeout=30, check=False)


# What keeps a file from being written


@place.by_shell
def space(path):
    """Return the number of the filesystem that ``path`` is or would be on, and the bytes free there."""
    directory = _existing_directory(path)
    info = os.statvfs(directory)
    return os.stat(directory).st_dev, info.f_bavail * info.f_frsize


def obstacle(path):
    """Return why ``path`` cannot be replaced by a new file, or None."""
    path = os.path.abspath(path)
    word, directory = find_obstacle(path)
    return OBSTACLES[word] % {"path": path, "directory": directory} if word else None


@place.by_shell
def find_obstacle(path):
    """Return the key of OBSTACLES that holds for ``path``, "" if none does, and the innermost directory that is there."""
    directory = _existing_directory(path)
    if not os.path.isdir(directory):
        return "no-directory", directory
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        return "read-only", directory
    if _attribute_flags(directory) & FS_IMMUTABLE_FL:
        return "immutable-directory", directory
    if not os.access(directory, os.W_OK | os.X_OK):
        return "no-permission", directory
    if os.path.lexists(path):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return "not-regular", directory
        if path in _mount_points():
            return "mounted", directory
        if _attribute_flags(path) & (FS_IMMUTABLE_FL | FS_APPEND_FL):
            return "immutable", directory
    return "", directory


@place.by_shell
def number_of(name, kind):
    """Return the number of a "user" or "group", None if the node has none such."""
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _existing_directory(path):
    directory = os.path.dirname(os.path.abspath(path))
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    return directory


def _attribute_flags(path):
    """Return the flags `lsattr` shows; 0 where the filesystem has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        buffer = fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, struct.pack("l", 0))
        return struct.unpack("i", buffer[:4])[0]  # the kernel fills in an int
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def _mount_points():
    points = set()
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            fields = line.split(" ")
            if len(fields) > 4:
                points.add(fields[4].replace("\\040", " "))
    return points
