"""Copy files that must not leave the node, such as a registry's key: the plan names source and destination only."""

import hashlib

from . import file_changes, files
from .errors import NodeError

LIMIT = 1 << 20  # bytes; a certificate or key is smaller

# The plan's FileCopy.
OPTION = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "source": {"type": "path", "required": True},
        "path": {"type": "path", "required": True},
        "mode": {"type": "str", "default": "0600"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "role": {"type": "str", "default": "registry"},
        "secret": {"type": "bool", "default": False},
        "stage": {"type": "str", "default": "prepare"},
        "reason": {"type": "str", "default": ""},
    },
}


def pending(copies, journal):
    """Return those of ``copies`` (the plan's FileCopy dicts) that have to be made.

    A source may be a symlink, as Kubernetes makes them: what it leads to is copied. Nothing is written yet.

    Raises:
        NodeError: a source cannot be copied, or there is a file at the destination that is neither the same nor ours.
    """
    return [copy for copy in copies if not _is_made(copy, journal)]


def apply(copy, journal):
    """Make one copy, atomically, with the planned mode and owner; the journal knows of it before it is there."""
    data = _source(copy)
    mode, uid, gid = file_changes.ownership(copy)
    journal.remember_file(copy["path"], copy["role"], copy["secret"], writing=data)
    files.write_atomically(copy["path"], data, mode, uid, gid)
    journal.remember_written(copy["path"], data)


def diff(copy):
    """Return Ansible's diff dict for a copy: where from, mode and checksums. What is in it is not shown."""
    now = files.read_bytes(copy["path"])
    after = "copied from %s, mode %s, %s\n" % (copy["source"], copy["mode"], _checksum(_source(copy)))
    return {
        "before": "" if now is None else "%s\n" % _checksum(now),
        "after": after,
        "before_header": copy["path"] + (" (absent)" if now is None else ""),
        "after_header": copy["path"],
    }


def _is_made(copy, journal):
    data = _source(copy)
    file_changes.ownership(copy)
    now = files.read_bytes(copy["path"])
    if now is None:
        return False
    record = journal.files.get(copy["path"]) or {}
    if now == data:
        # Written, and not noted as ours: a run was cut short between the two. It is made again to be noted.
        return not record or record.get("written_sha256") is not None
    if record.get("written_sha256") == hashlib.sha256(now).hexdigest():
        return False  # ours, of a source that has changed since
    raise NodeError(
        "%s is there, is not the same as %s and was not written by unshim; nothing was changed. Remove it if containerd "
        "should have what Docker has, or make both the same, and run again." % (copy["path"], copy["source"]),
        {"file": copy["path"]},
    )


def _source(copy):
    path = copy["source"]
    data = files.read_bytes(path) if files.kind(path) == "file" else None
    if data is None:
        raise NodeError(
            "%s, which was to be copied to %s, is not a readable file; nothing was changed. Correct it, or remove it if "
            "the registry does not need it, and run again." % (path, copy["path"]),
            {"file": path},
        )
    if len(data) > LIMIT:
        raise NodeError(
            "%s has %d bytes, which is more than a certificate or key has; nothing was changed." % (path, len(data)),
            {"file": path},
        )
    return data


def _checksum(data):
    return "sha256 %s" % hashlib.sha256(data).hexdigest()
