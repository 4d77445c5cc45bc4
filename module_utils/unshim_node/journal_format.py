"""The shape of a journal, and whether a file has it.

Shape of journal.json (format 1)::

    {"format": 1, "generation": 1, "state": "prepared", "source": "dockershim",
     "steps":       [{"name", "stage", "status": "started|done|failed", "started", "finished" (null if it was
                      cut short), "controller",
                      "message", "undo"}],
     "files":       {path: {"existed", "kind", "target", "mode", "uid", "gid", "size", "sha256", "backup", "attributes",
                            "missing_directories", "written_sha256", "writing_sha256", "role", "secret"}},
     "units":       {name: {"active_state", "unit_file_state"}},
     "packages":    {name: {"before", "after"}},       # "" : not installed
     "annotations": {name: value or null},             # before the migration
     "notes":       {key: value},
     "timeline":    [{"event", "time"}],                # Unix seconds, of the node's clock
     "by_hand":     ["commands that go back, in order"]}
"""

import errno
import json
import os
import re

from . import files
from .errors import NodeError

FORMAT = 1
STATES = ("docker", "prepared", "drained", "switched", "verified", "committed")
TEXT, NUMBER, MOMENT = (str,), (int,), (int, float)
# What each record of the journal must have.
RECORDS = {
    "steps": {"name": TEXT, "status": TEXT, "message": TEXT},
    "files": {
        "existed": (bool,), "kind": TEXT, "target": TEXT, "mode": TEXT, "uid": NUMBER, "gid": NUMBER, "backup": TEXT,
        "attributes": (dict,), "missing_directories": (list,),
    },
    "units": {"active_state": TEXT, "unit_file_state": TEXT},
    "packages": {"before": TEXT, "after": TEXT},
    "timeline": {"event": TEXT, "time": MOMENT},
}  # fmt: skip


def empty(generation):
    """Return the data of a journal of a node that nothing was done to."""
    return {
        "format": FORMAT,
        "generation": generation,
        "state": "docker",
        "source": "",
        "steps": [],
        "files": {},
        "units": {},
        "packages": {},
        "annotations": {},
        "notes": {},
        "timeline": [],
    }


def parsed(path):
    """Return a journal's data; ValueError if it is none, NodeError if a newer unshim wrote it."""
    content = files.read_bytes(path)
    if content is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    data = json.loads(content.decode("utf-8"))
    if not isinstance(data, dict) or "format" not in data:
        raise ValueError("it is not a journal")
    if data["format"] != FORMAT:
        raise NodeError(
            "The journal %s has format %s, this unshim knows %d: use the unshim that wrote it, or a newer one."
            % (path, data["format"], FORMAT)
        )
    for key, value in empty(1).items():
        if type(data.setdefault(key, value)) is not type(value):
            raise ValueError("%s is not a %s" % (key, type(value).__name__))
    if data["state"] not in STATES:
        raise ValueError("its state is %r" % data["state"])
    _check_records(data)
    data.pop("by_hand", None)
    return data


def _check_records(data):
    """Make sure that every record has what a way back needs; ValueError names the one that has not."""
    for section, keys in RECORDS.items():
        records = data[section]
        named = records.items() if isinstance(records, dict) else enumerate(records)
        for name, record in named:
            if not isinstance(record, dict):
                raise ValueError("%s %s is no record" % (section, name))  # noqa: TRY004 - what is damaged, for _read
            for key, kinds in keys.items():
                if not isinstance(record.get(key), kinds):
                    raise ValueError("%s %s has no usable %s" % (section, name, key))  # noqa: TRY004
    for path, record in data["files"].items():
        if not all(isinstance(one, str) for one in record["missing_directories"]):
            raise ValueError("files %s has no usable missing_directories" % path)
        if record["existed"] and not (record["backup"] and re.match("[0-7]{3,4}$", record["mode"])):
            raise ValueError("files %s tells neither its copy nor its mode" % path)
    foreign = data["notes"].get("docker_stopped_foreign") or []
    if not isinstance(foreign, list) or not all(isinstance(one, str) for one in foreign):
        raise ValueError("docker_stopped_foreign is no list of names")
