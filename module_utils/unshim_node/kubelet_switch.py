"""The work of the module ``kubelet_runtime``: stop the kubelet, start it on another runtime, give it back its own files.

``module`` is what has its parameters: an AnsibleModule, or a module_run.Part of one.
"""

from . import containerd, cri, file_changes, kubelet, systemd
from .errors import NodeError

ROLES = ("kubelet",)
# A kubelet whose files were written and whose start was not proved: the next run starts it again.
PENDING = "kubelet_restart_pending"
RUNNING = ("active", "activating", "reloading")


def outcome_of(module, changed_files=(), diffs=(), stopped=False, started=False):
    """Return the module's result, with the kubelet as it is now."""
    state = systemd.show(module.params["unit"])
    pid = int(state["MainPID"] or 0)
    return {
        "changed": bool(changed_files or stopped or started),
        "changed_files": list(changed_files),
        "diff": list(diffs),
        "stopped": stopped,
        "started": started,
        "pid": pid,
        "command_line": kubelet.command_line(pid) if pid else [],
    }


def remember(journal, unit, state):
    journal.remember_unit(unit, state["ActiveState"], state["UnitFileState"])


def stopped(module, journal):
    unit = module.params["unit"]
    state = systemd.show(unit)
    if state["ActiveState"] not in RUNNING:
        return outcome_of(module)
    if not module.check_mode:
        remember(journal, unit, state)
        with journal.step("stop the kubelet", "switch", "systemctl start " + unit):
            systemd.stop(unit, module.params["timeout"])
    return outcome_of(module, stopped=True)


def check(module, journal):
    """Return those of the files that are to be written, once it is certain that they can be.

    Raises:
        NodeError: one of them is neither as it was nor as it shall be, or cannot be written.
    """
    pending = file_changes.pending(module.params["files"])
    file_changes.check_writable(pending, [journal.path] if pending else [])
    return pending


def on_containerd(module, journal):
    params = module.params
    unit = params["unit"]
    pending = check(module, journal)
    diffs = [file_changes.apply_change(change, journal, True)["diff"] for change in pending]
    paths = [change["path"] for change in pending]
    state = systemd.show(unit)
    reload = state["NeedDaemonReload"] == "yes" or any(containerd.is_unit_file(path) for path in paths)
    start = bool(pending or journal.get(PENDING) or not kubelet.uses(unit, params["endpoint"]))
    if module.check_mode or not start:
        return outcome_of(module, paths, diffs, started=start)
    remember(journal, unit, state)
    with journal.step("point the kubelet at %s" % params["endpoint"], "switch", "restore the files"):
        journal.note(PENDING, True)
        for change in pending:
            file_changes.apply_change(dict(change, role="kubelet"), journal, False)
        if reload:
            systemd.daemon_reload()
        run_and_prove(params)
        if not kubelet.uses(unit, params["endpoint"]):
            raise NodeError(
                "The kubelet runs, but neither its command line nor its configuration file names %s: `%s`. Something "
                "else than the planned files sets its flags; look at `systemctl cat %s`."
                % (params["endpoint"], " ".join(outcome_of(module)["command_line"]), unit)
            )
        journal.note("kubelet_endpoint", params["endpoint"])
        journal.note(PENDING, None)
    return outcome_of(module, paths, diffs, started=True)


def run_and_prove(params):
    systemd.restart(params["unit"], params["timeout"])
    kubelet.stays_up(params["unit"], params["timeout"], params["watch"])


def restored(module, journal):
    params = module.params
    unit = params["unit"]
    predicted = {path: journal.restore_file(path, check_mode=True) for path in journal.restorable(ROLES)}
    paths = sorted(path for path in predicted if predicted[path]["changed"])
    diffs = [predicted[path]["diff"] for path in paths]
    state = systemd.show(unit)
    runs = state["ActiveState"] in RUNNING
    unit_was = journal.units.get(unit)
    ran = unit_was is not None and unit_was["active_state"] in RUNNING
    ours = cri.socket_file(journal.get("kubelet_endpoint", params["endpoint"]))
    # A kubelet with files to come back, or started from ours and not since, must not run while they change.
    stop = runs and bool(paths or journal.get(PENDING) or (journal.restorable(ROLES) and kubelet.uses(unit, ours)))
    start = params["start"] and ran and (stop or not runs)
    if module.check_mode or not (paths or stop or start):
        return outcome_of(module, paths, diffs, stop, start)
    file_changes.check_writable([], paths)
    with journal.step("restore the kubelet's files", "rollback"):
        if stop:
            systemd.stop(unit, params["timeout"])
        for path in paths:
            journal.restore_file(path)
        if state["NeedDaemonReload"] == "yes" or any(containerd.is_unit_file(path) for path in paths):
            systemd.daemon_reload()
        if start:
            run_and_prove(params)
        journal.note(PENDING, None)
    for warning in journal.warnings:
        module.warn(warning)
    return outcome_of(module, paths, diffs, stop, start)
