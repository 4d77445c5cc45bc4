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
  - V(removed) removes Docker's packages, bridges, firewall chains, sockets and what exited containers left for good, and
    its data if asked. Nothing else is removed with it; the transaction is simulated first. On a node whose journal is
    closed it only deletes data, if asked, and leaves a Docker that was installed again alone.
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
  containerd_root:
    description: containerd's data directory.
    type: path
    default: /var/lib/containerd
  cri_sockets:
    description: Where the kubelet found Docker's CRI, if not at a usual place; such sockets go with Docker.
    type: list
    elements: path
    default: []
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
leftovers:
  description: Rules, bridges, sockets, mounts and directories that were removed; in words.
  returned: when O(state=removed)
  type: list
  elements: str
data_deleted:
  description: Whether Docker's data directory was deleted.
  returned: when O(state=removed)
  type: bool
data_volumes:
  description: Docker's volumes in that directory before.
  returned: when O(state=removed)
  type: int
data_root:
  description: Docker's data directory.
  returned: when O(state=removed)
  type: str
data_size:
  description: Bytes it took before.
  returned: when O(state=removed)
  type: int
data_size_in_words:
  description: The same for people.
  returned: when O(state=removed)
  type: str
  sample: 3.4 GB
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import (
    docker_leftovers,
    docker_network,
    docker_remove,
    docker_retirement,
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
    "containerd_root": {"type": "path", "default": "/var/lib/containerd"},
    "cri_sockets": {"type": "list", "elements": "path", "default": []},
    "delete_data": {"type": "bool", "default": False},
}


def restored(module, record):
    units = docker_stop.to_restore(record)
    present = docker_units.present()
    changed = not docker_stop.is_restored(record, units)
    outcome = {"changed": changed, "units": present, "warnings": []}
    before = docker_retirement.unit_lines(present)
    if changed and not module.check_mode:
        with record.step("restore Docker", "rollback"):
            outcome["warnings"] = docker_stop.restore(record, units)
            record.mark("docker restored")
    after = ["%s: %s, %s" % (unit, was["active_state"], was["unit_file_state"]) for unit, was in units.items()]
    outcome["diff"] = docker_retirement.diff(before, sorted(after) if changed else before)
    return outcome


def removed(module, record):
    params = module.params
    committed = record.state == "committed"
    root = docker_remove.data_root(record.get(docker_stop.DATA_ROOT, ""))
    outcome = {"changed": False, "packages": [], "kept_packages": [], "leftovers": [], "warnings": []}
    outcome.update(units=docker_units.present(), data_root=root, data_size=docker_remove.data_size(root))
    outcome["data_size_in_words"] = docker_remove.in_words(outcome["data_size"])
    outcome["data_volumes"] = docker_remove.volumes(root)
    outcome["data_deleted"] = False
    if committed and docker_remove.programs():
        # Not ours any more: somebody installed it after the commit.
        outcome["warnings"] = ["Docker was installed again after the commit; it and its data are left alone."]
        return dict(outcome, diff=docker_retirement.diff([], []))
    delete_data = params["delete_data"] and docker_remove.has_data(root)
    going = Going(params, root, outcome["units"]) if not committed else None
    if delete_data:
        docker_remove.check_data(root, going.leftovers.mounts if going else [])
    lines = going.lines() if going else []
    if delete_data:
        lines.append("%s (%s)" % (root, outcome["data_size_in_words"]))
    if going:
        outcome.update(packages=going.packages, kept_packages=going.kept, leftovers=going.leftover_lines())
        outcome["warnings"] = going.warnings()
    outcome["data_deleted"] = bool(delete_data)
    outcome["changed"] = bool(lines)
    outcome["diff"] = docker_retirement.diff(lines, [])
    if not lines or module.check_mode:
        return outcome
    bystanders = docker_remove.bystanders(params["containerd_socket"])
    with record.step("remove Docker", "commit"):
        record.note(docker_stop.DATA_ROOT, root)  # daemon.json, which names it, may go with the packages
        if going:
            going.go()
        if delete_data:
            docker_remove.delete_data(root)
    outcome["warnings"] += disturbed(bystanders, docker_remove.bystanders(params["containerd_socket"]))
    return outcome


class Going(object):
    """Everything of Docker's but its data that a commit removes, as it is now.

    Raises:
        NodeError: Docker still runs, or more than Docker would go.
    """

    def __init__(self, params, root, units):
        self.socket = params["containerd_socket"]
        self.root = root
        up = [unit for unit, state in units.items() if state["ActiveState"] not in ("inactive", "failed")]
        if up:
            raise NodeError("%s still runs; retire Docker (state: retired) before it is removed." % ", ".join(up))
        self.packages = docker_remove.installed()
        docker_remove.check_packages(self.packages)
        self.kept = docker_remove.keep_packages(check_mode=True)
        self.bridges = docker_network.bridges()
        self.firewall, self.unread = docker_network.firewall(docker_network.idle(self.bridges))
        self.tables = docker_network.nft_tables()
        self.leftovers = docker_leftovers.survey(root, params["containerd_root"], self.socket, params["cri_sockets"])
        # A dockerd that no package brought stays, and must stay barred.
        self.by_hand = [path for path in docker_remove.programs() if not self.packages]
        self.barred = [
            unit for unit, state in units.items() if docker_units.is_barred(unit, state) and not self.by_hand
        ]

    def idle_bridges(self):
        return [name for name, used in self.bridges.items() if not used]

    def leftover_lines(self):
        found = ["rule %s -t %s %s" % (program, rule.table, " ".join(rule.arguments))
                 for program, firewall in sorted(self.firewall.items()) for rule in firewall.rules]  # fmt: skip
        found += ["nftables table %s %s" % table for table in self.tables]
        found += ["bridge %s" % name for name in self.idle_bridges()]
        return found + docker_leftovers.lines(self.leftovers)

    def lines(self):
        return (
            ["package %s" % name for name in self.packages]
            + ["package %s counts as wanted only by Docker" % name for name in self.kept]
            + self.leftover_lines()
            + ["%s: kept from starting by unshim" % unit for unit in self.barred]
        )

    def warnings(self):
        found = [
            "The chain %s of %s has rules that are not Docker's, or is used by such, so it stays." % (chain, program)
            for program, firewall in sorted(self.firewall.items())
            for chain in firewall.kept
        ]
        found += [
            "The bridge %s is used, so it stays with its rules." % name for name, used in self.bridges.items() if used
        ]
        found += [
            "Rules of Docker's may be left in the firewall, which could not be read: %s." % said for said in self.unread
        ]
        if self.by_hand:
            found.append(
                "No package brought %s, so unshim does not remove it; its units stay masked. Remove by hand what was "
                "installed by hand." % ", ".join(self.by_hand)
            )
        return found

    def go(self):
        docker_remove.keep_packages(check_mode=False)
        docker_remove.remove_packages(self.packages, self.root)
        for program, firewall in sorted(self.firewall.items()):
            docker_network.remove_firewall(program, firewall.rules)
        for family, name in self.tables:
            docker_network.remove_nft_table(family, name)
        for name in self.idle_bridges():
            docker_network.remove_bridge(name)
        docker_leftovers.remove(self.leftovers, self.socket)
        if not self.by_hand:
            docker_remove.unbar_units()


def disturbed(before, after):
    """Return a warning for each process that should not have noticed, and did.

    Raises:
        NodeError: the kubelet or containerd no longer runs.
    """
    down = [name for name in ("kubelet.service", "containerd.service") if before.get(name) and not after.get(name)]
    if down:
        raise NodeError(
            "Docker is removed, but %s stopped meanwhile. Start it (`systemctl start %s`), look at its log, and run again."
            % (", ".join(down), " ".join(down))
        )
    changed = [name for name, pid in before.items() if pid and after.get(name) != pid]
    return ["While Docker was removed, %s ended or was restarted." % ", ".join(changed)] if changed else []


def act(module):
    started = time.time()
    record = journal.Journal.load(check_mode=module.check_mode)
    record.wait_for_others()
    outcome = {"retired": docker_retirement.retired, "restored": restored, "removed": removed}[module.params["state"]](
        module, record
    )
    for warning in record.warnings + outcome.pop("warnings"):
        module.warn(warning)
    outcome["seconds"] = round(time.time() - started, 3)
    return outcome


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
