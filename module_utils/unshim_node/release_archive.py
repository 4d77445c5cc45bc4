"""containerd, runc, the CNI plugins and crictl from their release archives, each version in a directory of its own.

``/opt/unshim/containerd-2.1.9/`` holds what the archive held, and beside it stays what was used before. What is in use is
what ``/usr/local/bin/containerd`` and its fellows link to, so going back is linking back. CNI plugins are copied to
``/opt/cni/bin`` instead: network add-ons look at that directory from inside containers, where links lead nowhere.
"""

import hashlib
import json
import os
import posixpath
import re
import shutil
import tarfile
import tempfile

from . import commands, files, systemd
from .errors import NodeError

OPT = "/opt/unshim"
LINKS = "/usr/local/bin"
CNI_BIN = "/opt/cni/bin"
UNIT_FILE = "/etc/systemd/system/containerd.service"
RECORD = ".unshim.json"  # in each version's directory, written last: {"sha256": ..., "files": {path: sha256}}
CHUNK = 1 << 20
SIZE_LIMIT = 2 << 30  # bytes an archive may unpack to: a broken or hostile one must not fill the disk
# What an archive of each name must hold, and how to see that it works on this node.
PROGRAMS = {
    "containerd": ("bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"),
    "runc": ("runc",),
    "cni": ("loopback", "bridge", "host-local", "portmap"),
    "crictl": ("crictl",),
}
# Type=notify and KillMode=process: a restart leaves the shims, and with them the containers, alone. LimitNOFILE is not
# set, as upstream has it since 2.0; the plan sets what containers get.
UNIT = """\
# Written by unshim for the containerd in %(links)s.
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target local-fs.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=%(links)s/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
"""


def directory(archive: dict, opt: str = OPT) -> str:
    """Return the directory of an archive's version."""
    return os.path.join(opt, "%s-%s" % (archive["name"], archive["version"]))


def record(archive: dict, opt: str = OPT) -> dict:
    """Return the record of an unpacked archive, {} if it is not there or was not finished."""
    data = files.read_bytes(os.path.join(directory(archive, opt), RECORD))
    try:
        return json.loads(data.decode("utf-8")) if data else {}
    except ValueError:
        return {}


def check(archive: dict, opt: str = OPT) -> None:
    """Raise if this version is there from another archive."""
    known = record(archive, opt)
    if known and known["sha256"] != archive["sha256"].lower():
        raise NodeError(
            "%s was made of an archive with SHA-256 %s, but %s %s is asked for with %s; nothing was changed. Correct the "
            "checksum, or remove that directory if nothing runs from it."
            % (directory(archive, opt), known["sha256"], archive["name"], archive["version"], archive["sha256"])
        )


def checksum(path: str) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(CHUNK), b""):
            digest.update(block)
    return digest.hexdigest()


def verify(archive: dict, path: str) -> None:
    """Raise if the file is not the archive that was asked for."""
    actual = checksum(path)
    if actual != archive["sha256"].lower():
        raise NodeError(
            "%s has SHA-256 %s, but %s %s must have %s; nothing was changed. Get the archive again, or correct sha256 in "
            "unshim_containerd_archives."
            % (
                archive.get("url") or archive.get("path") or path,
                actual,
                archive["name"],
                archive["version"],
                archive["sha256"],
            ),
            {"sha256": actual},
        )


def unpack(archive: dict, path: str, opt: str = OPT) -> str:
    """Unpack a verified archive beside its final directory and return where; nothing is in use yet.

    Raises:
        NodeError: it is no archive, a name in it leads outside, a program is missing or does not run on this node.
    """
    os.makedirs(opt, 0o755, exist_ok=True)
    target = tempfile.mkdtemp(prefix=".%s-%s-" % (archive["name"], archive["version"]), dir=opt)
    os.chmod(target, 0o755)
    try:
        if archive["name"] == "runc" and not tarfile.is_tarfile(path):
            _copy(path, os.path.join(target, "runc"), 0o755)
        else:
            _extract(archive, path, target)
        _try_programs(archive, target)
        content = {"sha256": archive["sha256"].lower(), "files": _checksums(target)}
        files.write_atomically(os.path.join(target, RECORD), json.dumps(content, sort_keys=True).encode(), 0o644, 0, 0)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target


def _extract(archive, path, target):
    """Take regular files, directories and links that stay inside; without the owners and special modes of the archive."""
    try:
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            if sum(member.size for member in members) > SIZE_LIMIT:
                raise _bad(archive, "it unpacks to more than %d bytes" % SIZE_LIMIT)
            for member in members:
                name = _inside(archive, member.name)
                place = os.path.join(target, name)
                # A link that leads inside by its words may lead outside through another one.
                is_below_link = os.path.realpath(os.path.dirname(place)) != _plain(target, name)
                if member.isdir() and not is_below_link:
                    os.makedirs(place, 0o755, exist_ok=True)
                    continue
                if os.path.lexists(place) or is_below_link:
                    raise _bad(archive, "%s is in it twice, or below a link" % member.name)
                os.makedirs(os.path.dirname(place), 0o755, exist_ok=True)
                if member.issym():
                    _inside(archive, posixpath.join(posixpath.dirname(name), member.linkname))
                    os.symlink(member.linkname, place)
                elif member.isreg():
                    with tar.extractfile(member) as source:
                        _write(source, place, 0o755 if member.mode & 0o111 else 0o644)
                else:
                    raise _bad(archive, "%s is neither a file nor a directory nor a symbolic link" % member.name)
    except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
        raise _bad(archive, str(error) or type(error).__name__) from None


def _plain(target, name):
    return os.path.realpath(target) + ("/" + os.path.dirname(name) if os.path.dirname(name) else "")


def _inside(archive, name):
    plain = posixpath.normpath(name)
    if name.startswith("/") or plain == ".." or plain.startswith("../") or "\0" in name:
        raise _bad(archive, "%s leads out of it" % name)
    return plain


def _bad(archive, why):
    return NodeError(
        "The archive of %s %s cannot be used: %s. Nothing was changed." % (archive["name"], archive["version"], why)
    )


def _write(source, place, mode):
    with open(place, "xb") as stream:  # O_EXCL: what somebody has put there is not written through
        shutil.copyfileobj(source, stream, CHUNK)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())


def _copy(path, place, mode):
    with open(path, "rb") as source:
        _write(source, place, mode)


def _try_programs(archive, target):
    missing = [name for name in PROGRAMS[archive["name"]] if not os.path.isfile(os.path.join(target, name))]
    if missing:
        raise _bad(archive, "it has no %s" % ", ".join(missing))
    if archive["name"] == "cni":
        return  # a plugin without an operation in its environment fails by design
    program = os.path.join(target, PROGRAMS[archive["name"]][0])
    try:
        result = commands.run([program, "--version"], timeout=30, check=False)
    except NodeError as error:
        raise _bad(archive, error.message.rstrip(".")) from None
    if result.rc != 0:
        raise _bad(
            archive,
            "%s does not run on this node: %s" % (archive["name"], commands.last_lines(result.err or result.out, 2)),
        )
    said = [word.lstrip("v").split("+")[0].split("~")[0] for word in result.out.split()]
    if archive["version"].lstrip("v") not in said:
        raise _bad(
            archive, "its program says `%s`, not version %s" % (result.out.strip().splitlines()[0], archive["version"])
        )


def _checksums(top):
    found = {}
    for parent, _, names in os.walk(top):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and not os.path.islink(path):
                found[os.path.relpath(path, top)] = checksum(path)
    return found


def remove_unfinished(opt: str = OPT, links: str = LINKS, cni_bin: str = CNI_BIN) -> None:
    """Remove what a killed run had not yet given its name: downloads, half unpacked archives, links and plugins."""
    for directory, pattern in (
        (opt, r"\.(archives|%s)-" % "|".join(sorted(PROGRAMS))),
        (links, r".+\.unshim-[0-9]+$"),
        (cni_bin, r"\..+\.unshim-[0-9]+$"),
    ):
        for name in files.names(directory):
            if re.match(pattern, name):
                files.remove_tree(os.path.join(directory, name))
    files.remove_directory(opt)  # if nothing else is in it, there was never an archive


def settle(archive: dict, unpacked: str, opt: str = OPT) -> None:
    """Give an unpacked archive its final directory; one that an interrupted run left unfinished is replaced."""
    final = directory(archive, opt)
    if os.path.isdir(final):
        shutil.rmtree(final)
    os.rename(unpacked, final)
    files.sync_directory(opt)


# What is in use


def wanted_links(archive: dict, opt: str = OPT, links: str = LINKS) -> dict:
    """Return the links an archive gets, by path; {} for CNI plugins."""
    if archive["name"] == "cni":
        return {}
    inside = "bin" if archive["name"] == "containerd" else ""
    top = os.path.join(directory(archive, opt), inside)
    found = os.listdir(top) if os.path.isdir(top) else [os.path.basename(one) for one in PROGRAMS[archive["name"]]]
    names = [
        name
        for name in sorted(found)
        if name != RECORD and (archive["name"] == "containerd" or name in PROGRAMS[archive["name"]])
    ]
    # The daemon last: it finds its shim and runc already there.
    names.sort(key=lambda name: name == "containerd")
    return {os.path.join(links, name): os.path.join(top, name) for name in names}


def link_changes(archive: dict, opt: str = OPT, links: str = LINKS) -> dict:
    """Return the links that have to change, path -> (what it links to now or "", what it must).

    Raises:
        NodeError: something that is not ours is there.
    """
    changes = {}
    for path, target in wanted_links(archive, opt, links).items():
        now = os.readlink(path) if os.path.islink(path) else ""
        if now == target:
            continue
        if os.path.lexists(path) and not now.startswith(opt + "/"):
            raise NodeError(
                "%s is there and was not put there by unshim; nothing was changed. Move it away (with what else its "
                "archive brought), or keep that containerd: set unshim_containerd_method to package." % path
            )
        changes[path] = (now, target)
    return changes


def set_links(changes: dict) -> None:
    """Make each path a link to its new target, one replaced at a time; on an error all go back."""
    done = []
    try:
        for path, (_, target) in changes.items():
            _link(path, target)
            done.append(path)
    except OSError:
        unset_links({path: changes[path] for path in done})
        raise


def unset_links(changes: dict) -> None:
    """Undo :func:`set_links`."""
    for path, (before, _) in reversed(list(changes.items())):
        if before:
            _link(path, before)
        else:
            os.unlink(path)  # the link, not what it leads to
            files.sync_directory(os.path.dirname(path))


def _link(path, target):
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    new = "%s.unshim-%d" % (path, os.getpid())
    os.symlink(target, new)
    try:
        os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise
    files.sync_directory(os.path.dirname(path))


def cni_changes(archive: dict, opt: str = OPT, cni_bin: str = CNI_BIN) -> list:
    """Return the plugins to copy: those not there, or there from another version's directory. Others' stay."""
    if archive["name"] != "cni":
        return []
    ours = set()
    for name in os.listdir(opt) if os.path.isdir(opt) else []:
        if name.startswith("cni-"):
            ours.update(record({"name": "cni", "version": name[4:]}, opt).get("files", {}).values())
    wanted = record(archive, opt).get("files") or {name: "" for name in PROGRAMS["cni"]}
    changes = []
    for name, digest in sorted(wanted.items()):
        place = os.path.join(cni_bin, name)
        if "/" in name or "." in name or name in ("LICENSE", "README"):
            continue
        if not os.path.lexists(place) or (os.path.isfile(place) and checksum(place) in ours - {digest}):
            changes.append(name)
    return changes


def copy_plugins(archive: dict, names: list, opt: str = OPT, cni_bin: str = CNI_BIN) -> None:
    """Copy CNI plugins to where network add-ons expect them, each replaced at once."""
    os.makedirs(cni_bin, 0o755, exist_ok=True)
    for name in names:
        new = os.path.join(cni_bin, ".%s.unshim-%d" % (name, os.getpid()))
        files.remove_tree(new)
        _copy(os.path.join(directory(archive, opt), name), new, 0o755)
        os.rename(new, os.path.join(cni_bin, name))
    files.sync_directory(cni_bin)


def check_unit(unit: dict, links: str = LINKS) -> None:
    """Raise if containerd.service is there and runs another containerd."""
    if unit.get("LoadState") == "not-found":
        return
    if not unit.get("FragmentPath"):
        return
    text = (files.read_bytes(unit["FragmentPath"]) or b"").decode("utf-8", "replace")
    programs = [words.split()[0].lstrip("-@:+!") for words in re.findall(r"(?m)^ExecStart=(.*\S.*)$", text)]
    if programs and programs[-1] != os.path.join(links, "containerd"):
        raise NodeError(
            "containerd.service (%s) runs %s, so an archive's containerd in %s would not be used; nothing was changed. "
            "Remove that unit and what it runs, or set unshim_containerd_method to package."
            % (unit["FragmentPath"], programs[-1], links)
        )


def unit_text(links: str = LINKS) -> str:
    """Return the unit file for a node that has none."""
    return UNIT % {"links": links}


def write_unit(path: str = UNIT_FILE, links: str = LINKS) -> None:
    """Install the unit file, for a node that has none."""
    files.write_atomically(path, unit_text(links).encode(), 0o644, 0, 0)
    systemd.daemon_reload()
