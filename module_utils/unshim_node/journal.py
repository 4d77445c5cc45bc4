"""The journal of one node's migration: what was done, what was there before, and how to go back.

``/var/lib/unshim/journal.json`` is replaced atomically and synced before and after each step, so that after any crash
another controller, or a person with a shell, can go on or go back. The original of every changed file is under
``/var/lib/unshim/backup/<generation>/`` at its own path, before the file is touched; the first copy wins.

A rollback archives the journal as ``journal-<generation>.json`` and starts the next generation, so a second attempt
backs up afresh and the first one's originals stay until commit.

The shape of the file is in journal_format.py.
"""

import base64
import contextlib
import copy
import hashlib
import json
import os
import pwd
import shlex
import shutil

from . import commands, file_changes, files, journal_format, node_lock, place
from .errors import NodeError
from .journal_format import STATES

ROOT = "/var/lib/unshim"
# docker_units.drop_in_path
RETIRED = "/etc/systemd/system/%s.d/90-unshim-retired.conf"
RECORD_SUFFIX = ".unshim.json"  # beside each backup: its record, should the journal lose it
CUT_SHORT = "cut short: the process that did this ended in the middle of it"


class Journal(object):
    """One node's journal. Reading needs no lock; the first change takes it and reads the journal again under it.

    Attributes:
        warnings: sentences to pass on to the operator.
    """

    def __init__(self, root=ROOT, data=None, check_mode=False, controller=""):
        self.root = root
        self.path = os.path.join(root, "journal.json")
        self.check_mode = check_mode
        self.controller = controller or _controller()
        self.warnings = []
        self._data = data or journal_format.empty(1)
        self._lock = None
        self._damaged = False
        # What we know of a node that is away, since every look at it is a command there and the lock is ours.
        self._made = set()
        self._last = None

    @classmethod
    def load(cls, root=ROOT, check_mode=False, controller=""):
        """Read the journal under ``root``; a node without one has an empty journal in state "docker".

        Args:
            check_mode: keep every change in memory.
            controller: who writes, for the record; by default what sshd and sudo say.

        Raises:
            NodeError: the journal is damaged and so is its previous generation, or it is of a newer unshim.
        """
        journal = cls(root, None, check_mode, controller)
        journal._read()
        return journal

    # What it says

    @property
    def exists(self):
        """Whether this node has a journal on disk."""
        return bool(files.kind(self.path))

    @property
    def state(self):
        return self._data["state"]

    @property
    def source(self):
        """The runtime the node came from, "" if not noted yet."""
        return self._data["source"]

    @property
    def generation(self):
        return self._data["generation"]

    @property
    def steps(self):
        return copy.deepcopy(self._data["steps"])

    @property
    def files(self):
        return copy.deepcopy(self._data["files"])

    @property
    def units(self):
        return copy.deepcopy(self._data["units"])

    @property
    def packages(self):
        return copy.deepcopy(self._data["packages"])

    @property
    def annotations(self):
        return dict(self._data["annotations"])

    @property
    def timeline(self):
        return copy.deepcopy(self._data["timeline"])

    def get(self, key, default=None):
        """Return the note ``key``."""
        return self._data["notes"].get(key, default)

    def content(self):
        """Return everything as plain data. File contents are not in the journal, so neither are secrets."""
        content = copy.deepcopy(self._data)
        content["by_hand"] = self.by_hand()
        return content

    # What is written to it. Each method returns whether it changed anything, and has saved when it returns.

    def set_state(self, state):
        """Move forward to ``state``; a state already passed stays, so that stages can be run again.

        Raises:
            NodeError: the state is unknown, or "docker": only :meth:`roll_back` leads there.
        """
        if state not in STATES:
            raise NodeError("There is no node state %r; the states are %s." % (state, ", ".join(STATES)))
        if state == "docker" and self.state != "docker":
            raise NodeError("The node is %s; only a rollback makes it a docker node again." % self.state)
        self.lock()
        if STATES.index(state) <= STATES.index(self.state):
            return False
        self._data["state"] = state
        self._data["timeline"].append({"event": state, "time": _now()})
        if state == "verified":
            self._settle_steps()
        self._save()
        return True

    def roll_back(self):
        """Close this generation after everything in it has been undone: archive it and start the next in "docker".

        Raises:
            NodeError: the node is committed, there is nothing to go back to.
        """
        if self.state == "committed":
            raise NodeError(
                "The migration of this node is committed: Docker and the originals are gone, so there is no way back."
            )
        self.lock()
        if not self._is_begun():
            return False
        self._data["timeline"].append({"event": "rolled back", "time": _now()})
        if not self.check_mode:
            archive = os.path.join(self.root, "journal-%d.json" % self.generation)
            self._write(archive, dict(self._data, by_hand=[]))
        self._data = journal_format.empty(self.generation + 1)
        self._save()
        return True

    def set_source(self, source):
        self.lock()
        if self.source == source:
            return False
        self._data["source"] = source
        self._save()
        return True

    def note(self, key, value):
        """Keep a small fact; None removes it."""
        self.lock()
        if self._data["notes"].get(key) == value:
            return False
        if value is None:
            del self._data["notes"][key]
        else:
            self._data["notes"][key] = value
        self._save()
        return True

    def mark(self, event, once=False):
        """Put ``event`` on the timeline, with the node's time; with ``once``, only if it is not there yet."""
        self.lock()
        if once and any(entry["event"] == event for entry in self._data["timeline"]):
            return False
        self._data["timeline"].append({"event": event, "time": _now()})
        self._save()
        return True

    @contextlib.contextmanager
    def step(self, name, stage, undo=""):
        """Record that a step starts, and whether it was done or failed.

        Args:
            undo: how to go back by hand, in words or a command.
        """
        self.lock()
        entry = {
            "name": name,
            "stage": stage,
            "status": "started",
            "started": _now(),
            "finished": None,
            "controller": self.controller,
            "message": "",
            "undo": undo,
        }
        self._data["steps"].append(entry)
        self._save()
        try:
            yield entry
        except BaseException as error:
            entry.update(status="failed", finished=_now(), message=str(error) or type(error).__name__)
            # A full disk may be the very reason: the step's own error is the one to report.
            with contextlib.suppress(OSError):
                self._save()
            raise
        entry.update(status="done", finished=_now())
        self._save()

    def remember_unit(self, name, active_state, unit_file_state):
        """Keep how a unit was before we touched it; the first time counts."""
        return self._first("units", name, {"active_state": active_state, "unit_file_state": unit_file_state})

    def remember_annotation(self, name, value):
        """Keep a node annotation's value (None: absent) before we touched it; the first time counts."""
        return self._first("annotations", name, value)

    def remember_package(self, name, before, after):
        """Keep a package's version before (the first time counts) and after."""
        self.lock()
        entry = self._data["packages"].get(name)
        new = {"before": entry["before"] if entry else before, "after": after}
        if entry == new:
            return False
        self._data["packages"][name] = new
        self._save()
        return True

    def remember_file(self, path, role="", secret=True, writing=None):
        """Copy the original of ``path`` under backup/, once per generation; synced when this returns.

        Args:
            role: of the plan's FileChange; says which module restores it.
            secret: whether the original may not be shown in a diff when it is restored.
            writing: the bytes that are about to be written, known as ours even if a crash keeps us from saying that they were.
        """
        self.lock()
        if path in self._data["files"]:
            entry = self._data["files"][path]
            if writing is not None and _sha256(writing) not in (entry["written_sha256"], entry.get("writing_sha256")):
                entry["writing_sha256"] = _sha256(writing)
                self._save()
            return False
        record_path = self._backup_path(path) + RECORD_SUFFIX
        record = None if self.check_mode else _read_json(record_path)
        # A record without an entry means the journal lost its last write: the copy is older and therefore the original.
        if record is None:
            record, data = self._original(path)
            record.update(role=role, secret=bool(secret), writing_sha256=_sha256(writing))
            if not self.check_mode:
                self._make_directory(os.path.dirname(record_path))
                if data is not None:
                    self._write_own(self._backup_path(path), data)
                self._write(record_path, record)
        self._data["files"][path] = record
        self._save()
        return True

    def remember_written(self, path, data):
        """Keep the checksum of what we wrote to ``path`` (None: we removed it), to tell our content from others'."""
        entry = self._data["files"].get(path)
        if entry is None:
            return False
        entry.update(written_sha256=_sha256(data), writing_sha256=None)
        self._save()
        return True

    def restorable(self, roles):
        """Return the paths remembered with one of ``roles``, sorted."""
        return sorted(path for path, record in self._data["files"].items() if record.get("role") in roles)

    def original(self, path):
        """Return the bytes that ``path`` had before we touched it, None if it was not there; raises as restore_file."""
        return self._backup(path, self._data["files"][path])

    def restore_file(self, path, check_mode=False):
        """Put the original of ``path`` back: bytes, mode, owner, symlink; or remove it if there was none.

        Content that is neither the original nor ours is somebody's later edit: it is kept under backup/ and reported
        in ``warnings``.

        Returns:
            {"changed": bool, "diff": dict}; a file never remembered is unchanged.

        Raises:
            NodeError: the copy under backup/ is missing or damaged.
        """
        record = self._data["files"].get(path)
        if record is None:
            return {"changed": False, "diff": {}}
        now = files.read_bytes(path)
        original = self._backup(path, record)
        link_is_right = record["kind"] != "symlink" or files.link_target(path) == record["target"]
        if now == original and link_is_right and (original is None or self._has_ownership(path, record)):
            if not (check_mode or self.check_mode):
                files.remove_unfinished(path)
            return {"changed": False, "diff": {}}
        diff = file_changes.diff(path, _text(now), _text(original), record.get("secret", True))
        if check_mode or self.check_mode:
            return {"changed": True, "diff": diff}
        self.lock()
        ours = {record.get("written_sha256"), record.get("writing_sha256")} - {None}
        if now is not None and now != original and ours and _sha256(now) not in ours:
            aside = self._backup_path(path) + ".edited-later"
            self._write_own(aside, now)
            self.warnings.append("%s had been edited after the migration; that version is kept as %s." % (path, aside))
        if not link_is_right:
            self._restore_link(path, record["target"])
        if original is None:
            files.remove(path)
            self._remove_directories(path)
        else:
            attributes = {name: base64.b64decode(value) for name, value in record["attributes"].items()}
            files.write_atomically(
                path, original, int(record["mode"], 8), record["uid"], record["gid"], attributes or None
            )
        return {"changed": True, "diff": diff}

    def drop_backups(self):
        """Remove every backup and archived journal, as the migration is committed; returns whether there were any."""
        self.lock()
        names = os.listdir(self.root) if os.path.isdir(self.root) else []
        names = [name for name in names if name == "backup" or name.startswith("journal-")]
        for name in [] if self.check_mode else names:
            path = os.path.join(self.root, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        return bool(names)

    def by_hand(self):
        """Return the shell commands that go back to Docker without unshim, in order.

        Those that begin with "kubectl" are for whoever may use it, the others for root on the node. NODE stands for its name
        in the cluster.
        """
        if self.state == "committed" or not self._is_begun():
            return []
        data = self._data
        pods_may_have_moved = self.state in ("drained", "switched", "verified")
        lines = ["kubectl drain NODE --ignore-daemonsets"] if pods_may_have_moved else []
        lines.append("systemctl stop kubelet")
        if pods_may_have_moved:
            # containerd deletes some of them first, which rm takes for a failure; what it prints in the end is left.
            lines.append(
                "ctr -n k8s.io tasks ls -q | xargs -r ctr -n k8s.io tasks rm -f; sleep 3; ctr -n k8s.io tasks ls -q"
            )
        for path, record in sorted(data["files"].items()):
            name = shlex.quote(path)
            if record["existed"]:
                backup = shlex.quote(os.path.join(self.root, record["backup"]))
                lines.append(
                    "cat %s > %s && chmod %s %s && chown %d:%d %s"
                    % (backup, name, record["mode"], name, record["uid"], record["gid"], name)
                )
            else:
                lines.append("rm -f %s" % name)
        made = {one for record in data["files"].values() for one in record["missing_directories"]}
        if made:  # the innermost first; one that somebody else uses stays
            names = " ".join(shlex.quote(one) for one in sorted(made, reverse=True))
            lines.append("rmdir %s 2>/dev/null || true" % names)
        # Sockets before services, and containerd before Docker, which uses it; the kubelet comes last of all.
        units = sorted(data["units"], key=lambda unit: (unit.startswith("cri-"), unit.endswith(".service"), unit))
        units = [unit for unit in units if not unit.startswith("kubelet")]
        lines += ["rm -f %s" % shlex.quote(RETIRED % unit) for unit in units if "docker" in unit]
        lines.append("systemctl daemon-reload")
        for unit in units:
            if data["units"][unit]["unit_file_state"] != "masked":
                lines.append("systemctl unmask %s" % shlex.quote(unit))
            if data["units"][unit]["unit_file_state"] == "enabled":
                lines.append("systemctl enable %s" % shlex.quote(unit))
        up = [unit for unit in units if data["units"][unit]["active_state"] == "active"]
        lines += ["systemctl restart %s" % shlex.quote(unit) for unit in up if "docker" not in unit]
        lines += ["systemctl start %s" % shlex.quote(unit) for unit in up if "docker" in unit]
        if data["notes"].get("docker_stopped_foreign"):
            lines.append("docker start %s" % commands.quote(data["notes"]["docker_stopped_foreign"]))
        for name, value in sorted(data["annotations"].items()):
            pair = name + "-" if value is None else "%s=%s" % (name, value)
            lines.append("kubectl annotate node NODE --overwrite %s" % shlex.quote(pair))
        lines.append("systemctl restart kubelet")
        if pods_may_have_moved:
            lines.append("kubectl uncordon NODE")
        # Or the next run would take the node for one that has moved. The copies of this one stay.
        archive = os.path.join(self.root, "journal-%d.json" % self.generation)
        lines.append("rm -f %s" % shlex.quote(self.path + ".previous"))
        lines.append("mv %s %s" % (shlex.quote(self.path), shlex.quote(archive)))
        return lines

    # The lock

    def lock(self):
        """Become the only one who changes this node, until the process ends or :meth:`unlock`.

        Raises:
            NodeError: another process holds the lock.
        """
        if self._lock is not None or self.check_mode:
            return
        self._make_directory(self.root)
        self._lock = node_lock.take(self._lock_path(), self.controller)
        self._read()  # whoever had the lock before may have written
        self._close_steps()

    def _close_steps(self):
        """Say of the steps that were cut short that they were; who had begun them would still have the lock."""
        for step in self._data["steps"]:
            if step["status"] == "started":
                step.update(status="failed", message=CUT_SHORT)

    def _settle_steps(self):
        """Call those steps done that were cut short and had come about all the same, so that no later run did them again."""
        last = {step["name"]: step for step in self._data["steps"]}
        for step in last.values():
            if step["message"] == CUT_SHORT:
                step.update(status="done", finished=_now(), message=CUT_SHORT + "; a later run proved the node")

    def wait_for_others(self):
        """Wait until nobody else changes this node, if anybody ever did, and be the only one from then on.

        What is looked at before is the last word of somebody who may still be at work. Writes nothing on a node that has
        seen no change.
        """
        if files.kind(self._lock_path()):
            self.lock()

    def unlock(self):
        if self._lock is None:
            return
        self._made, self._last = set(), None
        self._lock.release()
        self._lock = None

    def _lock_path(self):
        return os.path.join(self.root, "lock")

    # Reading and writing

    def _read(self) -> None:
        self._damaged = False
        try:
            self._data = journal_format.parsed(self.path)
        except FileNotFoundError:
            previous = self.path + ".previous"
            if not files.kind(previous):
                self._data = journal_format.empty(self._next_generation())
                return
            self._fall_back("is missing")
        except (ValueError, RecursionError) as error:
            self._fall_back("is damaged (%s)" % error)

    def _fall_back(self, what):
        previous = self.path + ".previous"
        try:
            self._data = journal_format.parsed(previous)
        except (OSError, ValueError, RecursionError) as error:
            raise NodeError(
                "The journal %s %s, and its previous generation %s cannot be used either (%s). The originals are under "
                "%s, at their own paths. Restore journal.json from a backup of the node, or go back by hand and move "
                "%s away before the next run." % (self.path, what, previous, error, self.root + "/backup", self.root)
            ) from error
        self._damaged = True
        warning = "The journal %s %s; its previous generation is used. Its last entry may be lost." % (self.path, what)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _next_generation(self):
        """Return the first generation that has no archive: none is ever overwritten."""
        number = 1
        while files.kind(os.path.join(self.root, "journal-%d.json" % number)):
            number += 1
        return number

    def _save(self):
        if self.check_mode:
            return
        self._make_directory(self.root)
        if self._damaged:
            if files.kind(self.path):
                files.rename(self.path, self.path + ".damaged")
            self._damaged = False
        current = self._last or files.read_bytes(self.path)
        if current is not None:
            self._write_own(self.path + ".previous", current)
        written = self._write(self.path, self.content())
        if place.away():
            self._last = written

    def _write(self, path, content):
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True)
        data = text.encode("ascii") + b"\n"
        self._write_own(path, data)
        return data

    def _write_own(self, path, data):
        self._make_directory(os.path.dirname(path))
        files.write_atomically(path, data, 0o600, *files.own_ids(), attributes={})

    def _make_directory(self, path):
        """Make ``path``, and what is missing above it inside the root, for root's eyes only."""
        if path in self._made:
            return
        inside = self.root.rstrip("/") + "/"
        files.make_directories(
            [
                (directory, 0o700 if (directory + "/").startswith(inside) else 0o755)
                for directory in files.missing_directories(os.path.join(path, "x"))
            ]
        )
        if place.away():
            self._made.add(path)

    def _is_begun(self):
        data = self._data
        return bool(
            data["state"] != "docker"
            or data["steps"]
            or data["files"]
            or data["units"]
            or data["packages"]
            or data["annotations"]
            or data["notes"]
        )

    def _first(self, section, name, value):
        self.lock()
        if name in self._data[section]:
            return False
        self._data[section][name] = value
        self._save()
        return True

    # Backups

    def _backup_path(self, path):
        return os.path.join(self.root, "backup", str(self.generation), path.lstrip("/"))

    def _original(self, path):
        """Return (record, bytes or None) of a file as it is now."""
        data = files.read_bytes(path)
        target = files.link_target(path)
        record = {
            "existed": data is not None,
            "kind": "symlink" if target is not None else ("file" if data is not None else "missing"),
            "target": target or "",
            "mode": "",
            "uid": 0,
            "gid": 0,
            "size": 0,
            "sha256": _sha256(data),
            "backup": "",
            "attributes": {},
            "missing_directories": files.missing_directories(path),
            "written_sha256": None,
            "writing_sha256": None,
        }
        if data is not None:
            info = files.status(path)
            attributes = files.read_attributes(files.final_path(path))
            record.update(
                mode="%04o" % info.mode,
                uid=info.uid,
                gid=info.gid,
                size=len(data),
                backup=os.path.relpath(self._backup_path(path), self.root),
                attributes={name: base64.b64encode(value).decode("ascii") for name, value in attributes.items()},
            )
        return record, data

    def _backup(self, path, record):
        if not record["existed"]:
            return None
        backup = os.path.join(self.root, record["backup"])
        data = files.read_bytes(backup)
        if data is None or _sha256(data) != record["sha256"]:
            what = "is missing" if data is None else "does not have its checksum any more"
            raise NodeError(
                "The original of %s, %s, %s; nothing was restored to it. Put the file back from another backup and "
                "remove its entry from %s." % (path, backup, what, self.path)
            )
        return data

    def _has_ownership(self, path, record):
        info = files.status(path)
        return (info.uid, info.gid, "%04o" % info.mode) == (
            record["uid"],
            record["gid"],
            record["mode"],
        )

    def _restore_link(self, path, target):
        if files.kind(path) == "directory" and files.link_target(path) is None:
            raise NodeError("%s was a symlink and is a directory now; move it away and run again." % path)
        files.set_link(path, target)

    def _remove_directories(self, path):
        """Remove the directories above ``path`` that were made for any of our files: the last one leaves them empty."""
        made = {one for record in self._data["files"].values() for one in record["missing_directories"]}
        directory = os.path.dirname(os.path.abspath(files.final_path(path)))
        while directory in made:
            if not files.remove_directory(directory):
                return  # somebody else uses it, or it is gone
            directory = os.path.dirname(directory)


def _read_json(path):
    data = files.read_bytes(path)
    if data is None:
        return None
    try:
        return json.loads(data.decode("utf-8"))
    except ValueError:
        return None


def _text(data):
    return None if data is None else data.decode("utf-8", "replace")


def _sha256(data):
    return None if data is None else hashlib.sha256(data).hexdigest()


def _now():
    return round(commands.now(), 3)


def _controller():
    """Return who drives us, as far as sshd and sudo tell."""
    if place.away():
        return place.away().controller
    address = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    user = os.environ.get("SUDO_USER") or os.environ.get("USER") or ""
    if not user:
        try:
            user = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            user = str(os.geteuid())
    return "%s@%s" % (user, address) if address else user
