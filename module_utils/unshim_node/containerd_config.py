"""The work of the module ``containerd_config``: write what the plan says, prove that CRI answers, else take it back."""

import time

from . import commands, containerd, cri, file_changes, file_copies, files, module_run, second_containerd, systemd
from .errors import NodeError

# Every role of the plan's files but the kubelet's, which kubelet_runtime restores.
ROLES = ("containerd_config", "containerd_unit", "registry", "sysctl", "modules", "crictl", "cni", "other")
PENDING = "restart_pending"
SYSCTLS_BEFORE = "sysctls_before"  # notes: name -> value
SYSCTLS_SET = "sysctls_set"
SETTLE = 1.5  # s


def check_program(module):
    """Raise if containerd is not installed, or not the one the files were made for; returns whether it is there."""
    if commands.find("containerd") is None:
        if module.check_mode:
            module.warn("containerd is not installed yet, so the new configuration could not be checked with it.")
            return False
        raise NodeError("containerd is not installed on this node; nothing was changed. Run containerd_install first.")
    refuse_other_version(module.params["containerd_version"])
    return True


def refuse_other_version(wanted):
    if not wanted:
        return
    words = commands.run(["containerd", "--version"], timeout=15).out.split()
    version = words[2].lstrip("v") if len(words) > 2 else ""
    if version.split("~")[0].split("+")[0] != wanted.lstrip("v").split("~")[0].split("+")[0].split("-")[0]:
        raise NodeError(
            "The plan is for containerd %s, this node has %s; nothing was changed. Run again to plan anew."
            % (wanted, version or "an unknown version")
        )


class Originals(object):
    """Files as they were when this run began, to put them back if the gate fails.

    Args:
        changes: what this run writes.
        unproved: paths that an earlier run wrote and was cut short before it had proved them: these get their originals.
    """

    def __init__(self, changes, unproved=()):
        self.unproved = list(unproved)
        self.kept = []
        for change in changes:
            path = change["path"]
            data = files.read_bytes(path)
            info = files.status(path) if data is not None else None
            self.kept.append((path, data, info, files.missing_directories(path)))

    def put_back(self, journal):
        for path, data, info, new_directories in reversed(self.kept):
            journal.remember_written(path, data)
            if data is None:
                files.remove(path)
                for directory in reversed(new_directories):
                    files.remove_directory(directory)
            else:
                files.write_atomically(path, data, info.mode, info.uid, info.gid)
        for path in self.unproved:
            journal.restore_file(path)
        kept = [path for path, _, _, _ in self.kept]
        return kept + [path for path in self.unproved if path not in kept]


def unproved(journal):
    """Return the files that containerd has not been proved with, after a run that was cut short before its restart.

    Only while pods run on Docker; later the rollback of the node is what puts them back.
    """
    if not journal.get(PENDING) or journal.state not in ("docker", "prepared"):
        return []
    return [path for path in journal.restorable(ROLES) if journal.restore_file(path, check_mode=True)["changed"]]


def prepare_kernel(module, journal):
    """Load modules and set sysctls that are missing; returns (loaded, set)."""
    loaded, changed = [], {}
    for name in module.params["modules"]:
        if containerd.module_is_there(name):
            continue
        warning = "" if module.check_mode else containerd.load_module(name)
        if warning:
            module.warn(warning)
        else:
            loaded.append(name)
    for name, value in sorted(module.params["sysctls"].items()):
        value = " ".join(str(value).split())
        now = containerd.sysctl(name)
        if now == value:
            continue
        if now is None:
            # In check mode the module that brings it, such as br_netfilter, has not been loaded.
            if not (module.check_mode and loaded):
                module.warn("This kernel has no sysctl %s; it was not set to %s." % (name, value))
            continue
        # Before it is set: nobody can tell afterwards what a running kernel had. The first value counts.
        journal.note(SYSCTLS_BEFORE, dict({name: now}, **journal.get(SYSCTLS_BEFORE, {})))
        journal.note(SYSCTLS_SET, dict(journal.get(SYSCTLS_SET, {}), **{name: value}))
        warning = "" if module.check_mode else containerd.set_sysctl(name, value)
        if warning:
            module.warn(warning)
        else:
            changed[name] = value
    return loaded, changed


def gate(params, restarted=False):
    """Return what the runtime says when it is ready; CriError if it is not, or does not stay so after a restart.

    containerd serves CRI before parts of it, such as the streaming server, have started, and ends if they cannot.
    """
    said = cri.wait_ready(params["socket"], params["cri_api"], params["cri_timeout"])
    if restarted:
        before = systemd.show(containerd.UNIT)
        time.sleep(SETTLE)
        after = systemd.show(containerd.UNIT)
        if after["ActiveState"] != "active" or after["MainPID"] != before["MainPID"]:
            raise cri.CriError(
                "It answered after its start and then ended (%s/%s, result %s)."
                % (after["ActiveState"], after["SubState"], after["Result"])
            )
        said = cri.wait_ready(params["socket"], params["cri_api"], 5)
    return said


def to_do(module):
    """Return those of the files that have to be written; in check mode as if the earlier stage had been carried out."""
    if not module.check_mode:
        return file_changes.pending(module.params["files"])
    left = {change["path"]: change for change in file_changes.pending(module.params["earlier"])}
    follow = [
        one for one in module.params["files"] if one["path"] in left and left[one["path"]]["after"] == one["before"]
    ]
    return follow + file_changes.pending([one for one in module.params["files"] if one not in follow])


def in_order(changes):
    """Return the changes with containerd's own file last: a power cut must not leave it naming a file that is not there."""
    return sorted(changes, key=lambda one: one["role"] == "containerd_config" and one["path"].endswith(".toml"))


def check_root(module, pending):
    """Make sure that a new data directory, if one is to be, can be taken into use now."""
    for change in pending:
        if change["role"] != "containerd_config" or not change["path"].endswith(".toml"):
            continue
        before, after = (containerd.configured_root(change[key]) for key in ("before", "after"))
        if before != after and {before, after} != {"", containerd.DEFAULT_ROOT}:
            second_containerd.check_directory(after or containerd.DEFAULT_ROOT)
            # In check mode Docker has not been stopped; the step before this one does that.
            if not (module.check_mode and module.params["earlier"]):
                containerd.refuse_tasks(cri.socket_file(module.params["socket"]), before, after)


def present(module, journal):
    params = module.params
    can_check = check_program(module)
    pending = to_do(module)
    copies = file_copies.pending(params["copies"], journal)
    file_changes.check_writable(
        pending, [one["path"] for one in copies] + ([journal.path] if pending or copies else [])
    )
    check_root(module, pending)
    for change in pending if can_check else []:
        if change["role"] == "containerd_config" and change["path"].endswith(".toml") and change["after"] is not None:
            containerd.check_config(change["after"])
    unit = systemd.show(containerd.UNIT)
    was_active = unit["ActiveState"] == "active"
    was_enabled = unit["UnitFileState"] not in ("disabled", "")
    restart = bool(journal.get(PENDING)) or not was_active or any(containerd.needs_restart(one) for one in pending)
    spares = unit["KillMode"] in ("", "process", "none")
    # After the drain and Docker's end there is nothing to be killed.
    idle = (
        journal.state in ("drained", "switched") and containerd.running_tasks(cri.socket_file(params["socket"])) == {}
    )
    if restart and was_active and not spares and not idle:
        raise NodeError(
            "containerd.service has KillMode=%s, so a restart of it would kill every container on this node; nothing was "
            "changed. Run `systemctl edit containerd`, add [Service] and KillMode=process, and run again."
            % unit["KillMode"]
        )
    if restart:
        containerd.check_socket(cri.socket_file(params["socket"]))
    reload = unit["NeedDaemonReload"] == "yes" or any(containerd.is_unit_file(one["path"]) for one in pending)
    outcome = {
        "restarted": restart,
        "changed_files": [one["path"] for one in pending + copies],
        "diff": [file_changes.diff(one["path"], one["before"], one["after"], one["secret"]) for one in pending]
        + [file_copies.diff(one) for one in copies],
        "cri": {},
    }
    outcome["loaded_modules"], outcome["set_sysctls"] = prepare_kernel(module, journal)
    outcome["changed"] = bool(
        pending or copies or restart or not was_enabled or outcome["loaded_modules"] or outcome["set_sysctls"]
    )
    if module.check_mode:
        if not pending and not copies and not restart:
            outcome["cri"] = gate(params)
        return outcome
    if not (pending or copies or restart or not was_enabled):
        outcome["cri"] = proved(params, journal, Originals([]), True, False, False)
        return outcome
    journal.remember_unit(containerd.UNIT, unit["ActiveState"], unit["UnitFileState"])
    stage = "switch" if any(one["stage"] == "switch" for one in pending) else "prepare"
    with journal.step("configure containerd", stage, "the originals are in the journal's files"):
        originals = Originals(pending + copies, unproved(journal))
        if restart:
            journal.note(PENDING, True)
        try:
            for copy in copies:
                file_copies.apply(copy, journal)
            for change in in_order(pending):
                file_changes.apply_change(change, journal, False)
            if reload:
                systemd.daemon_reload()
            if restart:
                systemd.restart(containerd.UNIT)
            if not was_enabled:
                systemd.enable(containerd.UNIT)
        except (NodeError, OSError) as error:
            taken, trouble = take_back(originals, journal, was_active, reload)
            message = error.message if isinstance(error, NodeError) else module_run.describe_os_error(error)
            raise NodeError("%s\n%s" % (message, put_back_or_not(taken, trouble)), {"put_back": taken}) from error
        outcome["cri"] = proved(params, journal, originals, was_active, reload, restart)
        journal.note(PENDING, None)
    return outcome


def proved(params, journal, originals, was_active, reload, restarted):
    """Return what the CRI gate says; if it fails, take this run back and raise with the cause."""
    began = commands.now() - 2  # s; a restart just before counts
    try:
        return gate(params, restarted)
    except cri.CriError as error:
        evidence = containerd.why_not(cri.socket_file(params["socket"]), began)
        taken, trouble = take_back(originals, journal, was_active, reload)
        raise NodeError(
            "containerd is not ready for a kubelet: %s\n%s %s"
            % (error.message, put_back_or_not(taken, trouble), evidence),
            dict(error.details, put_back=taken),
        ) from error


def put_back_or_not(paths, trouble=""):
    """Return what became of the files after a failure, and of containerd."""
    if paths and trouble:
        return (
            "The files of this run were put back, and containerd does not start with them either, so something else than "
            "unshim's files keeps it from starting. Docker's containers go on, but Docker can start none until that cause is "
            "removed and containerd started (`systemctl start containerd`): %s" % trouble
        )
    if paths:
        return "The files of this run were put back."
    return (
        "Its files stay as they are, since this run changed none. If an earlier run wrote them and was cut short, the "
        "rollback of this node puts them back."
    )


def take_back(originals, journal, was_active, reload):
    """Put the files of this run back and containerd with them; returns their paths, and why containerd did not follow."""
    if not (originals.kept or originals.unproved):
        journal.note(PENDING, None)
        return [], ""
    taken = originals.put_back(journal)
    try:
        if reload:
            systemd.daemon_reload()
        if was_active:
            systemd.restart(containerd.UNIT)
        else:
            systemd.stop(containerd.UNIT)
    except NodeError as error:  # the first cause is what has to be told; the note stays, for the next run
        return taken, "\n".join([error.message] + ["It cannot read " + one for one in containerd.rejected_files()])
    journal.note(PENDING, None)
    return taken, ""


def restored(module, journal):
    paths = journal.restorable(ROLES)
    predicted = {path: journal.restore_file(path, check_mode=True) for path in paths}
    paths = [path for path in paths if predicted[path]["changed"]]
    unit_was = journal.units.get(containerd.UNIT)
    unit = systemd.show(containerd.UNIT)
    runs = unit["ActiveState"] == "active"
    ran = unit_was is None or unit_was["active_state"] == "active"
    was_enabled = unit_was is None or unit_was["unit_file_state"] == "enabled"
    read_at_start = [
        path for path in paths if containerd.needs_restart({"path": path, "role": journal.files[path]["role"]})
    ]
    roots = root_change(journal, paths)
    if roots and runs and not module.check_mode:  # in check mode the pods were only said to be stopped
        containerd.refuse_tasks(cri.socket_file(module.params["socket"]), *roots)
    restart = unit_was is not None and ran and bool(not runs or journal.get(PENDING) or read_at_start)
    stop = not ran and runs
    disable = not was_enabled and unit["UnitFileState"] == "enabled"
    sysctls = sysctls_to_restore(journal)
    outcome = {
        "changed": bool(paths or restart or stop or disable or sysctls),
        "restarted": restart,
        "changed_files": paths,
        "diff": [predicted[path]["diff"] for path in paths],
        "cri": {},
        "loaded_modules": [],
        "set_sysctls": sysctls,
    }
    if module.check_mode or not outcome["changed"]:
        return outcome
    file_changes.check_writable([], paths)
    if restart:
        containerd.check_socket(cri.socket_file(module.params["socket"]))
    with journal.step("restore containerd's files", "rollback"):
        if restart:
            journal.note(PENDING, True)
        for path in paths:
            journal.restore_file(path)
        for name, value in sorted(sysctls.items()):
            warning = containerd.set_sysctl(name, value)
            if warning:
                module.warn(warning)
        # A run that was cut short may have restored the last of them.
        if unit["NeedDaemonReload"] == "yes" or any(containerd.is_unit_file(path) for path in paths):
            systemd.daemon_reload()
        if restart:
            systemd.restart(containerd.UNIT)
        if stop:
            systemd.stop(containerd.UNIT)
        if disable:
            systemd.disable(containerd.UNIT)
        journal.note(PENDING, None)
    for warning in journal.warnings:
        module.warn(warning)
    if roots:
        module.warn(
            "The images that were moved stay in %s, where a second migration finds them; remove that directory if there "
            "will be none." % roots[0]
        )
    return outcome


def sysctls_to_restore(journal):
    """Return the sysctls that unshim set and that nobody has set otherwise since, with their values before."""
    before, ours = journal.get(SYSCTLS_BEFORE, {}), journal.get(SYSCTLS_SET, {})
    now = {name: containerd.sysctl(name) for name in before}
    return {
        name: value
        for name, value in before.items()
        if now[name] not in (None, value) and now[name] == ours.get(name, now[name])
    }


def root_change(journal, paths):
    """Return containerd's data directory (now, then) if restoring ``paths`` changes it, else None."""
    for path in paths:
        if path.endswith(".toml") and journal.files[path]["role"] == "containerd_config":
            now, then = (
                containerd.configured_root(None if data is None else data.decode("utf-8", "replace"))
                for data in (files.read_bytes(path), journal.original(path))
            )
            if now != then and {now, then} != {"", containerd.DEFAULT_ROOT}:
                return now, then
    return None


def act(module):
    module_run.hide_only_secrets(module, module.params["files"] + module.params["earlier"])
    journal = module_run.open_journal(module)
    return (present if module.params["state"] == "present" else restored)(module, journal)
