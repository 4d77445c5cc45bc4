#!/usr/bin/python
"""Stop, restore or remove Docker on a node whose kubelet leaves it."""

DOCUMENTATION = r"""
module: docker_retire
short_description: Stop Docker reversibly, start it again, or remove it
description:
  - V(retired) stops the containers the kubelet made, takes down their CNI networks as dockershim would have, stops
    Docker and keeps it from starting again, also after a reboot. Containers, images and packages stay. It then proves
    that nothing of Docker runs any more.
  - V(restored) puts Docker's units back as they were. Pods' containers are left to the kubelet; containers of others
    that V(retired) stopped are started again.
  - V(removed) removes Docker's packages, bridge, firewall chains and sockets for good, and its data if asked. Nothing
    else is removed with it.
  - Every state can be asked for again at any moment, also after a crash in the middle of it.
author: unshim contributors
requirements:
  - systemd on the node
  - C(docker) for O(state=retired)
options:
  state:
    description: What Docker shall be.
    type: str
    choices: [retired, restored, removed]
    required: true
  stop_foreign:
    description:
      - Names of running containers that are not Kubernetes' and may be stopped.
      - Any other such container makes O(state=retired) fail before it stops anything.
    type: list
    elements: str
    default: []
  grace_limit:
    description: Seconds a container may take to stop, at most; a shorter grace period of its pod counts.
    type: int
    default: 30
  kubelet_unit:
    description: The kubelet's unit. While it runs, pods on Docker are not stopped.
    type: str
    default: kubelet.service
  containerd_socket:
    description: Socket of the containerd that Docker uses, asked for tasks that are left.
    type: path
    default: /run/containerd/containerd.sock
  cni_cache_dir:
    description: The kubelet's C(--cni-cache-dir).
    type: path
    default: /var/lib/cni/cache
  cni_conf_dir:
    description: The kubelet's C(--cni-conf-dir).
    type: path
    default: /etc/cni/net.d
  cni_bin_dirs:
    description: The kubelet's C(--cni-bin-dir).
    type: list
    elements: path
    default: [/opt/cni/bin]
  delete_data:
    description: Whether O(state=removed) deletes Docker's data directory, with every image, container and volume in it.
    type: bool
    default: false
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
"""

EXAMPLES = r"""
- name: Stop Docker once the kubelet is stopped
  docker_retire:
    state: retired
    stop_foreign: [registry]

- name: Go back
  docker_retire:
    state: restored

- name: See what would be removed
  docker_retire:
    state: removed
  check_mode: true
"""

RETURN = r"""
units:
  description: Docker's units, each with what systemd says of it before.
  returned: success
  type: dict
stopped:
  description: The containers that were stopped, in order; in words.
  returned: when O(state=retired)
  type: list
  elements: str
packages:
  description: The packages that were removed.
  returned: when O(state=removed)
  type: list
  elements: str
kept_packages:
  description: Packages that Docker's had brought along and that are now marked as wanted.
  returned: when O(state=removed)
  type: list
  elements: str
data_root:
  description: Docker's data directory.
  returned: when O(state=removed)
  type: str
data_size:
  description: Bytes it took before.
  returned: when O(state=removed)
  type: int
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import (
    docker_engine,
    docker_remove,
    docker_stop,
    docker_units,
    journal,
    module_run,
)
from ansible.module_utils.unshim_node.errors import NodeError

ARGUMENTS = {
    "state": {"type": "str", "choices": ["retired", "restored", "removed"], "required": True},
    "stop_foreign": {"type": "list", "elements": "str", "default": []},
    "grace_limit": {"type": "int", "default": 30},
    "kubelet_unit": {"type": "str", "default": "kubelet.service"},
    "containerd_socket": {"type": "path", "default": "/run/containerd/containerd.sock"},
    "cni_cache_dir": {"type": "path", "default": "/var/lib/cni/cache"},
    "cni_conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "cni_bin_dirs": {"type": "list", "elements": "path", "default": ["/opt/cni/bin"]},
    "delete_data": {"type": "bool", "default": False},
}


def retired(module, record):
    params = module.params
    retirement = docker_stop.Retirement(
        stop_foreign=params["stop_foreign"],
        grace_limit=params["grace_limit"],
        kubelet_unit=params["kubelet_unit"],
        containerd_socket=params["containerd_socket"],
        cni={
            "cache_directory": params["cni_cache_dir"],
            "config_directory": params["cni_conf_dir"],
            "plugin_directories": params["cni_bin_dirs"],
        },
    )
    root = record.get(docker_stop.DATA_ROOT, docker_engine.DEFAULT_ROOT)
    containers, units = docker_stop.survey(retirement, root, module.check_mode)
    stopping = [docker_engine.described(c) for wave in docker_stop.to_stop(containers) for c in wave]
    before = unit_lines(units)
    changed = not all(docker_units.is_retired(unit, state) for unit, state in units.items())
    outcome = {"changed": changed, "stopped": stopping, "units": units, "warnings": []}
    if not changed:
        docker_stop.prove(params["containerd_socket"], root)
    elif not module.check_mode:
        with record.step("retire Docker", "switch", undo="systemctl unmask docker.socket docker.service"):
            record.mark("docker stopping")
            outcome["warnings"] = docker_stop.retire(retirement, record, containers, units)
            record.mark("docker stopped")
    after = ["%s: inactive, kept from starting" % unit for unit in units] if changed else before
    outcome["diff"] = diff(["running: %s" % name for name in stopping] + before, after)
    return outcome


def restored(module, record):
    units = docker_stop.to_restore(record)
    present = docker_units.present()
    changed = not docker_stop.is_restored(record, units)
    outcome = {"changed": changed, "units": present, "warnings": []}
    before = unit_lines(present)
    if changed and not module.check_mode:
        with record.step("restore Docker", "rollback"):
            outcome["warnings"] = docker_stop.restore(record, units)
            record.mark("docker restored")
    after = ["%s: %s, %s" % (unit, was["active_state"], was["unit_file_state"]) for unit, was in units.items()]
    outcome["diff"] = diff(before, sorted(after) if changed else before)
    return outcome


def removed(module, record):
    params = module.params
    units = docker_units.present()
    up = [unit for unit, state in units.items() if state["ActiveState"] not in ("inactive", "failed")]
    if up:
        raise NodeError("%s still runs; retire Docker (state: retired) before it is removed." % ", ".join(up))
    packages = docker_remove.installed()
    root = docker_remove.data_root(record.get(docker_stop.DATA_ROOT, ""))
    size = docker_remove.data_size(root)
    docker_remove.check_packages(packages)
    if params["delete_data"]:
        docker_remove.check_data(root)
    kept = docker_remove.keep_packages(check_mode=True)
    firewall = docker_remove.firewall()
    bridge = docker_remove.bridge_is_idle()
    sockets = docker_remove.stale_sockets()
    delete_data = params["delete_data"] and docker_remove.has_data(root)
    going = ["package %s" % name for name in packages] + ["%s (socket)" % path for path in sockets]
    for program, (rules, _) in sorted(firewall.items()):
        going += ["rule %s -t %s %s" % (program, rule.table, " ".join(rule.arguments)) for rule in rules]
    going += ["bridge docker0"] if bridge else []
    going += ["%s (%d bytes)" % (root, size)] if delete_data else []
    barred = [unit for unit, state in units.items() if docker_units.is_barred(unit, state)]
    changed = bool(going or kept or (barred and not packages))
    outcome = {
        "changed": changed,
        "packages": packages,
        "kept_packages": kept,
        "data_root": root,
        "data_size": size,
        "units": units,
        "diff": diff(going, []),
        "warnings": [
            "The chain %s of %s has rules that are not Docker's, or is used by such, so it stays." % (chain, program)
            for program, (_, chains) in sorted(firewall.items())
            for chain in chains
        ],
    }
    if changed and not module.check_mode:
        with record.step("remove Docker", "commit"):
            record.note(docker_stop.DATA_ROOT, root)  # daemon.json, which names it, goes with the packages
            docker_remove.keep_packages(check_mode=False)
            docker_remove.remove_packages(packages, root)
            for program, (rules, _) in sorted(firewall.items()):
                docker_remove.remove_firewall(program, rules)
            if bridge:
                docker_remove.remove_bridge()
            docker_remove.remove_sockets(sockets)
            if delete_data:
                docker_remove.delete_data(root)
            docker_remove.unbar_units()
    return outcome


def unit_lines(units):
    return [
        "%s: %s, %s" % (unit, state["ActiveState"], state["UnitFileState"]) for unit, state in sorted(units.items())
    ]


def diff(before, after):
    return {
        "before": "".join("%s\n" % line for line in before),
        "after": "".join("%s\n" % line for line in after),
        "before_header": "Docker",
        "after_header": "Docker",
    }


def act(module):
    started = time.time()
    record = journal.Journal.load(check_mode=module.check_mode)
    outcome = {"retired": retired, "restored": restored, "removed": removed}[module.params["state"]](module, record)
    for warning in record.warnings + outcome.pop("warnings"):
        module.warn(warning)
    outcome["seconds"] = round(time.time() - started, 3)
    return outcome


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
