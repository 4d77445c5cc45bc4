#!/usr/bin/python
"""Ansible module: may this node's member of etcd go down, and did it come back?"""

DOCUMENTATION = r"""
---
module: etcd_member
short_description: Check etcd before and after its member on a node goes down, and take a snapshot first
description:
  - With O(moment=before), asks every member of the cluster for its health, and fails if it would lose its quorum
    without this node's member because another one is not healthy. Then saves a snapshot on the node.
  - With O(moment=after), waits until the same member is back in the cluster and healthy.
  - Finds the node's etcd among its processes, a static pod or a service, and asks over HTTP with the certificates that
    etcd itself uses. Needs no etcdctl.
  - A node whose API server has its etcd elsewhere is left alone.
author: unshim contributors
options:
  moment:
    description: Whether the node's member is about to go down, or should be back.
    type: str
    choices: [before, after]
    required: true
  timeout:
    description: Seconds to wait for a cluster that is well, as it is not just after another member was restarted.
    type: float
    default: 30
  snapshot:
    description: Save a snapshot before, and note in the journal which members there are; without, nothing is written.
    type: bool
    default: true
  snapshot_dir:
    description:
      - Directory on the node for snapshots. Only root can read it, since a snapshot holds everything in the cluster.
    type: path
    default: /var/lib/unshim/etcd
  keep:
    description: How many snapshots to keep there.
    type: int
    default: 3
  own_may_be_down:
    description:
      - Go on, without a snapshot, when this node's own member is not healthy, as on the way back from a failed move.
    type: bool
    default: false
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.journal
attributes:
  check_mode:
    details: Asks as usual and saves nothing. With O(moment=after) it looks once.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: Each snapshot is a new one.
"""

EXAMPLES = r"""
- name: Make sure that etcd can do without this node, and save it
  etcd_member:
    moment: before

- name: Wait for this node's member
  etcd_member:
    moment: after
    timeout: 120
"""

RETURN = r"""
present:
  description: Whether this node has a member of the cluster's etcd.
  returned: success
  type: bool
members:
  description: The members as they are now.
  returned: when O(ignore:present)
  type: list
  elements: dict
  sample: [{id: "8e9e05c52164694d", name: cp-1, problem: "", version: 3.4.23, own: true, leader: true, learner: false}]
snapshot:
  description: The file that was saved; empty if none was.
  returned: success
  type: dict
  sample:
    path: /var/lib/unshim/etcd/etcd-20261124T172711Z.db
    size: 1671200
    sha256: 6f0d7f9f9e2c
    revision: 998
msg:
  description: What was found, in a sentence.
  returned: always
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import etcd, etcd_quorum, module_run
from ansible.module_utils.unshim_node.errors import NodeError

ARGUMENTS = {
    "moment": {"type": "str", "choices": ["before", "after"], "required": True},
    "timeout": {"type": "float", "default": 30},
    "snapshot": {"type": "bool", "default": True},
    "snapshot_dir": {"type": "path", "default": "/var/lib/unshim/etcd"},
    "keep": {"type": "int", "default": 3},
    "own_may_be_down": {"type": "bool", "default": False},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}
NOTE = "etcd"  # in the journal: the cluster as it was before
PAUSE = 1.0  # s
ELSEWHERE = "No etcd of the cluster runs on this node, so there is none to check."


def before(module, journal):
    """Return the module's result; NodeError if the member may not go down."""
    deadline = time.monotonic() + module.params["timeout"]
    while True:
        try:
            found = looked()
        except etcd.NoAnswer as error:
            problem, down = error.message, True
        except etcd.Absent as error:
            problem, down = error.message, True
        else:
            if found is None:
                return nothing()
            client, cluster = found
            problem, down = etcd_quorum.refusal(cluster), bool(etcd_quorum.own(cluster).problem)
        if not problem:
            break
        if down and module.params["own_may_be_down"]:
            # A member that is down cannot be missed.
            module.warn("%s Nothing of it was saved." % problem)
            return dict(nothing(), present=True, msg=problem)
        if time.monotonic() + PAUSE >= deadline:
            raise NodeError(
                "%s Nothing was changed on this node. Repair that member, or remove it from the cluster if it is gone for "
                "good (etcdctl member remove), and run again." % problem
            )
        time.sleep(PAUSE)
    for warning in etcd_quorum.warnings(cluster):
        module.warn(warning)
    outcome = dict(described(cluster), changed=False, snapshot={})
    if not module.params["snapshot"]:
        return outcome
    outcome["changed"] = True
    if not module.check_mode:
        journal.lock()
        outcome["snapshot"] = etcd.save(client, module.params["snapshot_dir"], module.params["keep"])._asdict()
        journal.note(NOTE, dict(etcd_quorum.noted(cluster), snapshot=outcome["snapshot"]))
    saved = outcome["snapshot"]
    if saved:
        outcome["msg"] += " Snapshot: %s on this node, %d bytes, revision %d, SHA-256 %s." % (
            saved["path"],
            saved["size"],
            saved["revision"],
            saved["sha256"],
        )
    return outcome


def after(module, journal):
    """Return the module's result; NodeError if the member is not back in time."""
    deadline = time.monotonic() + module.params["timeout"]
    was = journal.get(NOTE, {})
    while True:
        cluster = None
        try:
            found = looked()
        except (etcd.NoAnswer, etcd.Absent) as error:
            reasons = [error.message.rstrip(".")]
        else:
            if found is None and not was:
                return nothing()
            cluster = found and found[1]
            reasons = etcd_quorum.missing(cluster, was) if cluster else ["etcd of this node does not run"]
        if not reasons and cluster:
            break
        if module.check_mode or time.monotonic() + PAUSE >= deadline:
            raise NodeError(
                "etcd is not as it was before: %s. Look at the member's log on this node." % "; ".join(reasons)
            )
        time.sleep(PAUSE)
    others = [one for one in etcd_quorum.unhealthy(cluster) if one.member.id != cluster.own]
    if others:
        module.warn("This node's member of etcd is back, but others are not well: %s." % etcd_quorum.listed(others))
    return dict(described(cluster), changed=False, snapshot={})


def looked():
    """Return the client and the cluster as it is now, or None if it is elsewhere."""
    process = etcd.find()
    if process is None:
        return None
    client = etcd.Client(process)
    return client, etcd.look(client)


def nothing():
    return {"changed": False, "present": False, "members": [], "snapshot": {}, "msg": ELSEWHERE}


def described(cluster):
    members = [
        {
            "id": "%x" % int(one.member.id),
            "name": one.member.name,
            "problem": one.problem,
            "version": one.version,
            "own": one.member.id == cluster.own,
            "leader": bool(one.leader) and one.leader == one.member.id,
            "learner": one.member.learner,
        }
        for one in cluster.members
    ]
    well = sum(not one["problem"] and not one["learner"] for one in members)
    return {
        "present": True,
        "members": members,
        "msg": "etcd: %d of %d members healthy, %d needed; this node's is %s."
        % (
            well,
            len(etcd_quorum.voters(cluster)),
            etcd_quorum.quorum(cluster),
            etcd_quorum.label(etcd_quorum.own(cluster).member),
        ),
    }


def act(module):
    journal = module_run.open_journal(module)
    return before(module, journal) if module.params["moment"] == "before" else after(module, journal)


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
