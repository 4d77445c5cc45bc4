#!/usr/bin/python
"""Ansible module: stop the kubelet, start it on another runtime, or give it back its own files."""

DOCUMENTATION = r"""
---
module: kubelet_runtime
short_description: Move a kubelet to another container runtime and back
description:
  - Applies the plan's changes to the kubelet's files, wherever its flags are defined, and proves that the kubelet
    starts with them and stays up.
  - Every original is in the node's journal before it is touched, and comes back byte for byte.
author: unshim contributors
options:
  state:
    description:
      - V(stopped) stops the unit.
      - V(containerd) applies O(files), starts the kubelet and watches it. The process has to have O(endpoint) on its
        command line or in its configuration file.
      - V(restored) puts the originals back and starts the kubelet, if it ran before the migration.
    type: str
    choices: [stopped, containerd, restored]
    required: true
  files:
    description: The plan's changes to the kubelet's files.
  endpoint:
    description: The CRI endpoint the kubelet has to use.
    type: str
    default: unix:///run/containerd/containerd.sock
  start:
    description: Whether V(restored) starts the kubelet.
    type: bool
    default: true
  timeout:
    description: Seconds the unit may take to stop, and to become active.
    type: float
    default: 120
  watch:
    description: Seconds the started process has to stay up.
    type: float
    default: 4
  unit:
    description: The kubelet's systemd unit.
    type: str
    default: kubelet.service
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.files
  - unshim.journal
"""

EXAMPLES = r"""
- name: Stop the kubelet
  kubelet_runtime:
    state: stopped

- name: Point the kubelet at containerd and start it
  kubelet_runtime:
    state: containerd
    files: "{{ ansible_facts.runtime_plan.files | selectattr('stage', 'equalto', 'switch') }}"
    endpoint: unix:///run/containerd/containerd.sock

- name: Give the kubelet its own files back
  kubelet_runtime:
    state: restored
"""

RETURN = r"""
changed_files:
  description: The files that were written, removed or restored.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/kubelet/kubeadm-flags.env]
stopped:
  description: Whether the kubelet was stopped.
  returned: success
  type: bool
  sample: false
started:
  description: Whether the kubelet was started.
  returned: success
  type: bool
  sample: true
pid:
  description: Process id of the running kubelet, 0 if it does not run.
  returned: success
  type: int
  sample: 4711
command_line:
  description: Command line of the running kubelet.
  returned: success
  type: list
  elements: str
  sample: [/usr/bin/kubelet, '--container-runtime-endpoint=unix:///run/containerd/containerd.sock']
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import containerd, cri, files, kubelet, module_run, systemd
from ansible.module_utils.unshim_node.errors import NodeError

ARGUMENTS = {
    "state": {"type": "str", "choices": ["stopped", "containerd", "restored"], "required": True},
    "files": module_run.FILES_OPTION,
    "endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
    "start": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 120},
    "watch": {"type": "float", "default": 4},
    "unit": {"type": "str", "default": kubelet.UNIT},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}
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


def on_containerd(module, journal):
    params = module.params
    unit = params["unit"]
    pending = files.pending(params["files"])
    files.check_writable(pending, [journal.path] if pending else [])
    diffs = [files.apply_change(change, journal, True)["diff"] for change in pending]
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
            files.apply_change(dict(change, role="kubelet"), journal, False)
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
    files.check_writable([], paths)
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


def act(module):
    module_run.hide_only_secrets(module, module.params["files"])
    journal = module_run.open_journal(module)
    states = {"stopped": stopped, "containerd": on_containerd, "restored": restored}
    return states[module.params["state"]](module, journal)


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
