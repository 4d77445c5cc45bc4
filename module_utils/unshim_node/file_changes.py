"""FileChange, the plan's unit of work on a node: whether a file is as the plan wants it, and how it becomes so.

Shape::

    {"path", "before", "after": text or null (no file), "mode": "0644", "owner", "group", "role", "secret": bool}
"""

from . import files
from .errors import NodeError

SPARE_SPACE = 1 << 20  # bytes that must stay free beyond what is written


def is_applied(change):
    """Return whether the file is as the change wants it.

    Raises:
        NodeError: the file is neither what the planner saw nor what it wants.
    """
    now = files.read_bytes(change["path"])
    if now == _encoded(change["after"]):
        return True
    if now == _encoded(change["before"]):
        return False
    was = "absent" if change["before"] is None else "different"
    raise NodeError(
        "%s changed since the plan was made (it was %s then); nothing was written. Look at the change and run again: "
        "the next run plans with the file as it is now." % (change["path"], was),
        {"file": change["path"]},
    )


def pending(changes):
    """Return those of ``changes`` whose file has to be written; raises as :func:`is_applied`."""
    return [change for change in changes if not is_applied(change)]


def apply_change(change, journal, check_mode):
    """Carry out one FileChange of the plan.

    Args:
        change: FileChange as a dict.
        journal: the node's Journal; the original is in it before the file is touched.
        check_mode: say what would be done and do nothing.

    Returns:
        {"changed": bool, "diff": the dict Ansible's --diff prints}

    Raises:
        NodeError: the file changed since the plan, or owner or group is unknown here.
    """
    path = change["path"]
    applied = is_applied(change)
    mode, uid, gid = ownership(change)
    if applied:
        return {"changed": False, "diff": {}}
    if not check_mode:
        new = _encoded(change["after"])
        journal.remember_file(path, change.get("role") or "other", change.get("secret", False), writing=new)
        if change["after"] is None:
            files.remove(path)
        else:
            files.write_atomically(path, new, mode, uid, gid)
        journal.remember_written(path, new)
    return {"changed": True, "diff": diff(path, change["before"], change["after"], change.get("secret", False))}


def diff(path, before, after, secret=False):
    """Return Ansible's diff dict for texts ``before`` and ``after`` (None: no file). Secret content is not in it."""
    return {
        "before": _shown(before, secret),
        "after": _shown(after, secret),
        "before_header": path if before is not None else path + " (absent)",
        "after_header": path if after is not None else path + " (absent)",
    }


def ownership(change):
    """Return (mode, uid, gid) as numbers for a FileChange."""
    try:
        mode = int(str(change.get("mode") or "0644"), 8)
    except ValueError:
        raise NodeError("The mode %r planned for %s is not octal." % (change["mode"], change["path"])) from None
    owner, group = str(change.get("owner") or "root"), str(change.get("group") or "root")
    return mode, _number(owner, "user", change["path"]), _number(group, "group", change["path"])


def check_writable(changes, also=()):
    """Make sure every file in ``changes`` can be written, before the first one is.

    Args:
        changes: FileChange dicts.
        also: further paths that will be written or removed, such as the journal's.

    Raises:
        NodeError: naming every file that cannot, and why: read-only filesystem, immutable attribute, a mount on the
            file itself, a directory in its place, no permission, no space.
    """
    problems = []
    needed = {}
    for change in changes:
        ownership(change)
        size = len(_encoded(change["after"]) or b"")
        target = files.final_path(change["path"])
        problem = files.obstacle(target)
        if problem:
            problems.append("%s: %s" % (change["path"], problem))
        else:
            # Twice: the new content and the original that is kept.
            device, free = files.space(target)
            needed.setdefault(device, [target, free, 0])[2] += 2 * size
    for path in also:
        problem = files.obstacle(files.final_path(path))
        if problem:
            problems.append("%s: %s" % (path, problem))
    for target, free, size in needed.values():
        if free < size + SPARE_SPACE:
            problems.append("%s: its filesystem is full" % target)
    if problems:
        raise NodeError(
            "Nothing was changed, because not everything could be: %s. Make it writable and run again."
            % "; ".join(problems),
            {"not_writable": problems},
        )


def _encoded(text):
    return None if text is None else text.encode("utf-8")


def _shown(text, secret):
    if text is None:
        return ""
    return "(secret content, not shown)\n" if secret else text


def _number(name, kind, path):
    if name.isdecimal():
        return int(name)
    number = 0 if name == "root" else files.number_of(name, kind)
    if number is None:
        raise NodeError(
            "The %s %s that %s should belong to does not exist on this node; create it or plan another."
            % (kind, name, path)
        )
    return number
